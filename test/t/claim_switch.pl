# A suspension that outlasts the claim: another server has the number when this one wakes
# up. It issues nothing past the claim's end, and goes over to a new number under load,
# without a restart; no ID repeats, and they rise through the switch.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use Claimants;
use FaultKit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);
use Timeshard;
use TimeshardSession;

my $conf = "timeshard.max_clock_jump = 0\n";
my $registry = start_registry('registry', clock => 1, conf => $conf);
my $node = new_claimant('suspended', $registry, clock => 1, conf => $conf);
my $other = new_claimant('other', $registry, clock => 1, conf => "$conf\ntimeshard.registry_numbers = '101-110'\n");
my @all = ($registry, $node, $other);
my $minutes = 0;

my @others;

is(await_claim($node), 100, 'the server has its number');
is(await_claim($other), 101, 'and the other one');
my $writers = start_writers($node, count => 6);

# Held up for eleven minutes: the claimant stands still while all clocks go on.
for my $round (1 .. 3)
{
    my $name = injected("suspension $round");
    my $number = number_of($node);
    my $pid = claimant_pid($node);
    kill 'STOP', $pid or die;
    my $claim_end = claimed_until($node);
    $minutes += 11;
    set_clock($_, "+${minutes}m") for @all;
    my $offset = -s $node->logfile;

    # Another server takes the number.
    my $taker = new_claimant("taker$round", $registry, clock => 1, conf => "$conf\ntimeshard.registry_numbers = '$number'\n", start => 0);
    set_clock($taker, "+${minutes}m");
    start_with_env($taker);
    $taker->safe_psql('postgres', 'CREATE EXTENSION timeshard');
    is(await_claim($taker), $number, "$name: another server takes number $number");
    my $takers = start_writers($taker, count => 3);
    fails_with($node, 'SELECT timeshard_next_id()', $no_claim, "$name: the suspended one refuses");
    is($node->safe_psql('postgres', "SELECT node_id IS NULL FROM timeshard_config()"), 't', "$name: and shows no number");

    kill 'CONT', $pid or die;
    my $start = monotonic();
    ok($writers->await_progress, "$name: it goes over to another number");
    note(sprintf '%s: the switch took %.2f s', $name, monotonic() - $start);
    my $new = number_of($node);
    isnt($new, $number, "$name: which is $new");
    ok($node->log_contains(qr/timeshard no longer holds node ID $number/, $offset), "$name: the log says so");
    $takers->await_progress or die;
    $taker->stop;
    $takers->stop;
    push @others, $takers->logs;
    check_claims($registry, ["taker$round"], $takers);
}
ok($writers->await_progress, 'the server works on');
$writers->stop;
check_ids($node, $writers, { name => 'the suspended server' });
is_deeply([ check_claims($registry, ['suspended'], $writers) ], [ 100, 102, 103, 104 ], 'and it used four');
check_ids($node, $writers->logs, @others, { order => 0, committed => 0, name => 'all servers' });

# Nobody took the number: the claim goes on after its end, with the number.
my $name = injected('a suspension that nobody used');
my $number = number_of($node);
my $pid = claimant_pid($node);
kill 'STOP', $pid or die;
$minutes += 11;
set_clock($_, "+${minutes}m") for @all;
fails_with($node, 'SELECT timeshard_next_id()', $no_claim, "$name: refused meanwhile");
kill 'CONT', $pid;
my $after = start_writers($node, count => 6);
is(number_of($node), $number, "$name: the number stays");
check_ids($node, $writers, $after, { name => $name });
check_claims($registry, ['suspended'], $writers, $after);
$_->stop for $node, $other, $registry;
report_figures();
done_testing();
