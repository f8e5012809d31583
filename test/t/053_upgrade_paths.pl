# Upgrades, along every path: each version of which sql/ has a script goes to each
# later one, in one step and step by step, and the objects are those of a fresh
# installation of that version, fact by fact. What uses them goes on.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use ExtensionObjects qw(objects_of differences_between);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

my $sources = "$FindBin::RealBin/../..";
my $node = new_cluster('paths', conf => 'timeshard.node_id = 3', create => 0);

sub sql
{
    my ($sql) = @_;
    return $node->safe_psql('postgres', $sql);
}

my @versions = split /\n/, sql(<<'SQL');
SELECT version FROM pg_available_extension_versions WHERE name = 'timeshard' ORDER BY string_to_array(version, '.')::int[]
SQL
my $newest = sql("SELECT default_version FROM pg_available_extensions WHERE name = 'timeshard'");
is($versions[-1], $newest, "the newest of @versions is the one that is installed");

# Each release keeps its script: those of sql/ are the installed ones, and every
# release that the changelog tells of has one.
my @scripts = map { m{/timeshard--([^/]+)\.sql$} } glob "$sources/sql/timeshard--*.sql";
is_deeply([ sort grep { !/--/ } @scripts ], [ sort @versions ], 'what can be installed is what sql/ has');
for my $released (slurp_file("$sources/CHANGELOG.md") =~ /^## (\d+\.\d+\.\d+)/gm)
{
    ok((grep { $_ eq $released } @versions), "$released, which the changelog has, can be installed");
}

my %path;
for (split /\n/, sql("SELECT source, target, path FROM pg_extension_update_paths('timeshard') WHERE path IS NOT NULL"))
{
    my ($source, $target, $path) = split /\|/;
    $path{$source}{$target} = $path;
}

# The same, installed afresh.
my %fresh;
for my $version (@versions)
{
    sql("CREATE EXTENSION timeshard VERSION '$version'");
    $fresh{$version} = objects_of($node, 'postgres');
    sql('DROP EXTENSION timeshard');
}
cmp_ok(scalar(differences_between($fresh{$versions[0]}, $fresh{$newest})), '>', 10, 'the oldest and the newest are told apart');

sub is_as_fresh
{
    my ($version, $name) = @_;
    my @differences = differences_between(objects_of($node, 'postgres'), $fresh{$version});
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is(join("\n", @differences), '', $name);
}

# From each to each that can be reached.
for my $i (0 .. $#versions)
{
    my $source = $versions[$i];
    ok($path{$source}{$newest}, "$source: a path leads to $newest") unless $source eq $newest;
    for my $target (grep { $path{$source}{$_} } @versions)
    {
        sql("CREATE EXTENSION timeshard VERSION '$source'; ALTER EXTENSION timeshard UPDATE TO '$target'");
        is_as_fresh($target, "$path{$source}{$target}: as installed afresh");
        sql('DROP EXTENSION timeshard');
    }
}

# Step by step, with a table, an index, a view and a function that use what every
# version has.
my $use = <<'SQL';
CREATE TABLE kept (
    id     bigint PRIMARY KEY DEFAULT timeshard_next_id(),
    number text GENERATED ALWAYS AS (timeshard_format(id, 'KEPT_')) STORED UNIQUE,
    code   text DEFAULT timeshard_next_id_with_prefix('C_'),
    parts  timeshard_parts
);
CREATE INDEX ON kept (timeshard_format(id, 'I', 3));
CREATE VIEW seen AS SELECT k.id, p.datetime, p.node_id FROM kept AS k, timeshard_parse(k.id) AS p;
CREATE VIEW config AS SELECT * FROM timeshard_config();
CREATE FUNCTION made() RETURNS timeshard_parts LANGUAGE sql RETURN timeshard_parse(timeshard_next_id());
SQL
my $insert = 'INSERT INTO kept (parts) SELECT made() FROM generate_series(1, 10)';
my $state = <<'SQL';
SELECT md5(array_agg(k ORDER BY id)::text), md5(array_agg(s ORDER BY s.id)::text)
FROM kept AS k JOIN seen AS s USING (id) WHERE s.node_id = 3 AND (parts).node_id = 3;
SQL
for my $first (@versions)
{
    next if $first eq $newest;
    sql("CREATE EXTENSION timeshard VERSION '$first'; $use; $insert");
    my $rows = 10;
    my $at = $first;
    for my $next (grep { $_ ne $first } split /--/, $path{$first}{$newest})
    {
        my ($before, $largest) = (sql($state), sql('SELECT max(id) FROM kept'));
        sql("ALTER EXTENSION timeshard UPDATE TO '$next'");
        is_as_fresh($next, "$first, step by step, $at to $next: as installed afresh");
        is(sql($state), $before, "$first, $at to $next: rows, views and types read as before");
        sql($insert);
        is(sql("SELECT count(*), min(id) > $largest, bool_and(number = 'KEPT_' || lpad(id::text, 19, '0')) FROM kept WHERE id > $largest"),
            '10|t|t', "$first, $at to $next: defaults and generated columns go on");
        is(sql('SELECT count(*) FROM config'), 1, "$first, $at to $next: and views");
        $at = $next;
    }
    is($at, $newest, "$first: arrived at $newest");
    isnt($node->psql('postgres', 'DROP EXTENSION timeshard'), 0, "$first: what uses it still holds it");
    sql('DROP TABLE kept CASCADE; DROP VIEW config; DROP FUNCTION made(); DROP EXTENSION timeshard');
}

# The comparison can fail: one change at a time to a fresh installation is seen.
for my $change (
    'ALTER FUNCTION timeshard_encode(bigint) VOLATILE',
    'ALTER FUNCTION timeshard_encode(bigint) PARALLEL RESTRICTED',
    'ALTER FUNCTION timeshard_encode(bigint) CALLED ON NULL INPUT',
    'ALTER FUNCTION timeshard_encode(bigint) LEAKPROOF',
    'ALTER FUNCTION timeshard_encode(bigint) COST 7',
    'ALTER FUNCTION timeshard_next_ids(integer) ROWS 7',
    'ALTER FUNCTION timeshard_encode(bigint) SECURITY DEFINER',
    'ALTER FUNCTION timeshard_encode(bigint) SET work_mem = 100',
    'ALTER FUNCTION timeshard_encode(bigint) OWNER TO other',
    'REVOKE ALL ON FUNCTION timeshard_encode(bigint) FROM PUBLIC',
    q{COMMENT ON FUNCTION timeshard_encode(bigint) IS 'another'},
    q{COMMENT ON TYPE timeshard_parts IS 'another'},
    q{COMMENT ON COLUMN timeshard_parts.sequence IS 'another'},
    q{COMMENT ON EXTENSION timeshard IS 'another'},
    'ALTER TYPE timeshard_parts ADD ATTRIBUTE another integer',
    'ALTER TYPE timeshard_parts RENAME ATTRIBUTE sequence TO number',
    'ALTER EXTENSION timeshard DROP FUNCTION timeshard_encode(bigint)',
    'CREATE FUNCTION another() RETURNS integer LANGUAGE sql RETURN 1; ALTER EXTENSION timeshard ADD FUNCTION another()',
    'ALTER FUNCTION timeshard_next_ids(integer) SUPPORT timeshard_horizon_support',
    q{CREATE OR REPLACE FUNCTION timeshard_format(id bigint, prefix text, at_position integer DEFAULT 1) RETURNS text
        LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS '$libdir/timeshard', 'timeshard_format'},
    q{CREATE OR REPLACE FUNCTION timeshard_encode(id bigint) RETURNS text
        LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS '$libdir/timeshard', 'timeshard_decode'},
    'ALTER FUNCTION timeshard_encode(bigint) DEPENDS ON EXTENSION plpgsql')
{
    sql('CREATE ROLE other') if $change =~ /other$/;
    sql("CREATE EXTENSION timeshard; $change");
    my @differences = differences_between(objects_of($node, 'postgres'), $fresh{$newest});
    ok(@differences > 0, "is seen: $change") or diag('no difference');
    sql('DROP EXTENSION timeshard CASCADE; DROP FUNCTION IF EXISTS another(), timeshard_encode(bigint)');
}

$node->stop;
done_testing();
