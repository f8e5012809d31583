# The worker of a preloaded server takes part in what the server asks of every process:
# a database can be dropped beside it, whether IDs are in use or not.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

my $node = new_cluster('worker', preload => 1);
my $worker = q(SELECT pid FROM pg_stat_activity WHERE backend_type = 'timeshard');
my $pid = $node->safe_psql('postgres', $worker);
like($pid, qr/^\d+$/, 'the worker runs');

sub drops_database
{
    my ($name) = @_;
    $node->safe_psql('postgres', 'CREATE DATABASE shop');
    my ($rc, $out, $err) = $node->psql('postgres', "SET statement_timeout = '20s';\nDROP DATABASE shop");
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is("$rc $err", '0 ', $name);
}

# A signal barrier, which each process has to answer.
drops_database('a database is dropped');
$node->safe_psql('postgres', 'SELECT timeshard_next_id()');
drops_database('a database is dropped while IDs are in use');
is($node->safe_psql('postgres', $worker), $pid, 'by the same worker');

$node->stop;
done_testing();
