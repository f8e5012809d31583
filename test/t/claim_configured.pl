# A number configured by hand beside a registry. A server that is told of the registry
# refuses to issue IDs while another has claimed its number; no claimed number is issued
# by it meanwhile.
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

my $next = 'SELECT node_id FROM timeshard_parse(timeshard_next_id())';
my $registry = start_registry('registry');
my $claimant = new_claimant('claimant', $registry);
is($claimant->safe_psql('postgres', $next), 100, 'a server claims');

my $beside = registry_settings($registry) =~ s/^timeshard\.node_id.*\n//r;
my $node = fault_cluster('configured', shim => 0, preload => 1, derived => 1, conf => "timeshard.node_id = 7\n$beside");
is($node->safe_psql('postgres', $next), 7, 'a number outside the registry is used as ever');
is($node->safe_psql('postgres', 'SELECT node_id_source FROM timeshard_config()'), 'configuration', 'and is a configured one');

# One of the registry's numbers, which nobody has.
configure($node, 'timeshard.node_id = 150', $beside);
start_with_env($node, __action => 'restart');
$node->wait_for_log(qr/trouble with timeshard's registry: the configured node ID is one that the registry hands out/);
is($node->safe_psql('postgres', $next), 150, 'a number of the registry that nobody has claimed is warned of');

# One that is claimed.
configure($node, 'timeshard.node_id = 100', $beside);
my $offset = -s $node->logfile;
start_with_env($node, __action => 'restart');
$node->wait_for_log(qr/trouble with timeshard's registry: the configured node ID is claimed by a server/, $offset);
fails_with($node, $next,
    qr/ERROR:  55000: node ID 100 is claimed from the registry by another server\n.*\nHINT:  Set timeshard.node_id to "registry"/,
    'a number that another server has claimed is refused');
is($node->safe_psql('postgres', 'SELECT * FROM timeshard_claim_status()'),
    '||the configured node ID is claimed by a server', 'and timeshard_claim_status() says so');
crash_restart($node);
$node->poll_query_until('postgres', 'SELECT registry_error IS NOT NULL FROM timeshard_claim_status()') or die;
fails_with($node, $next, qr/node ID 100 is claimed/, 'after a crash of a session as well');

# It is given back.
$claimant->stop;
ok(eventually(sub { $node->reload; usleep(200_000); ($node->psql('postgres', $next))[0] == 0 }), 'once it is given back, the server goes on');

# The registry is down.
$registry->stop;
configure($node, 'timeshard.node_id = 7', $beside);
start_with_env($node, __action => 'restart');
is($node->safe_psql('postgres', $next), 7, 'a configured number waits for no registry');
$node->stop;
done_testing();
