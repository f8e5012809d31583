# A machine whose addresses cannot be listed, as in a unit that forbids AF_NETLINK: a
# node ID is not guessed. Of an address list that is empty settings_node_address.pl tells.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";

use Compiled;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

my %env = (LD_PRELOAD => compile_preload('no_addresses'));
my $refusal = qr/could not list the machine's addresses: Address family not supported by protocol
.*DETAIL:  No node ID is configured, so one would be derived from them\.
.*HINT:  Set timeshard\.node_id to a number that no other server has/;

my $node = new_cluster('stock', conf => 'timeshard.node_id = 1');
$node->append_conf('postgresql.conf', 'timeshard.node_id = -1');
restart_with_env($node, %env);
fails_with($node, 'SELECT timeshard_next_id()', qr/ERROR:  55000: $refusal/, 'stock: refused') for 1 .. 2;

$node->append_conf('postgresql.conf', "shared_preload_libraries = 'timeshard'");
$node->stop;
my $offset = -s $node->logfile;
ok(!start_with_env($node, %env, __fail_ok => 1), 'preloaded: it does not start');
like(slurp_file($node->logfile, $offset), qr/FATAL:  $refusal/, 'preloaded: the log says why');

$node->append_conf('postgresql.conf', 'timeshard.node_id = 7');
start_with_env($node, %env);
is($node->safe_psql('postgres', 'SELECT node_id FROM timeshard_parse(timeshard_next_id())'), 7, 'a configured number needs no address');
$node->stop;
done_testing();
