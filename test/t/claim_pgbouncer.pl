# The claimant asks through pgbouncer in transaction mode, with a role that may claim and
# nothing else; and the same through a restart of pgbouncer.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use Claimants;
use Clients;
use FaultKit;
use Pgbouncer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;
use TimeshardSession;

plan skip_all => 'pgbouncer is not installed' unless Pgbouncer::version();

my $registry = new_cluster('registry', create => 0, init => [ extra => [ '--locale=C.UTF-8', '--encoding=UTF8' ] ],
    conf => "timeshard.node_id = 1\nlisten_addresses = '127.0.0.1'\nfsync = on\n");
$registry->safe_psql('postgres', 'CREATE ROLE shop LOGIN');
$registry->safe_psql('postgres', 'CREATE DATABASE shop');
$registry->safe_psql('shop', "CREATE EXTENSION timeshard; SELECT timeshard_create_registry('[100,199]');
    GRANT EXECUTE ON FUNCTION timeshard_claim, timeshard_extend_claim, timeshard_end_claim, timeshard_is_claimed TO shop");
my $bouncer = Pgbouncer->new($registry);
my $way = "timeshard.registry = '" . $bouncer->connstr('shop') . "'\n";
my $node = fault_cluster('claimant', shim => 0, preload => 1, derived => 1, conf => "timeshard.node_id = 'registry'\n$way");
is(await_claim($node), 100, 'a claim through pgbouncer');
my $until = claimed_until($node);
ask_again($node);
ok(eventually(sub { claimed_until($node) > $until }), 'an extension');
$node->restart;
like(log_of($node), qr/timeshard has given node ID 100 back/, 'gives the number back');
is(await_claim($node), 100, 'and gets it again');
$bouncer->stop;
ask_again($node);
ok(eventually(sub { registry_error($node) =~ /refused/ }), 'pgbouncer is stopped');
is($node->safe_psql('postgres', 'SELECT node_id FROM timeshard_parse(timeshard_next_id())'), 100, 'IDs go on');
$_->stop for $node, $registry;
done_testing();
