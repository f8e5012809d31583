# Parallel queries: rows that are sorted by workers get their IDs in that order,
# in whatever statement keeps them, while scans and sorts stay parallel. A function
# that a user has marked safe still runs in workers.
use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;
use TimeshardSession;

my $rows = 50000;
my $node = new_cluster('parallel', conf => <<'CONF');
timeshard.node_id = 3
autovacuum = off
jit = off
max_parallel_workers = 4
max_parallel_workers_per_gather = 2
parallel_setup_cost = 0
parallel_tuple_cost = 0
min_parallel_table_scan_size = 0
CONF
$node->safe_psql('postgres', <<"SQL");
CREATE TABLE old WITH (parallel_workers = 2) AS
    SELECT n AS place, repeat('x', 100) AS filler FROM generate_series(1, $rows) AS n ORDER BY n * 7919 % $rows;
ANALYZE old;
CREATE FUNCTION own_next_id() RETURNS bigint LANGUAGE C PARALLEL SAFE AS '\$libdir/timeshard', 'timeshard_next_id';
SQL

# How the rows of `made (id, place)` stand: how many, how many different IDs, how
# many whose ID is smaller than that of the row before.
my $verdict = <<'SQL';
SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE falls)
FROM (SELECT id, id <= lag(id) OVER (ORDER BY place) AS falls FROM made) AS m;
SQL

sub plan_of
{
    return $node->safe_psql('postgres', "EXPLAIN (VERBOSE, COSTS OFF) $_[0]");
}

my $prefixed = q{timeshard_next_id_with_prefix('A_')};
my $inserted = q{timeshard_prefix_at('-', 4)};
my $file = $node->basedir . '/made';
my %ways = (
    'CREATE TABLE AS' => [ 'CREATE TABLE made AS %s', 'TABLE' ],
    'SELECT INTO' => [ 'SELECT * INTO made FROM (%s) AS s', 'TABLE' ],
    'a materialised view' => [ 'CREATE MATERIALIZED VIEW made AS %s', 'MATERIALIZED VIEW' ],
    'a refreshed view' => [ 'CREATE MATERIALIZED VIEW made AS %s WITH NO DATA; REFRESH MATERIALIZED VIEW made', 'MATERIALIZED VIEW' ],
    'COPY TO' => [ "COPY (%s) TO '$file'; CREATE TABLE made (id text, place integer); COPY made FROM '$file'", 'TABLE' ]);

for my $call ('timeshard_next_id()', $prefixed, $inserted)
{
    my $query = "SELECT $call AS id, place FROM old ORDER BY place";
    my ($name) = $call =~ /^(\w+)/;
    my $plan = plan_of($query);
    like($plan, qr/Gather Merge.*Sort.*Parallel Seq Scan/s, "$name: workers scan and sort") or diag($plan);
    unlike(($plan =~ /(Gather Merge.*)/s)[0] =~ s/^.*?\n\s*->//sr, qr/\b$name\b/, "$name: and make no IDs") or diag($plan);
    for my $way (sort keys %ways)
    {
        my ($sql, $kind) = @{ $ways{$way} };
        is($node->safe_psql('postgres', sprintf("$sql; ", $query) . "$verdict DROP $kind made"), "$rows|$rows|0",
            "$name, $way: the order of the rows");
    }
}

# Batches: a row each, as the select list gives them.
is($node->safe_psql('postgres', "CREATE TABLE made AS SELECT timeshard_next_ids(1) AS id, place FROM old ORDER BY place; $verdict DROP TABLE made"),
    "$rows|$rows|0", 'timeshard_next_ids: the order of the rows');
like(plan_of('SELECT place, id FROM old, LATERAL timeshard_next_ids(place) AS id'),
    qr/^Nested Loop\n.*\n  ->  Gather\n.*Parallel Seq Scan.*\n  ->  Function Scan/s, 'timeshard_next_ids, LATERAL: above the Gather');

# Without an order nobody promises one, but nothing below a Gather makes IDs either.
for my $call ('timeshard_next_id()', $prefixed, $inserted, 'timeshard_horizon()')
{
    my $plan = plan_of("SELECT $call FROM old");
    like($plan, qr/Gather\n.*Parallel Seq Scan/s, "$call, unordered: workers scan") or diag($plan);
    unlike(($plan =~ /(Parallel Seq Scan.*)/s)[0], qr/timeshard_/, "$call, unordered: and make no IDs") or diag($plan);
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM (SELECT DISTINCT timeshard_next_id() FROM old) AS s'), $rows,
    'IDs that are sorted afterwards');

# What a user has marked safe works in workers, and its IDs are unique and of no order.
my $own = 'CREATE TABLE made AS SELECT own_next_id() AS id, place FROM old ORDER BY place';
my $plan = $node->safe_psql('postgres', "EXPLAIN (ANALYZE, VERBOSE, COSTS OFF, TIMING OFF) $own");
like($plan, qr/Workers Launched: [12]\n.*Output: own_next_id\(\).*Parallel Seq Scan/s, "a user's own function: in workers") or diag($plan);
my ($made, $in_disorder) = ($node->safe_psql('postgres', $verdict));
like($made, qr/^$rows\|$rows\|/, "a user's own function: each ID once");
# A busy machine can give one process all rows.
ok(eventually(sub { ($in_disorder = $node->safe_psql('postgres', "DROP TABLE made; $own; $verdict")) =~ /^$rows\|$rows\|[1-9]/ }),
    'and out of order') or diag $in_disorder;

$node->stop;
done_testing();
