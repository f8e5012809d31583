# Killing servers, or parts of them, as a fault does, and starting them again.
package Processes;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Timeshard;
use TimeshardSession;
use Time::HiRes qw(usleep);

our @EXPORT = qw(
  is_alive children_of backends_of wait_gone kill9_backend kill9_postmaster
  kill9_all restart_now await_ready
);

my $owner = $$;
my %orphans;

# A killed postmaster is in the way of the next until it has been reaped, and
# init takes its time where it is a container's: so this process takes its place
# (PR_SET_CHILD_SUBREAPER).
my %prctl = (x86_64 => 157, aarch64 => 167);
my $prctl = $prctl{ (POSIX::uname())[4] };
syscall($prctl, 36, 1, 0, 0, 0) if $prctl;

# The state of a process (R, S, D, T, Z ...), its parent and its start, or nothing.
sub process_stat
{
    my ($pid) = @_;
    open my $in, '<', "/proc/$pid/stat" or return;
    my $line = <$in> // return;
    my @fields = split ' ', $line =~ s/.*\) //sr;
    return @fields[ 0, 1, 19 ];
}

# Of a server's process, which is reaped here if nobody has done it.
sub is_alive
{
    my ($pid) = @_;
    local ($?, $!);
    waitpid $pid, POSIX::WNOHANG();
    my ($state) = process_stat($pid);
    return defined $state && $state ne 'Z';
}

sub postmaster_of
{
    my ($node) = @_;
    my ($pid) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
    return $pid;
}

# All processes of the server but the postmaster.
sub children_of
{
    my ($node) = @_;
    my $postmaster = postmaster_of($node);
    return grep { ((process_stat($_))[1] // 0) == $postmaster } map { m{/proc/(\d+)$} } glob('/proc/[0-9]*');
}

# Those that serve a client, without asking the server, which may not answer.
sub backends_of
{
    my ($node) = @_;
    return grep {
        my $ended = !open my $in, '<', "/proc/$_/cmdline";
        !$ended && (<$in> // '') =~ /\[local\]|\d\(\d+\)/
    } children_of($node);
}

# Waits until all of these have ended, at most 10 s; returns those that have not.
sub wait_gone
{
    my (@pids) = @_;
    my $start = monotonic();
    while (@pids = grep { is_alive($_) } @pids)
    {
        last if monotonic() - $start > 10;
        usleep(2000);
    }
    return @pids;
}

# Kills one of the writers' sessions, which may be in the middle of anything,
# and waits until the server has started its shared memory anew. Needs
# restart_after_crash. Returns the backend's process ID.
sub kill9_backend
{
    my ($node) = @_;
    my $offset = -s $node->logfile;
    # Writers come and go: the chosen one may be past what a signal can interrupt.
    my $pid;
    eventually(sub {
        $pid = $node->safe_psql('postgres',
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'fault_writer' ORDER BY random() LIMIT 1");
        return 0 unless $pid ne '' && kill 'KILL', $pid;
        wait_gone($pid);
        my $end = monotonic() + 1;
        until ($node->log_contains(qr/PID $pid\) was terminated by signal 9/, $offset))
        {
            return 0 if monotonic() > $end;
            usleep(5000);
        }
        return 1;
    }) or die 'there is no session to kill';
    $node->wait_for_log(qr/all server processes terminated; reinitializing/, $offset);
    await_ready($node);
    return $pid;
}

# Kills the postmaster alone. Returns the process IDs of the sessions that are
# orphaned by it; they are to end soon, which is for the test to see (wait_gone).
sub kill9_postmaster
{
    my ($node) = @_;
    freeze($node);
    my @backends = backends_of($node);
    remember($node, children_of($node));
    $node->kill9;
    return @backends;
}

# Kills all of the server at once, so that nobody sees the others end.
sub kill9_all
{
    my ($node) = @_;
    my $postmaster = freeze($node);
    my @children = children_of($node);
    remember($node, @children);
    kill 'KILL', $postmaster, @children;
    $node->{_pid} = undef;
    my @left = wait_gone(@children);
    die "processes @left outlive signal 9" if @left;
    return;
}

# A postmaster that is stopped starts no process that nobody would know of.
sub freeze
{
    my ($node) = @_;
    my $postmaster = postmaster_of($node);
    kill 'STOP', $postmaster or die "cannot stop $postmaster: $!";
    eventually(sub { (process_stat($postmaster))[0] eq 'T' }) or die "$postmaster does not stop";
    return $postmaster;
}

# What a kill leaves is in the way of the next start until it has ended.
sub remember
{
    my ($node, @children) = @_;
    my $postmaster = postmaster_of($node);
    my %start = map { $_ => (process_stat($_))[2] } grep { is_alive($_) } $postmaster, @children;
    $orphans{ $node->name } = { postmaster => $postmaster, start => \%start };
    return;
}

sub orphans_left
{
    my ($name) = @_;
    my $start = $orphans{$name}{start};
    return grep {
        my $alive = is_alive($_);
        my $started = (process_stat($_))[2];
        defined $started && $started == $start->{$_} && ($alive || $_ == $orphans{$name}{postmaster})
    } keys %$start;
}

# Starts the server after a kill, as soon as that is possible, with whatever was
# left behind; ready for queries when it returns. %env as start_with_env.
sub restart_now
{
    my ($node, %env) = @_;
    my $name = $node->name;
    if ($orphans{$name})
    {
        my @left;
        eventually(sub { !(@left = orphans_left($name)) })
          or die "$name cannot start: of its former processes @left do not end";
        delete $orphans{$name};
    }
    $node->{_pid} = undef;
    start_with_env($node, %env);
    return;
}

sub await_ready
{
    my ($node) = @_;
    await_server($node) or die $node->name . ' does not answer';
    return;
}

# A session that a test has stopped cannot see that its postmaster is gone.
END
{
    my $status = $?;
    kill 'KILL', map { orphans_left($_) } keys %orphans if $$ == $owner;
    $? = $status;
}

1;
