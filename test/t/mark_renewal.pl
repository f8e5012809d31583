# The reservation reaches ahead as far as the disk is slow, and on a preloaded server a
# worker renews it while IDs are in use, so that no session waits for the sync.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";

use FaultKit;
use MarkFile;
use MarkShim;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use Timeshard;
use TimeshardSession;

my $next = 'SELECT timeshard_next_id()';

sub stat_of
{
    my ($node, $column) = @_;
    return $node->safe_psql('postgres', "SELECT $column FROM timeshard_stats()");
}

# Calls once in a while for so many seconds; the longest that one took, in seconds.
sub longest_call
{
    my ($session, $seconds) = @_;
    my $longest = 0;
    my $end = monotonic() + $seconds;
    while (monotonic() < $end)
    {
        my $start = monotonic();
        $session->ask_ok($next);
        my $took = monotonic() - $start;
        $longest = $took if $took > $longest;
        usleep(100_000);    # the pace of the calls
    }
    return $longest;
}

my $node = fault_cluster('renewed', preload => 1, conf => "timeshard.node_id = 7\n");
my $session = TimeshardSession->new($node);
$session->ask_ok($next);

# Syncs of 400 ms: the first that is as slow is within the second reserved, and no call
# waits for any of them.
shim($node, 'slow fdatasync 400');
my $before = stat_of($node, 'mark_extensions');
my $longest = longest_call($session, 6);
shim_clear($node);
cmp_ok(stat_of($node, 'mark_extensions'), '>=', $before + 3, 'the reservation was renewed, with slow syncs');
cmp_ok($longest, '<', 0.35, 'and no call waited for one');
cmp_ok(stat_of($node, 'EXTRACT(epoch FROM slowest_extension)'), '>=', 0.4, 'which were as slow as the test has them');

# Nobody makes IDs: the worker rests after ten seconds.
my $extensions = stat_of($node, 'mark_extensions');
my $still = sub {
    my $now = stat_of($node, 'mark_extensions');
    my $rests = $now == $extensions && stat_of($node, 'clock_timestamp() > reserved_until + interval \'2 s\'') eq 't';
    $extensions = $now;
    return $rests;
};
ok(eventually($still), 'an idle server renews nothing');
$session->ask_ok($next);
my $end = stat_of($node, 'reserved_until');
ok(eventually(sub { stat_of($node, "reserved_until > '$end'") eq 't' }), 'the next ID wakes the worker');

# The worker ends: the server goes on without, and gets another.
my $worker = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'timeshard'");
$node->safe_psql('postgres', "SELECT pg_terminate_backend($worker, 10000)");
cmp_ok(longest_call($session, 3), '<', 1, 'without a worker, sessions extend the reservation');
ok(eventually(sub { $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'timeshard'") eq 1 }),
    'a new worker is started');

# Slow syncs: the window follows them, and the next run waits for what was reserved.
shim($node, 'slow fdatasync 1500');
ok(eventually(sub { $session->ask_ok($next); mark_of($node)->{window} >= 4500 }), 'syncs of 1.5 s: the reservation reaches 4.5 s ahead of their start');
ok(eventually(sub { $session->ask_ok($next); stat_of($node, "reserved_until > clock_timestamp() + interval '2.5 s'") eq 't' }),
    'of which 3 s are left at their end');
shim_clear($node);
$node->stop('immediate');
start_with_env($node);
my $start = monotonic();
my ($rc, $out, $err) = $node->psql('postgres', $next);
ok($rc == 0, 'after a crash, the first call waits for the end of what was reserved') or diag $err;
cmp_ok(monotonic() - $start, '<', 8, 'no longer than that');

# Without a worker, a session holds the lock through a sync. The next worker waits for the
# lock, and ends at once when it is told to.
$session = TimeshardSession->new($node);
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE backend_type = 'timeshard'");
my $holder = TimeshardSession->new($node);
shim($node, 'stop fdatasync before');
$holder->send("$next, pg_sleep(0.05) FROM generate_series(1, 100)");
my $stopped = stopped_pid($node);
is($stopped, $holder->pid, 'a session stands in a sync of the mark');
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'timeshard'"), 'a new worker is started');
$worker = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'timeshard'");
$session->send($next);
$session->await_wait;    # and has woken the worker
is($node->safe_psql('postgres', "SELECT pg_terminate_backend($worker, 5000)"), 't', 'the worker ends while it waits for the lock');
resume($stopped);
is(($holder->receive)[1], '', 'the session goes on');
like(($session->receive)[0], qr/^\d+$/, 'and so do IDs');
$holder->finish;

done_testing();
