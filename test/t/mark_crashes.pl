# Crashes and fast ends of servers at work, in both load modes: of a backend, of
# the postmaster alone, of the whole server, ten in a row, an immediate stop, a
# restart within a second. Each also with the clock set back an hour before the
# restart: refused until it is right, then served without another restart.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use FaultKit;
use MarkFile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use Timeshard;
use TimeshardSession;

my $next = 'SELECT timeshard_next_id()';
my $long = 'SELECT count(timeshard_next_id()) FROM (SELECT generate_series(1, 2000000000)) AS series';
my $refused = qr/clock is [\d.]+ s behind what earlier runs of this server reserved/;
my $node;

# The faults; each leaves the server running.
my %fault = (
    'a backend is killed' => sub {
        my ($step) = @_;
        $step->();
        kill9_backend($node);
    },
    'the postmaster is killed' => sub {
        my ($step) = @_;
        my @orphans = kill9_postmaster($node);
        is(join(' ', wait_gone(@orphans)), '', 'the orphaned sessions end');
        $step->();
        restart_now($node);
    },
    'the whole server is killed' => sub {
        my ($step) = @_;
        kill9_all($node);
        $step->();
        restart_now($node);
    },
    'an immediate stop' => sub {
        my ($step) = @_;
        $node->stop('immediate');
        $step->();
        start_with_env($node);
    });

sub crash_with_clock
{
    my ($mode, $writers, $fault) = @_;
    my $name = injected("$mode: $fault");
    $fault{$fault}->(sub { });
    ok($writers->await_progress, "$name: all sessions are served again");

    $name = injected("$name, the clock set back an hour");
    my $pid;
    ok( $writers->await_error(
            qr/^55000 $refused$/,
            sub {
                $fault{$fault}->(sub { set_clock($node, '-1h') });
                $pid = $node->{_pid};
            }),
        "$name: refused");
    fails_with($node, $next,
        qr/ERROR:  55000: $refused\nDETAIL:  IDs of up to .* may have been issued, the clock reads .*\nHINT:  Set the server's clock right/,
        "$name: and says why");
    set_clock($node, '+0');
    ok($writers->await_progress, "$name: set right, all sessions are served");
    is($node->{_pid}, $pid, "$name: by the server that refused");
    return;
}

# Orphaned sessions, in the middle of a statement that takes IDs: they end when
# what is reserved does, and until then no other postmaster starts.
sub orphans
{
    my ($mode) = @_;
    my $name = injected("$mode: orphans at work");
    my @at_work = map { TimeshardSession->new($node) } 1 .. 3;
    for my $session (@at_work) { $session->send($long); $session->await_active; }
    # One stands in the middle of an extension, whatever happens.
    shim($node, 'stop write before');
    my $stopped = stopped_pid($node);
    my $postmaster = $node->{_pid};
    kill9_postmaster($node);
    my $start = monotonic();
    is(join(' ', wait_gone(grep { $_ != $stopped } map { $_->pid } @at_work)), '', "$name: they end");
    cmp_ok(monotonic() - $start, '<', 1 + 0.7, "$name: with their reservation, or little later");
    wait_gone($postmaster);

    my $log = -s $node->logfile;
    ok(!start_with_env($node, __fail_ok => 1), "$name: no new postmaster while one of them is there");
    ok($node->log_contains(qr/pre-existing shared memory block .* is still in use/, $log), "$name: it says so");
    $start = monotonic();
    resume($stopped);
    is(join(' ', wait_gone($stopped)), '', "$name: the last one ends");
    cmp_ok(monotonic() - $start, '<', 1 + 0.7, "$name: as soon");
    my $end = mark_of($node)->{end};
    $_->receive for @at_work;
    for my $session (@at_work) { ok($session->{lost}, "$name: its connection is lost") }
    restart_now($node);
    cmp_ok(offset_of($node->safe_psql('postgres', $next)), '>', $end, "$name: IDs go on above");
    return;
}

# The first call after a restart waits for what was reserved, which is over
# 1 s after the stop at the latest, and not at all when it is.
sub stalls
{
    my ($mode) = @_;
    for my $case ([ 'fast', 0 ], [ 'immediate', 0 ], [ 'fast', 2 ])
    {
        my ($how, $down) = @$case;
        my $name = injected("$mode: $how stop, started " . ($down ? "after $down s" : 'at once'));
        my $session = TimeshardSession->new($node);
        $session->ask_ok('SELECT count(timeshard_next_id()) FROM generate_series(1, 5000)');
        $session->finish;
        $node->stop($how);
        my $down_at = monotonic();
        my $end = mark_of($node)->{end};
        eventually(sub { monotonic() - $down_at > $down }) if $down;
        start_with_env($node);
        $session = TimeshardSession->new($node);
        my $asked = monotonic();
        my $id = $session->ask_ok($next);
        my $served = monotonic();
        $session->finish;
        note(sprintf '%s: down for %.2f s, the first call took %.2f s', $name, $asked - $down_at, $served - $asked);
        cmp_ok(offset_of($id), '>', $end, "$name: above what was reserved");
        my $due = $down_at + 1 > $asked ? $down_at + 1 : $asked;
        cmp_ok($served - $due, '<', 0.4, "$name: the first call stalls no longer than 1 s less the downtime");
    }
    return;
}

for my $mode (qw(lazy preloaded))
{
    $node = fault_cluster("crash_$mode", clock => 1, preload => $mode eq 'preloaded',
        conf => "timeshard.node_id = 31\nautovacuum = off\n");
    my $writers = start_writers($node, count => 4, pause => 500);
    crash_with_clock($mode, $writers, $_) for sort keys %fault;

    # No time to recover between them: whole servers, or backends.
    injected("$mode: crash $_ of ten") for 1 .. 10;
    for (1 .. 10)
    {
        if ($mode eq 'lazy') { kill9_all($node); restart_now($node); }
        else { kill9_backend($node); }
    }
    ok($writers->await_progress, "$mode: ten crashes in a row: all sessions are served again");
    $writers->stop;
    orphans($mode);
    stalls($mode);
    my $after = start_writers($node, count => 2);
    my $figures = check_ids($node, $writers, $after, { name => $mode });
    is(join(' ', grep { !/^(?:08006|55000|57P0[123])$/ } keys %{ $figures->{errors} }), '',
        "$mode: no errors but those");
    $node->stop;
}
report_figures();

done_testing();
