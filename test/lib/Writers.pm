# Client sessions that take IDs into a primary key without pause while a test
# does things to the server. Each keeps a log of every ID that was returned
# (fault_writer.cpp, a small program on libpq that is compiled into tmp_check);
# IdCheck.pm reads the logs.
#
#   my $writers = start_writers($node);         # or start_writers($node, count => 12, ...)
#   ... a fault ...
#   ok($writers->await_progress, 'service resumes');
#   $writers->stop;
#   my $figures = check_ids($node, $writers);   # three tests
#
# The sessions live through lost connections, errors and restarts by themselves,
# and end with the test. Several sets of writers, before and after a fault or on
# two servers, are checked together: check_ids($node, $before, $after).
package Writers;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use Compiled;
use IdCheck;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(usleep);
use TimeshardSession;

our @EXPORT = qw(prepare_table start_writers);

my @kinds = qw(rows row commit rollback one many reconnect);
my %running;
my $sets = 0;
my $owner = $$;

# The table that the writers write to. Its key finds a repeated ID at once; the
# check counts that (SQLSTATE 23505) as one.
sub prepare_table
{
    my ($node, $dbname) = @_;
    $node->safe_psql($dbname // 'postgres',
        'CREATE TABLE IF NOT EXISTS fault_rows (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), filler integer)');
    return;
}

# Starts sessions and waits until each has been given an ID.
#
#   count => 6         how many
#   kinds => [...]     of: rows row commit rollback one many reconnect (all of
#                      them); [qw(one many)] writes no table
#   pause => 0         us between two calls of a session
#   conninfo => "..."  in place of the node's own
#   wait => 0          do not wait for the IDs (nor make the table)
sub start_writers
{
    my ($node, %options) = @_;
    my $writer = compile_client('fault_writer');
    my $wait = $options{wait} // 1;
    prepare_table($node) if $wait;
    my $self = bless { node => $node, pids => [], logs => [] }, __PACKAGE__;
    my $base = $node->basedir . '/writers_' . ++$sets;
    my $conninfo = ($options{conninfo} // $node->connstr('postgres')) . ' connect_timeout=2 application_name=fault_writer';
    for my $number (1 .. $options{count} // 6)
    {
        my $log = "${base}_$number.log";
        my $pid = fork // die "cannot fork: $!";
        if ($pid == 0)
        {
            open STDERR, '>', "$log.err";
            my @command = ($writer, $conninfo, $log, $number + 100 * $sets,
                join(',', @{ $options{kinds} // \@kinds }), $options{pause} // 0);
            exec { $writer } @command or POSIX::_exit(127);
        }
        $running{$pid} = 1;
        push @{ $self->{pids} }, $pid;
        push @{ $self->{logs} }, $log;
    }
    die 'the writers do not get going: ' . join(' ', $self->errors) if $wait && !$self->await_progress;
    return $self;
}

sub logs
{
    my ($self) = @_;
    return @{ $self->{logs} };
}

# The lines that are added to the logs from now on: a function that returns,
# for each log, a reference to all of them so far.
sub follow
{
    my ($self) = @_;
    my @logs = map { { name => $_, at => -s $_ // 0, text => '' } } $self->logs;
    return sub {
        for my $log (@logs)
        {
            open my $in, '<', $log->{name} or next;
            seek $in, $log->{at}, 0;
            local $/;
            my $more = <$in> // '';
            $log->{at} += length $more;
            $log->{text} .= $more;
        }
        return map { \$_->{text} } @logs;
    };
}

# Waits until every session (or so many of them) has been given an ID by a call
# that started after now; false if that does not come to pass in time.
sub await_progress
{
    my ($self, $sessions) = @_;
    $sessions //= $self->logs;
    my $since = monotonic() * 1e9;
    my $follow = $self->follow;
    my %served;
    return eventually(sub {
        my $number = 0;
        for my $text ($follow->())
        {
            $number++;
            next if $served{$number};
            while ($$text =~ /^I \S+ \S+ (\d+) .*\n/mg)
            {
                $served{$number} = 1 if $1 > $since;
            }
        }
        return keys %served >= $sessions;
    });
}

# Waits until a session logs an error from now on whose "SQLSTATE message"
# matches; $action, if given, is run when it is being watched for.
sub await_error
{
    my ($self, $pattern, $action) = @_;
    my $follow = $self->follow;
    $action->() if $action;
    return eventually(sub {
        for my $text ($follow->())
        {
            while ($$text =~ /^E \d+ (.*)\n/mg)
            {
                my $error = $1;
                return 1 if $error =~ $pattern;
            }
        }
        return 0;
    });
}

# The distinct errors so far, without their numbers, and what a writer that
# cannot go on has said.
sub errors
{
    my ($self) = @_;
    my %seen;
    for my $log ($self->logs)
    {
        $seen{ s/\d+/N/gr }++ for map { /^E \d+ (.*)/ ? $1 : () } split /\n/, -e $log ? slurp_file($log) : '';
        $seen{$_}++ for grep { $_ ne '' } -e "$log.err" ? slurp_file("$log.err") : ();
    }
    return sort keys %seen;
}

# Stops the sessions after the call that each is in; one that does not return is
# left within some seconds, and the log tells of it as an error "stuck".
sub stop
{
    my ($self) = @_;
    my @left = grep { $running{$_} } @{ $self->{pids} };
    kill 'TERM', @left;
    my $start = monotonic();
    while (@left)
    {
        @left = grep { waitpid($_, POSIX::WNOHANG()) == 0 } @left;
        die "writers @left do not end" if monotonic() - $start > 30;
        usleep(5000);
    }
    delete @running{ @{ $self->{pids} } };
    return;
}

END
{
    my $status = $?;
    if ($$ == $owner)
    {
        kill 'KILL', keys %running;
        waitpid $_, 0 for keys %running;
    }
    $? = $status;
}

1;
