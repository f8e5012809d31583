# Everywhere an ID can be asked for, in both load modes. Each context prints its
# IDs from a session of its own, where the library is loaded by that very call:
# as many as expected, all new, all of this server.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use List::Util qw(max);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

my $node_id = 77;
my %last;

# Runs $sql, whose output is IDs, plain or in text, and judges them by arithmetic.
sub makes
{
    my ($node, $name, $count, $sql) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($rc, $out, $err) = $node->psql('postgres', $sql, on_error_stop => 0);
    my $before = $last{$node} // 0;
    my (%seen, @foreign, @old);
    for (split /\n/, $out)
    {
        (my $id = $_) =~ s/\D//g;
        $seen{$id}++;
        push @foreign, $_ unless (($id || 0) >> 12 & 1023) == $node_id;
        push @old, $_ unless ($id || 0) > $before;
    }
    $last{$node} = max($before, keys %seen);
    is_deeply([ scalar(keys %seen), scalar(split /\n/, $out), "@foreign", "@old" ], [ $count, $count, '', '' ],
        "$name: $count IDs, all new") or diag(substr("$out\n$err", 0, 2000));
    return $out;
}

my $schema = <<'SQL';
CREATE TABLE source AS SELECT n FROM generate_series(1, 100000) AS n;
ANALYZE source;
CREATE TABLE plain (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), n int);
CREATE TABLE prefixed (id text PRIMARY KEY DEFAULT timeshard_next_id_with_prefix('TXN_'), n int);
CREATE TABLE inserted (id text PRIMARY KEY DEFAULT timeshard_prefix_at('-', 4), n int);
CREATE TABLE target (id bigint, n int PRIMARY KEY, other bigint DEFAULT timeshard_next_id());

CREATE TABLE by_range (id bigint DEFAULT timeshard_next_id(), n int) PARTITION BY RANGE (id);
CREATE TABLE by_range_low PARTITION OF by_range FOR VALUES FROM (0) TO (1000);
CREATE TABLE by_range_high PARTITION OF by_range FOR VALUES FROM (1000) TO (MAXVALUE);
CREATE TABLE by_hash (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), n int) PARTITION BY HASH (id);
CREATE TABLE by_hash_0 PARTITION OF by_hash FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE by_hash_1 PARTITION OF by_hash FOR VALUES WITH (MODULUS 2, REMAINDER 1);

CREATE TABLE watched (id bigint PRIMARY KEY, n int);
CREATE TABLE audit (id bigint DEFAULT timeshard_next_id(), watched_id bigint);
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN NEW.id := timeshard_next_id(); RETURN NEW; END';
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO audit (watched_id) VALUES (NEW.id); RETURN NULL; END';
CREATE TRIGGER stamp BEFORE INSERT ON watched FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE TRIGGER note AFTER INSERT ON watched FOR EACH ROW EXECUTE FUNCTION note();

-- For what workers make: a user's own function, since the extension's are parallel restricted.
CREATE FUNCTION own_next_id() RETURNS bigint LANGUAGE C PARALLEL SAFE AS '$libdir/timeshard', 'timeshard_next_id';
CREATE FUNCTION own_with_prefix(text) RETURNS text
    LANGUAGE C STRICT PARALLEL SAFE AS '$libdir/timeshard', 'timeshard_next_id_with_prefix';
CREATE FUNCTION own_prefix_at(text, integer) RETURNS text LANGUAGE C STRICT PARALLEL SAFE AS '$libdir/timeshard', 'timeshard_prefix_at';

CREATE FUNCTION sql_makes() RETURNS bigint VOLATILE LANGUAGE sql RETURN timeshard_next_id();
CREATE FUNCTION tries(count int) RETURNS SETOF bigint LANGUAGE plpgsql AS $$
DECLARE made bigint;
BEGIN
    FOR i IN 1..count LOOP
        BEGIN
            made := timeshard_next_id();
            PERFORM 1 / 0;
        EXCEPTION WHEN division_by_zero THEN
            RETURN NEXT made;
        END;
        RETURN NEXT timeshard_next_id();
    END LOOP;
END $$;
SQL

my $executes = 'EXECUTE made;' x 12;
my @contexts = (
    [ 'DEFAULT of a bigint key', 4, 'INSERT INTO plain (n) VALUES (1), (2), (DEFAULT) RETURNING id; INSERT INTO plain DEFAULT VALUES RETURNING id' ],
    [ 'DEFAULT of a text key, prefix', 3, 'INSERT INTO prefixed (n) VALUES (1), (2), (3) RETURNING id' ],
    [ 'DEFAULT of a text key, inserted prefix', 3, 'INSERT INTO inserted (n) VALUES (1), (2), (3) RETURNING id' ],
    [ 'INSERT ... SELECT', 5000, 'TRUNCATE plain; INSERT INTO plain (n) SELECT n FROM source LIMIT 5000; SELECT id FROM plain' ],
    [ 'COPY', 1000, "TRUNCATE plain; COPY plain (n) FROM PROGRAM 'seq 1 1000'; SELECT id FROM plain" ],
    [ 'COPY into text keys', 1000, "TRUNCATE prefixed; COPY prefixed (n) FROM PROGRAM 'seq 1 1000'; SELECT id FROM prefixed" ],
    [ 'COPY TO', 100, 'COPY (SELECT timeshard_next_id() FROM generate_series(1, 100)) TO stdout' ],
    [ 'UPDATE', 1000, 'UPDATE plain SET id = timeshard_next_id(); SELECT id FROM plain' ],
    [ 'UPDATE ... SET DEFAULT', 1000, 'UPDATE plain SET id = DEFAULT RETURNING id' ],
    [ 'ON CONFLICT', 2, 'INSERT INTO target (n) VALUES (1) RETURNING other; INSERT INTO target (n) VALUES (1) ON CONFLICT (n) DO UPDATE SET other = timeshard_next_id() RETURNING other' ],
    [ 'MERGE', 100, 'TRUNCATE target; MERGE INTO target USING (SELECT n FROM source LIMIT 100) AS s ON s.n = target.n WHEN NOT MATCHED THEN INSERT (n) VALUES (s.n); SELECT other FROM target' ],
    [ 'ADD COLUMN', 1000, 'ALTER TABLE plain ADD COLUMN added bigint NOT NULL DEFAULT timeshard_next_id(); SELECT added FROM plain' ],
    [ 'range partitions', 1000, 'INSERT INTO by_range (n) SELECT n FROM source LIMIT 1000; SELECT id FROM by_range_high' ],
    [ 'hash partitions', 1000, 'INSERT INTO by_hash (n) SELECT n FROM source LIMIT 1000; SELECT id FROM by_hash' ],
    [ 'a partition itself', 10, 'INSERT INTO by_range_high (n) SELECT n FROM source LIMIT 10 RETURNING id' ],
    [ 'triggers', 200, 'INSERT INTO watched (n) SELECT n FROM source LIMIT 100; SELECT id FROM watched UNION ALL SELECT id FROM audit' ],
    [ 'PL/pgSQL, subtransactions that abort', 200, 'SELECT tries(100)' ],
    [ 'an SQL function', 100, 'SELECT sql_makes() FROM generate_series(1, 100)' ],
    [ 'a read-only transaction', 10, 'BEGIN READ ONLY; SELECT timeshard_next_id() FROM generate_series(1, 10); COMMIT' ],
    [ 'a serializable one', 10, 'BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE; SELECT timeshard_next_id() FROM generate_series(1, 10); COMMIT' ],
    [ 'a prepared statement', 12, "PREPARE made AS SELECT timeshard_next_id(); $executes" ],
    [ 'a prepared statement, generic plan', 12, "SET plan_cache_mode = force_generic_plan; PREPARE made AS SELECT timeshard_next_id(); $executes" ],
    [ 'a prepared INSERT', 12, "PREPARE made AS INSERT INTO plain DEFAULT VALUES RETURNING id; $executes" ],
    [ 'a CTE, read twice', 100, 'WITH made AS (SELECT timeshard_next_id() AS id FROM generate_series(1, 100)) SELECT id FROM made JOIN made AS again USING (id)' ],
    [ 'a data-modifying CTE', 100, 'WITH made AS (INSERT INTO plain (n) SELECT n FROM source LIMIT 100 RETURNING id) SELECT id FROM made' ],
    [ 'LATERAL', 100, 'SELECT id FROM generate_series(1, 100) AS g, LATERAL (SELECT timeshard_next_id() + 0 * g AS id) AS made' ],
    [ 'several in a row', 4, "SELECT unnest(ARRAY[timeshard_next_id(), timeshard_next_id(), (timeshard_parse(timeshard_next_id_with_prefix('A'), 'A')).id, (timeshard_parse(timeshard_prefix_at('-', 4), '-')).id])" ],
    [ 'a cursor', 10, 'BEGIN; DECLARE made CURSOR WITH HOLD FOR SELECT timeshard_next_id() FROM generate_series(1, 10); FETCH 5 FROM made; COMMIT; FETCH 5 FROM made' ],
    [ 'a savepoint rolled back', 2, 'BEGIN; SAVEPOINT s; INSERT INTO plain DEFAULT VALUES RETURNING id; ROLLBACK TO s; INSERT INTO plain DEFAULT VALUES RETURNING id; COMMIT' ],
    [ 'a first call that is rolled back', 1, 'BEGIN; SAVEPOINT s; SELECT timeshard_next_id(), 1 / (random() * 0)::int; ROLLBACK TO s; SELECT timeshard_next_id(); COMMIT' ],
    [ 'a transaction rolled back', 2, 'BEGIN; INSERT INTO plain DEFAULT VALUES RETURNING id; ROLLBACK; INSERT INTO plain DEFAULT VALUES RETURNING id' ],
    [ 'CREATE TABLE AS', 1000, 'CREATE TABLE made AS SELECT timeshard_next_id() AS id FROM generate_series(1, 1000); SELECT id FROM made; DROP TABLE made' ],
    [ 'a materialised view', 1000, 'CREATE MATERIALIZED VIEW made AS SELECT timeshard_next_id() AS id FROM generate_series(1, 1000); REFRESH MATERIALIZED VIEW made; SELECT id FROM made; DROP MATERIALIZED VIEW made' ]);

# Parallel workers, of a session that has not loaded the library itself, by functions
# that a user has marked safe.
sub parallel_workers
{
    my ($node, $mode) = @_;
    my $force = 'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;'
      . 'SET max_parallel_workers_per_gather = 2; SET parallel_leader_participation = %s;';
    my %calls = (
        'own_next_id()' => qr/own_next_id\(\)/,
        "own_with_prefix('TXN_')" => qr/own_with_prefix/,
        "own_prefix_at('-', 4)" => qr/own_prefix_at/);

    for my $leader ('off', 'on')
    {
        for my $call (sort keys %calls)
        {
            my $plan = $node->safe_psql('postgres', sprintf($force, $leader)
                  . "EXPLAIN (ANALYZE, VERBOSE, COSTS OFF) CREATE TABLE made AS SELECT $call AS id FROM source");
            like($plan, qr/Workers Launched: [12]/, "$mode, leader $leader, $call: workers were launched");
            my ($scan) = $plan =~ /(Parallel Seq Scan.*)/s;
            like($scan, qr/Output: (?:\w+\.)?$calls{$call}/, "$mode, leader $leader, $call: ran below the Gather");
            makes($node, "$mode, leader $leader, $call, parallel", 100000, 'SELECT id FROM made; DROP TABLE made');
        }
    }
    return;
}

sub jit
{
    my ($node, $mode) = @_;
  SKIP:
    {
        skip 'this server has no JIT', 3 unless $node->safe_psql('postgres', 'SELECT pg_jit_available()') eq 't';
        my $force = 'SET jit = on; SET jit_above_cost = 0; SET jit_inline_above_cost = 0; SET jit_optimize_above_cost = 0;';
        my $sql = 'SELECT timeshard_next_id() FROM source WHERE n <= 1000';
        like($node->safe_psql('postgres', "$force EXPLAIN (ANALYZE) $sql"), qr/^JIT:.*Inlining true/ms, "$mode: JIT is used");
        makes($node, "$mode, JIT", 1000, "$force $sql");
        makes($node, "$mode, JIT between others", 1002,
            "SELECT timeshard_next_id(); $force $sql; SET jit = off; SELECT timeshard_next_id()");
    }
    return;
}

# A background worker: what a publisher does not send, the apply worker of the
# subscriber (and its copy of the first rows) takes from the DEFAULT.
my $publisher = PostgreSQL::Test::Cluster->new('publisher');
$publisher->init(allows_streaming => 'logical');
$publisher->start;
$publisher->safe_psql('postgres',
    'CREATE TABLE sent (n int PRIMARY KEY); CREATE PUBLICATION everything FOR TABLE sent; INSERT INTO sent SELECT generate_series(1, 100)');

sub apply_worker
{
    my ($node, $mode) = @_;
    my $connection = $publisher->connstr . ' dbname=postgres';
    $node->safe_psql('postgres', 'CREATE TABLE sent (n int PRIMARY KEY, id bigint DEFAULT timeshard_next_id())');
    $node->safe_psql('postgres', "CREATE SUBSCRIPTION everything_$mode CONNECTION '$connection' PUBLICATION everything");
    $node->wait_for_subscription_sync($publisher, "everything_$mode");
    my $copied = $publisher->safe_psql('postgres', 'SELECT count(*) FROM sent');
    makes($node, "$mode, first copy of a subscription", $copied, 'SELECT id FROM sent');

    my $next = $copied + 1;
    $publisher->safe_psql('postgres', "INSERT INTO sent SELECT generate_series($next, $next + 999)");
    $publisher->wait_for_catchup("everything_$mode");
    makes($node, "$mode, apply worker", 1000, "SELECT id FROM sent WHERE n >= $next");
    $node->safe_psql('postgres', "DROP SUBSCRIPTION everything_$mode");
    return;
}

for my $mode ('lazy', 'preloaded')
{
    my $node = new_cluster("contexts_$mode", preload => $mode eq 'preloaded', conf => "timeshard.node_id = $node_id");
    $node->safe_psql('postgres', $schema);

    # First of all, so that a worker is the first in the server to make an ID.
    parallel_workers($node, $mode);
    for my $context (@contexts)
    {
        my ($name, $count, $sql) = @$context;
        makes($node, "$mode, $name", $count, $sql);
    }
    is($node->safe_psql('postgres', 'SELECT count(*) > 300 FROM by_hash GROUP BY tableoid'), "t\nt",
        "$mode: keys spread over hash partitions");
    is( $node->safe_psql('postgres',
            "SELECT bool_and(id ~ '^TXN_\\d{19}\$') FROM prefixed UNION ALL SELECT bool_and(id ~ '^\\d{4}-\\d{15}\$') FROM inserted"),
        "t\nt", "$mode: text keys look as they should");
    is($node->safe_psql('postgres', 'SELECT count(*) FROM watched JOIN audit ON watched_id = watched.id WHERE audit.id > watched.id'),
        100, "$mode: the second trigger's IDs are above the first's");

    like($node->safe_psql('postgres', 'PREPARE made AS SELECT timeshard_next_id(); EXPLAIN (VERBOSE) EXECUTE made'),
        qr/Output: timeshard_next_id\(\)/, "$mode: a plan keeps the call");
    for my $refused ('CREATE TABLE t (n int, id bigint GENERATED ALWAYS AS (timeshard_next_id()) STORED)',
        'CREATE INDEX ON plain ((id + timeshard_next_id()))')
    {
        fails_with($node, $refused, qr/42P17: .* immutable/i, "$mode: not where a constant is needed");
    }

    jit($node, $mode);
    apply_worker($node, $mode);
    unlike(log_of($node), qr/PANIC|terminated by signal|clock is/, "$mode: a quiet log");
    $node->stop;
}
$publisher->stop;

done_testing();
