# Signal 9 to the claimant or to a session: PostgreSQL starts all sessions anew, with new
# shared memory. The postmaster carries the claim over, so the number stays and nothing
# repeats; signal 9 to everything ends the claim for good.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use Claimants;
use FaultKit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use Timeshard;
use TimeshardSession;

my $registry = start_registry('registry');
my $node = new_claimant('killed', $registry);
is(await_claim($node), 100, 'the server has a number');
my $writers = start_writers($node, count => 6);
my $claims = sub { scalar(() = log_of($node) =~ /timeshard has claimed node ID/g) };

# Kills the claimant, and waits until the server is back.
sub kill_claimant
{
    my $offset = -s $node->logfile;
    my $pid = claimant_pid($node);
    kill 'KILL', $pid or die;
    $node->wait_for_log(qr/all server processes terminated; reinitializing/, $offset);
    await_ready($node);
    return;
}

for my $round (1 .. 5)
{
    kill9_backend($node);
    injected("session $round");
    ok($writers->await_progress, "session $round is killed: IDs go on");
    kill_claimant();
    injected("claimant $round");
    ok($writers->await_progress, "claimant $round is killed: IDs go on");
    ask_again($node);
}
is(number_of($node), 100, 'the number has stayed');
is($claims->(), 1, 'with one claim');
my $until = claimed_until($node);
ask_again($node);
ok(eventually(sub { claimed_until($node) > $until }), 'which can be extended still');

# In the middle of an extension, whose answer nobody reads.
my $name = injected('the claimant is killed in a request');
my $lock = TimeshardSession->new($registry);
$lock->ask_ok('BEGIN; LOCK TABLE timeshard_registry_numbers IN ACCESS EXCLUSIVE MODE');
$until = claimed_until($node);
ask_again($node);
$registry->poll_query_until('postgres', "SELECT count(*) > 0 FROM pg_stat_activity WHERE query ~ 'extend_claim' AND wait_event_type = 'Lock'") or die;
kill_claimant();
$lock->ask_ok('COMMIT');
$lock->finish;
ok($writers->await_progress, "$name: IDs go on");
ok(eventually(sub { ask_again($node); usleep(200_000); claimed_until($node) > $until }), "$name: its successor is believed");
is($claims->(), 1, "$name: by the same claim");

# What is given back after a crash, without an ID since: above all that was issued.
$name = injected('a crash just before a stop');
$writers->stop;
my $highest = $node->safe_psql('postgres', 'SELECT max(id) >> 22 FROM fault_rows');
kill_claimant();
$node->stop;
like(log_of($node), qr/timeshard has given node ID 100 back/, "$name: the number is given back");
my $end = $registry->safe_psql('postgres', 'SELECT end_offset FROM timeshard_registry_numbers WHERE number = 100');
cmp_ok($end, '>', $highest, "$name: from above the highest ID");
check_ids($registry, $writers, { committed => 0, name => $name });

# Everything at once: the claim runs out by itself.
$name = injected('signal 9 to the whole server');
start_with_env($node);
is(await_claim($node), 100, 'the number is free again');
my $before = start_writers($node, count => 4);
kill9_all($node);
is(fleet_state($registry, 100), 'claimed', "$name: the registry believes it alive");
restart_now($node);
isnt(await_claim($node), 100, "$name: the next run has another number");
my $after = start_writers($node, count => 4);
ok($after->await_progress, "$name: and IDs");
check_ids($node, $writers, $before, $after, { name => 'all kills' });
check_claims($registry, ['killed'], $writers, $before, $after);
$_->stop for $node, $registry;
report_figures();
done_testing();
