# Sessions stopped in the first wait after a start and in the reading of the mark
# before it, then let go on, killed, cancelled, terminated or timed out; the clock
# stepped back during that wait.
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

my $next = 'SELECT timeshard_next_id()';
my $writers;
my %outcome = (
    cancelled => qr/^ERROR:  57014: canceling statement due to user request/,
    terminated => qr/^FATAL:  57P01: terminating connection due to administrator command/,
    'timed out' => qr/^ERROR:  57014: canceling statement due to statement timeout/);
# In both load modes; a wait of up to a minute leaves time to do things in it.
my %nodes = map {
    $_ => fault_cluster($_, clock => 1, preload => $_ eq 'preloaded', conf => <<'CONF')
timeshard.node_id = 36
timeshard.max_clock_wait = 60s
autovacuum = off
CONF
} qw(lazy preloaded);

sub end_it
{
    my ($name, $session, $how) = @_;
    my $start = monotonic();
    kill { cancelled => 'INT', terminated => 'TERM' }->{$how}, $session->pid;
    my ($out, $err) = $session->receive;
    like($err, $outcome{$how}, "$name: $how");
    cmp_ok(monotonic() - $start, '<', 1, "$name: $how within a second");
    return;
}

# Starts the server again with its clock 30 s behind, so that all who want an ID
# wait; returns so many of them.
sub restart_behind
{
    my ($node, $number) = @_;
    $writers->stop if $writers;
    $node->stop('immediate');
    set_clock($node, '-30');
    start_with_env($node);
    return map { TimeshardSession->new($node) } 1 .. $number;
}

for my $mode (qw(lazy preloaded))
{
    my $node = $nodes{$mode};
    my $before = start_writers($node, count => 2, pause => 1000);
    my $name = "$mode, the first wait";
    $before->stop;

    injected($name);
    my @sessions = restart_behind($node, 6);
    for my $session (@sessions) { $session->send($next); $session->await_wait; }
    my ($stopped, $cancelled, $terminated, $killed, @waiting) = @sessions;
    my ($out, $err) = TimeshardSession->new($node)->ask("SET statement_timeout = '200ms';\n$next");
    like($err, $outcome{'timed out'}, "$name: timed out");
    end_it($name, $cancelled, 'cancelled');
    end_it($name, $terminated, 'terminated');
    kill 'STOP', $stopped->pid;
    set_clock($node, '+0');
    like(($_->receive)[0], qr/^\d+$/, "$name: the clock set right, an ID in spite of one that is stopped")
      for @waiting, $killed;
    kill 'CONT', $stopped->pid;
    like(($stopped->receive)[0], qr/^\d+$/, "$name: it has one when it goes on");
    $_->finish for grep { !$_->{lost} } @sessions;

    # A kill ends everybody's wait, as every crash does.
    $name = "$mode, killed in the first wait";
    injected($name);
    my $between = start_writers($node, count => 2, pause => 1000);
    $between->stop;
    ($killed, @waiting) = restart_behind($node, 2);
    for my $session ($killed, @waiting) { $session->send($next); $session->await_wait; }
    my $log = -s $node->logfile;
    kill 'KILL', $killed->pid;
    $_->receive for $killed, @waiting;
    $node->wait_for_log(qr/all server processes terminated; reinitializing/, $log);
    await_ready($node);
    my $later = start_writers($node, count => 3, wait => 0);
    ok($node->poll_query_until('postgres', <<'SQL'), "$name: the others wait again");
SELECT count(*) = 3 FROM pg_stat_activity WHERE application_name = 'fault_writer' AND wait_event_type = 'Extension'
SQL

    # The clock goes back in the wait: past what is waited for, all are refused;
    # right again, all are served.
    $name = "$mode, the clock stepped back in the first wait";
    injected($name);
    my $refused = qr/^55000 clock is [\d.]+ s behind the floor$/;
    ok($later->await_error($refused, sub { set_clock($node, '-3600') }), "$name: refused");
    my $session = TimeshardSession->new($node);
    like(($session->ask($next))[1],
        qr/^ERROR:  55000: clock is [\d.]+ s behind the floor\nDETAIL:  IDs of up to .*\nHINT:  Set the server's clock right\./,
        "$name: with a hint");
    set_clock($node, '+0');
    ok($later->await_progress, "$name: set right, all are served without another start");
    $session->finish;

    # Back again and again, each time by less than is waited for.
    $name = "$mode, the clock stepped back again and again in the first wait";
    injected($name);
    $later->stop;
    $node->append_conf('postgresql.conf', "timeshard.max_clock_wait = 500ms");
    $node->stop('immediate');
    start_with_env($node);
    $session = TimeshardSession->new($node);
    my $start = monotonic();
    $session->send($next);
    my $back = 0;
    my $asked = 0;
    until ($asked)
    {
        $back -= 0.02;
        set_clock($node, sprintf '%.2f', $back);
        Time::HiRes::usleep(20_000);
        $session->{run}->pump_nb;
        $asked = $session->{out} ne '' || monotonic() - $start > 20;
    }
    ($out, $err) = $session->receive;
    cmp_ok(monotonic() - $start, '<', (1 + 0.5) * 9 / 8 + 2, "$name: it ends within its bound");
    set_clock($node, '+0');
    $session->finish;

    # Before the wait, the mark is read, by one session for all.
    for my $step ('open', 'read')
    {
        $name = "$mode, stopped at the $step of the mark";
        injected($name);
        $node->stop('immediate');
        start_with_env($node);
        my ($first, $second, $third) = map { TimeshardSession->new($node) } 1 .. 3;
        # Without preloading, the identity has the mark read before, without the lock.
        shim($node, $mode eq 'lazy' ? "stop $step#2 before" : "stop $step before");
        $first->send($next);
        my $pid = stopped_pid($node);
        is($pid, $first->pid, "$name: it stands");
        for my $waiter ($second, $third) { $waiter->send($next); $waiter->await_wait; }
        is($node->safe_psql('postgres', 'SELECT (timeshard_parse(1)).node_id'), 0, "$name: parsing goes on");
        end_it($name, $second, 'cancelled');
        ($out, $err) = TimeshardSession->new($node)->ask("SET statement_timeout = '200ms';\n$next");
        like($err, $outcome{'timed out'}, "$name: timed out");
        kill 'INT', $pid;
        resume($pid);
        like(($first->receive)[1], $outcome{cancelled}, "$name: cancelled, it is told when it goes on");
        like(($third->receive)[0], qr/^\d+$/, "$name: the other has its ID");
        $_->finish for $first, $second, $third;
    }
    $name = "$mode, killed at the read of the mark";
    injected($name);
    $node->stop('immediate');
    start_with_env($node);
    my $first = TimeshardSession->new($node);
    shim($node, 'kill read after');
    $first->ask($next);
    ok($first->{lost}, "$name: it is gone");
    await_ready($node);
    $writers = start_writers($node, count => 3);
    check_ids($node, $before, $between, $later, $writers, { name => $mode });
    $node->stop;
}
report_figures();

done_testing();
