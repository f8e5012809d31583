# Programs that run beside a test and end when it ends, and the logs that the client
# programs of test/probes keep (session.h says what is in every log).
#
# Writers.pm and EventStreams.pm start their sessions with it.
package ClientPrograms;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use Compiled;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TimeshardSession;

our @EXPORT_OK = qw(spawn still_runs exit_status end_all await_lines errors_of);

my (%running, %status);
my $owner = $$;

# Starts a command, or runs a function, in a process of its own that writes its
# standard error to a file; returns the process ID.
sub spawn
{
    my ($errors, @command) = @_;
    my $pid = fork // die "cannot fork: $!";
    if ($pid == 0)
    {
        open STDERR, '>', $errors;
        if (ref $command[0]) { $command[0]->(); POSIX::_exit(0) }
        exec { $command[0] } @command or POSIX::_exit(127);
    }
    $running{$pid} = 1;
    return $pid;
}

sub still_runs
{
    my ($pid) = @_;
    return 0 unless $running{$pid};
    return 1 if waitpid($pid, POSIX::WNOHANG()) == 0;
    $status{$pid} = $?;
    delete $running{$pid};
    return 0;
}

# Waits for the end of a process; returns its status as in $?, undefined if it goes on.
sub exit_status
{
    my ($pid) = @_;
    return eventually(sub { !still_runs($pid) }) ? $status{$pid} : undef;
}

# Asks these to end, and waits until they have.
sub end_all
{
    my @left = grep { still_runs($_) } @_;
    kill 'TERM', @left;
    eventually(sub { !(@left = grep { still_runs($_) } @left) }) or die "processes @left do not end";
    return;
}

# Starts a program of test/probes once for each list of arguments.
#
#   name => '...'      of the logs, in the node's folder
#   application => ''  the sessions' application_name; the program's name by default
#   conninfo => "..."  in place of the node's own
sub start
{
    my ($class, $node, $program, $arguments, %options) = @_;
    my $binary = compile_client($program);
    my $self = bless { node => $node, pids => [], logs => [] }, $class;
    my $conninfo = ($options{conninfo} // $node->connstr('postgres'))
      . ' connect_timeout=2 application_name=' . ($options{application} // $program);
    for my $number (1 .. @$arguments)
    {
        my $log = $node->basedir . "/$options{name}_$number.log";
        push @{ $self->{logs} }, $log;
        push @{ $self->{pids} }, spawn("$log.err", $binary, $conninfo, $log, @{ $arguments->[ $number - 1 ] });
    }
    return $self;
}

sub logs
{
    my ($self) = @_;
    return @{ $self->{logs} };
}

# How many of the sessions have not ended.
sub alive
{
    my ($self) = @_;
    return scalar grep { still_runs($_) } @{ $self->{pids} };
}

# Stops the sessions after the call that each is in. A session whose call does not
# return gives it up after some seconds; the log then has an error "stuck".
sub stop
{
    my ($self) = @_;
    return end_all(@{ $self->{pids} });
}

# What is added to the logs behind these positions: a function that returns, for
# each log, a reference to all of it so far.
sub follow_from
{
    my ($position, @logs) = @_;
    my @followed = map { { name => $_, at => $position->($_), text => '' } } @logs;
    return sub {
        for my $log (@followed)
        {
            open my $in, '<', $log->{name} or next;
            seek $in, $log->{at}, 0;
            local $/;
            my $more = <$in> // '';
            $log->{at} += length $more;
            $log->{text} .= $more;
        }
        return map { \$_->{text} } @followed;
    };
}

# From now on.
sub follow
{
    my ($self) = @_;
    return follow_from(sub { -s $_[0] // 0 }, $self->logs);
}

# Waits until each of the logs has a line that matches; with $action, a line that
# came after the action had started.
sub await_lines
{
    my ($pattern, $logs, $action) = @_;
    my $follow = follow_from(sub { $action ? -s $_[0] // 0 : 0 }, @$logs);
    $action->() if $action;
    return eventually(sub { !grep { $$_ !~ $pattern } $follow->() });
}

# Waits until a session logs an error from now on whose "SQLSTATE message" matches;
# $action, if given, is run once the logs are being followed.
sub await_error
{
    my ($self, $pattern, $action) = @_;
    my $follow = $self->follow;
    $action->() if $action;
    return eventually(sub { grep { grep { $_ =~ $pattern } $$_ =~ /^E \d+ (.*)\n/mg } $follow->() });
}

# How often each "SQLSTATE message" is in the logs, the numbers in messages left out.
sub errors_of
{
    my (@logs) = @_;
    my %errors;
    for my $log (grep { -e } @logs)
    {
        for my $error (slurp_file($log) =~ /^E \d+ (.*)/mg)
        {
            my ($sqlstate, $message) = split ' ', $error, 2;
            $errors{ "$sqlstate " . ($message // '') =~ s/\d+/N/gr }++;
        }
    }
    return %errors;
}

# The distinct errors so far, and what a program that cannot go on has said.
sub errors
{
    my ($self) = @_;
    my %seen = errors_of($self->logs);
    $seen{$_}++ for grep { $_ ne '' } map { -e "$_.err" ? slurp_file("$_.err") : () } $self->logs;
    return sort keys %seen;
}

END
{
    my $status = $?;
    if ($$ == $owner)
    {
        my @left = grep { still_runs($_) } keys %running;
        kill 'KILL', @left;
        waitpid $_, 0 for @left;
    }
    $? = $status;
}

1;
