# The first ID of a server run needs no rights of its caller, not even to look at
# prepared transactions, and leaves the caller's as they are.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

for my $preload (0, 1)
{
    my $mode = $preload ? 'preloaded' : 'lazy';
    my $node = new_cluster("rights_$mode", preload => $preload,
        conf => "timeshard.node_id = 3\nmax_prepared_transactions = 5");
    $node->safe_psql('postgres', 'REVOKE EXECUTE ON FUNCTION pg_prepared_xact() FROM PUBLIC; CREATE ROLE nobody LOGIN;'
          . " SELECT timeshard_next_id(); BEGIN; CREATE TABLE prepared (); PREPARE TRANSACTION 'p'");
    restart_with_env($node);
    my ($rc, $out, $err) = $node->psql('postgres', 'SELECT timeshard_next_id() > 0, current_user; SELECT count(*) FROM pg_prepared_xact()',
        extra_params => [ '-U', 'nobody' ], on_error_stop => 0);
    is($out, 't|nobody', "$mode: the first ID, by a role that may do nothing else");
    like($err, qr/permission denied for function pg_prepared_xact/, "$mode: and has no more rights after it");
    $node->stop;
}

done_testing();
