# Who may call a function stays as it was when an upgrade makes it anew. (That the
# objects are those of a fresh installation: 053_upgrade_paths.pl.)
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

my $node = new_cluster('upgrade', conf => 'timeshard.node_id = 3');

# What 0.5.0 makes anew.
my $rights = "SELECT array(SELECT unnest(proacl)::text ORDER BY 1) FROM pg_proc WHERE oid = 'timeshard_stats()'::regprocedure";
for my $case (
    [ 'none', '' ],
    [ 'revoked', 'REVOKE ALL ON FUNCTION timeshard_stats() FROM PUBLIC' ],
    [ 'granted', 'REVOKE ALL ON FUNCTION timeshard_stats() FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION timeshard_stats() TO "a monitor" WITH GRANT OPTION; GRANT EXECUTE ON FUNCTION timeshard_stats() TO other' ],
    [ 'beside PUBLIC', 'GRANT EXECUTE ON FUNCTION timeshard_stats() TO other' ])
{
    my ($name, $sql) = @$case;
    $node->safe_psql('postgres', 'CREATE ROLE "a monitor"; CREATE ROLE other') if $name eq 'none';
    (my $dbname = "rights_$name") =~ tr/ /_/;
    $node->safe_psql('postgres', qq{CREATE DATABASE "$dbname"});
    my $before = $node->safe_psql($dbname, "CREATE EXTENSION timeshard VERSION '0.4.0'; $sql; $rights");
    $node->safe_psql($dbname, 'ALTER EXTENSION timeshard UPDATE');
    is($node->safe_psql($dbname, $rights), $before, "rights, $name: as before the upgrade ($before)");
    # What an extension's script grants is the extension's to PostgreSQL, and not dumped.
    my $dump = PostgreSQL::Test::Utils::tempdir . '/dump.sql';
    $node->command_ok([ 'pg_dump', '-f', $dump, $dbname ], "rights, $name: dumped");
    $node->safe_psql('postgres', qq{CREATE DATABASE "${dbname}_again"});
    $node->command_ok([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, "${dbname}_again" ], "rights, $name: restored");
    is($node->safe_psql("${dbname}_again", $rights), $before, "rights, $name: as before in a restored dump");
}

# Nor do the rights of the extension's script keep a role from being dropped.
for my $name (qw(granted beside_PUBLIC))
{
    $node->safe_psql("rights_$name$_", 'REVOKE ALL ON FUNCTION timeshard_stats() FROM "a monitor", other') for '', '_again';
}
is($node->safe_psql('postgres', 'DROP ROLE "a monitor"; DROP ROLE other; SELECT 1'), '1', 'roles without rights can be dropped');

$node->stop;
done_testing();
