# A server claims its node ID at its start: the first ID comes soon, a clean stop gives
# the number back, the next start gets it again, and nothing of it is kept in the data
# directory but the number that is asked for first.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use Claimants;
use FaultKit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use Timeshard;
use TimeshardSession;

my $next = 'SELECT node_id FROM timeshard_parse(timeshard_next_id())';
my $registry = start_registry('registry');

my $start = monotonic();
my $node = new_claimant('claimant', $registry, create => 0);
my $started = monotonic();
$node->safe_psql('postgres', 'CREATE EXTENSION timeshard');
my $number = $node->safe_psql('postgres', $next);
diag(sprintf 'start to the first ID: %.0f ms, of which %.0f ms from ready to the ID, with CREATE EXTENSION', (monotonic() - $start) * 1000, (monotonic() - $started) * 1000);
is($number, 100, 'a new server claims a number and issues IDs with it');
is($node->safe_psql('postgres', 'SELECT node_id, node_id_source, preloaded, pending_restart FROM timeshard_config()'), '100|registry|t|f',
    'timeshard_config() shows the number and its source');
like($node->safe_psql('postgres', 'SELECT timeshard_config_info()'),
    qr/^node ID +100 of 0 to 1023, from a registry\n(?:.*\n)*claim +until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/m, 'and a person reads it');
my ($own, $until, $error) = claim_of($node);
ok($until > time + 500 && $until < time + 700, 'the first claim lasts ten minutes');
is($error, '', 'there is no trouble');
is(fleet_state($registry, 100), 'claimed', 'the registry says so too');
unlike(log_of($node), qr/on a copy|has changed from|derived/, 'the log warns of nothing');

# The others see the number and not the error.
$node->safe_psql('postgres', 'CREATE ROLE stranger LOGIN');
is($node->safe_psql('postgres', 'SELECT node_id, claimed_until IS NOT NULL, registry_error FROM timeshard_claim_status()', extra_params => [ '-U', 'stranger' ]),
    '100|t|', 'any role sees the claim');
fails_with($node, 'SHOW timeshard.registry', qr/must be superuser|permission denied/, 'but not where it comes from', psql => { extra_params => [ '-U', 'stranger' ] });

# A second server, beside it.
my $other = new_claimant('other', $registry, conf => "timeshard.registry_numbers = '150-159'\n");
is($other->safe_psql('postgres', $next), 150, 'a second server claims one of the numbers that it may');

my $writers = start_writers($node, count => 4);
my $before = log_of($node);
$start = monotonic();
$node->stop;
cmp_ok(monotonic() - $start, '<', 10, 'a stop is not held up');
$writers->stop;
like(log_of($node), qr/timeshard has given node ID 100 back/, 'a clean stop gives the number back');
isnt(fleet_state($registry, 100), 'claimed', 'and the registry has it');
start_with_env($node);
my $again = start_writers($node, count => 4);
is($node->safe_psql('postgres', $next), 100, 'the next start gets it again');
check_ids($node, $writers, $again, { name => 'a planned restart' });

# A claim is extended.
my $old = claimed_until($node);
ask_again($node);
ok(eventually(sub { claimed_until($node) > $old }), 'the claim is extended');

# A worker that merely ends leaves its successor everything.
my $pid = claimant_pid($node);
kill 'TERM', $pid;
ok(eventually(sub { (claimant_pid($node) // $pid) != $pid }), 'a claimant that is ended is started again');
ask_again($node);
is($node->safe_psql('postgres', $next), 100, 'and goes on with the number');
is(scalar(() = log_of($node) =~ /has claimed node ID/g), 2, 'without a new claim');
$node->stop;
$other->stop;
report_figures();
done_testing();
