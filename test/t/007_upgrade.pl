# From every released version to the newest: the same objects as a fresh install,
# and the generator goes on.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

my $node = new_cluster('upgrade', conf => 'timeshard.node_id = 3');

# All that the catalog knows of the extension's objects.
my $objects = <<'SQL';
SELECT p.oid::regprocedure, pg_get_functiondef(p.oid), p.proacl, obj_description(p.oid, 'pg_proc')
FROM pg_proc AS p JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'timeshard' ORDER BY p.oid::regprocedure::text COLLATE "C";
SELECT t.oid::regtype, obj_description(t.oid, 'pg_type'), a.attname, a.atttypid::regtype,
       col_description(a.attrelid, a.attnum)
FROM pg_type AS t JOIN pg_depend AS d ON d.classid = 'pg_type'::regclass AND d.objid = t.oid
JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'timeshard'
LEFT JOIN pg_attribute AS a ON a.attrelid = t.typrelid ORDER BY t.oid::regtype::text COLLATE "C", a.attnum;
SQL
my $fresh = $node->safe_psql('postgres', $objects);
like($fresh, qr/timeshard_next_id/, 'the fresh objects are seen');

my $newest = $node->safe_psql('postgres', q{SELECT extversion FROM pg_extension WHERE extname = 'timeshard'});
my @older = split /\n/, $node->safe_psql('postgres', <<SQL);
SELECT version FROM pg_available_extension_versions WHERE name = 'timeshard' AND version <> '$newest'
SQL
ok(@older > 0, 'older versions can be installed: ' . join ' ', @older);

for my $version (@older)
{
    (my $dbname = "from_$version") =~ tr/./_/;
    $node->safe_psql('postgres', "CREATE DATABASE $dbname");
    my $before = $node->safe_psql($dbname, <<SQL);
CREATE EXTENSION timeshard VERSION '$version';
CREATE TABLE keyed (id bigint PRIMARY KEY DEFAULT timeshard_next_id());
INSERT INTO keyed DEFAULT VALUES RETURNING id;
SQL
    $node->safe_psql($dbname, 'ALTER EXTENSION timeshard UPDATE');
    is($node->safe_psql($dbname, $objects), $fresh, "$version to $newest: as installed afresh");
    cmp_ok($node->safe_psql($dbname, 'INSERT INTO keyed DEFAULT VALUES RETURNING id'),
        '>', $before, "$version to $newest: the default goes on");
}

# What 0.5.0 makes anew: who may call it stays as it was.
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
}

$node->stop;
done_testing();
