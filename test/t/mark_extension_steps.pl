# The session that extends the mark, or makes it, stopped at each of its steps,
# then killed, cancelled, terminated, timed out or let go on. Meanwhile the others
# go on to the end of what is reserved, then wait, and can be cancelled.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use FaultKit;
use MarkFile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;
use TimeshardSession;

my $node = fault_cluster('steps', conf => "timeshard.node_id = 34\nautovacuum = off\n");
my $path = mark_path($node);
# They leave most extensions to the session that is to be stopped.
my $writers = start_writers($node, count => 4, pause => 30_000);
my @waiting = map { TimeshardSession->new($node) } 1 .. 3;
my $session;
# A series in FROM would be made whole before the first ID.
my $long = 'SELECT count(timeshard_next_id()) FROM (SELECT generate_series(1, 2000000000)) AS series';
my $extensions = 'SELECT mark_extensions FROM timeshard_stats()';
my %outcome = (
    cancelled => qr/^ERROR:  57014: canceling statement due to user request/,
    terminated => qr/^FATAL:  57P01: terminating connection due to administrator command/,
    'timed out' => qr/^ERROR:  57014: canceling statement due to statement timeout/);

# Steps of an extension in place, and of one that makes the file anew; see
# stand_at.
my %place = (
    'before it opens the file' => ['stop open before'],
    'before the write' => ['stop write before'],
    'before the sync' => ['stop fdatasync before'],
    'after the sync' => ['stop fdatasync after'],
    'before the copy' => [ 'stop fdatasync after', 'stop write before' ]);
my %anew = (
    'before it opens the new file' => ['stop open@tmp before'],
    'before it writes the new file' => ['stop write@tmp before'],
    'before the sync of the new file' => ['stop fsync@tmp before'],
    'before the rename' => ['stop rename before'],
    'after the rename' => ['stop rename after'],
    'before the sync of the directory' => ['stop fsyncdir before']);

# Starts the long statement, and brings its session to stand at a step; any other
# session that comes there goes on.
sub stand_at
{
    my ($step) = @_;
    my @orders = @{ $place{$step} // $anew{$step} };
    for (1 .. 100)
    {
        shim($node, $orders[0]);
        unlink $path if $anew{$step};
        my $pid = stopped_pid($node);
        if ($pid != $session->pid)
        {
            shim_clear($node);
            my $so_far = $node->safe_psql('postgres', $extensions);
            resume($pid);
            $node->poll_query_until('postgres', "SELECT ($extensions) > $so_far") or die 'it does not go on';
            next;
        }
        for my $order (@orders[ 1 .. $#orders ])
        {
            shim($node, $order);
            resume($pid);
            stopped_pid($node) == $pid or die 'another session has the lock';
        }
        return $pid;
    }
    die "the session never comes to stand $step";
}

sub begin_long
{
    my (@before) = @_;
    $session->finish if $session && !$session->{lost};
    $session = TimeshardSession->new($node);
    $session->send(join "\n", @before, $long);
    $session->await_active;
    return;
}

# What came of the long statement: the error, '' where the connection is lost.
sub outcome
{
    my ($err) = ($session->receive)[1];
    return $err;
}

sub wait_for_all
{
    my ($name) = @_;
    return ok(
        $node->poll_query_until('postgres',
            "SELECT count(*) = 4 FROM pg_stat_activity WHERE application_name = 'fault_writer' "
              . "AND wait_event_type = 'Extension' AND state = 'active'"),
        "$name: the others wait");
}

# Whoever waits for the mark is cancelled, terminated or timed out within a second.
sub others_can_be_ended
{
    my ($name) = @_;
    for my $waiter (@waiting)
    {
        $waiter->send($long);
        $waiter->await_wait;
    }
    for my $how ('cancelled', 'terminated')
    {
        my $waiter = shift @waiting;
        my $start = monotonic();
        kill $how eq 'cancelled' ? 'INT' : 'TERM', $waiter->pid;
        my ($out, $err) = $waiter->receive;
        like($err, $outcome{$how}, "$name: a session that waits is $how");
        cmp_ok(monotonic() - $start, '<', 1, "$name: and soon");
        $waiter->finish unless $waiter->{lost};
        push @waiting, TimeshardSession->new($node);
    }
    my $waiter = TimeshardSession->new($node);
    my $start = monotonic();
    my ($out, $err) = $waiter->ask("SET statement_timeout = '300ms';\n$long");
    like($err, $outcome{'timed out'}, "$name: a session that waits is timed out");
    cmp_ok(monotonic() - $start, '<', 1.3, "$name: and soon");
    $waiter->finish;
    my ($rest) = splice @waiting, 0, 1;
    kill 'INT', $rest->pid;
    $rest->receive;
    push @waiting, $rest;
    return;
}

sub served
{
    my ($name) = @_;
    ok($writers->await_progress, "$name: all sessions are served again");
    return;
}

# All steps: let go on, and killed. Ended in other ways: where the disk is at work.
for my $step (sort keys %place, sort keys %anew)
{
    my $name = "stopped $step";
    injected($name);
    begin_long();
    my $end = mark_of($node)->{end};
    my $pid = stand_at($step);
    ok(eventually(sub { time * 1000 - $MarkFile::epoch > $end + 100 }), "$name: until what was reserved is over");
    wait_for_all($name);
    others_can_be_ended($name) if $step eq 'before the sync' || $step eq 'before the rename';
    resume($pid);
    served("$name, let go on");
    kill 'INT', $pid;
    like(outcome(), $outcome{cancelled}, "$name, let go on: it works as before");

    injected("killed $step");
    begin_long();
    $pid = stand_at($step);
    kill 'KILL', $pid;
    outcome();
    ok($session->{lost}, "killed $step: its connection is lost");
    $_->ask('SELECT 1') for @waiting;
    await_ready($node);
    @waiting = map { TimeshardSession->new($node) } 1 .. 3;
    served("killed $step");
    ok(await_mark($node), "killed $step: the mark is whole again");
}

for my $case (
    [ 'before the write', 'cancelled' ],
    [ 'before the sync', 'cancelled' ],
    [ 'before the sync', 'terminated' ],
    [ 'before the sync', 'timed out' ],
    [ 'before the copy', 'terminated' ],
    [ 'before the rename', 'timed out' ])
{
    my ($step, $how) = @$case;
    my $name = "$how $step";
    injected($name);
    # Long enough to come to stand at the step before, on a busy machine too.
    begin_long($how eq 'timed out' ? "SET statement_timeout = '6s';" : ());
    my $start = monotonic();
    my $pid = stand_at($step);
    kill $how eq 'cancelled' ? 'INT' : 'TERM', $pid if $how ne 'timed out';
    eventually(sub { monotonic() - $start > 6.1 }) if $how eq 'timed out';
    resume($pid);
    like(outcome(), $outcome{$how}, "$name: it is told");
    served($name);
}
shim_clear($node);
$_->finish for grep { !$_->{lost} } $session, @waiting;
my $figures = check_ids($node, $writers);
is(join(' ', grep { !/^(?:08006|57P0[123])$/ } keys %{ $figures->{errors} }), '',
    'the sessions saw no errors but lost connections');
report_figures();
$node->stop;

done_testing();
