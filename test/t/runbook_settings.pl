# doc/runbook.md, node IDs: changed now and later, lost, never set, settings with which
# the server does not start.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Runbook;
use Test::More;
use Timeshard;

my $next = 'SELECT timeshard_next_id()';
my $node = new_cluster('settings', preload => 1, conf => "timeshard.node_id = 298\n");
my $book = Runbook->new->at($node);
my $conf = $node->data_dir . '/postgresql.conf';

my ($setup) = map { $_->{text} } $book->{block}{setup};
is_deeply([ sort $setup =~ /^export (\w+)=/mg ], [qw(CONF NODE_CONF PGDATA PGDATABASE UNIT)], 'the page names what the tests set');

my $before = $node->safe_psql('postgres', $next);
$book->run('node-id-now');
my $after = $node->safe_psql('postgres', $next);
cmp_ok($after, '>', $before, 'changed now: IDs go on above');
is(($after >> 12) & 1023, 299, 'with the new number');

configure($node, 'timeshard.node_id = 298');
restart_with_env($node);
$book->run('node-id-planned');
is((($node->safe_psql('postgres', $next)) >> 12) & 1023, 298, 'planned: still the old number');
$book->run('node-id-restart');
is((($node->safe_psql('postgres', $next)) >> 12) & 1023, 299, 'planned: the new number');

# The setting is gone, after IDs were issued.
configure($node);
restart_with_env($node);
fails_with($node, $next, qr/ERROR:  F0000: the configured node ID has been lost\nDETAIL:  This server last issued IDs as node 299,/, 'lost');
$book->run('lost');

# It was never there.
$node->stop;
configure($node);
unlink $node->data_dir . '/timeshard.mark';
start_with_env($node);
$node->safe_psql('postgres', 'SELECT 1');
my ($ok, $out, $err) = $node->psql('postgres', $next);
like($err, qr/is derived from the machine's address|this server has no node ID, and issues no IDs/, 'never set');
$book->run('lost');
($ok, $out, $err) = $node->psql('postgres', $next);
is($err, '', 'set: no warning any more');

# The server does not start.
for my $case (
    [ 'timeshard.node_id = 2oo', qr/invalid value for parameter "timeshard\.node_id": "2oo"/ ],
    [ 'timeshard.node_id = 5000', qr/node ID must be between 0 and 1023/ ],
    [ 'timeshard.nodeid = 298', qr/unrecognized configuration parameter "timeshard\.nodeid"/, 'nodeid' ],
    [ "timeshard.node_id = '2oo'", qr/invalid value for parameter "timeshard\.node_id": "2oo"/, undef, 'postgresql.auto.conf' ])
{
    my ($line, $logged, $wrong, $file) = @$case;
    $node->stop;
    configure($node, $file ? 'timeshard.node_id = 298' : $line);
    $node->append_conf($file, $line) if $file;
    my $log = -s $node->logfile;
    ok(!start_with_env($node, __fail_ok => 1), "$line: does not start");
    like(slurp_file($node->logfile, $log), $logged, "$line: the log says why");
    $book->ends_in('no-start', '298|configuration|f', $wrong ? sub { s/\\\.\Knode_id/$wrong/r } : ());
    unlike(slurp_file($node->data_dir . '/postgresql.auto.conf'), qr/timeshard/, "$line: not set twice");
}

$book->finish;
$node->stop;
done_testing();
