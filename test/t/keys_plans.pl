# A typed key is as useful as a bigint: the same plans, estimates, indexes, partitions,
# constraints and COPY.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

my $node = new_cluster('keys_plans', conf => "max_parallel_workers_per_gather = 0\nautovacuum = off\njit = off");
sub sql { return $node->safe_psql('postgres', $_[0]) }

# A plan without costs, one line a node.
sub plan_of
{
    my ($query, @settings) = @_;
    return sql(join('', map { "SET $_;" } @settings) . "EXPLAIN (COSTS off) $query");
}
sub rows_of
{
    my ($query) = @_;
    my ($rows) = sql("EXPLAIN $query") =~ /rows=(\d+)/ or die "no rows: $query";
    return $rows;
}

sql(<<'SQL');
SELECT timeshard_create_type('order_id', 'ORD_'), timeshard_create_type('item_id', 'ITM_', 'code');
CREATE TABLE orders (id order_id PRIMARY KEY DEFAULT timeshard_next_id(), n int);
INSERT INTO orders (n) SELECT g FROM generate_series(1, 20000) AS g;
CREATE TABLE items (id item_id PRIMARY KEY DEFAULT timeshard_next_id(), order_id order_id REFERENCES orders, n int);
INSERT INTO items (order_id, n) SELECT o.id, g FROM orders AS o, generate_series(1, 3) AS g;
CREATE INDEX ON items (order_id);
-- The same as bigint, to compare with.
CREATE TABLE plain (id bigint PRIMARY KEY, n int);
INSERT INTO plain SELECT id::bigint, n FROM orders;
CREATE TABLE plain_items (id bigint PRIMARY KEY, order_id bigint REFERENCES plain, n int);
INSERT INTO plain_items SELECT id::bigint, order_id::bigint, n FROM items;
CREATE INDEX ON plain_items (order_id);
VACUUM ANALYZE;
SQL
my ($some, $other, $third) = split /\n/, sql('SELECT id FROM orders ORDER BY id OFFSET 10000 LIMIT 3');

# What a plan of the typed table is, named as that of the plain one.
sub same_plan
{
    my ($name, $query, @settings) = @_;
    (my $plain = $query) =~ s/\bitems\b/plain_items/g;
    $plain =~ s/\borders\b/plain/g;
    my %number = map { $_ => s/^ORD_0*//r } $plain =~ /(ORD_\d+)/g;
    $plain =~ s/'(ORD_\d+)'/$number{$1}/g;
    my $normal = sub {
        my ($text) = @_;
        $text =~ s/plain_items/items/g;
        $text =~ s/\bplain_pkey/orders_pkey/g;
        $text =~ s/\bplain\b/orders/g;
        $text =~ s/'(?:ORD_)?0*(\d+)'(?:::(?:order_id|bigint))?/$1/g;
        $text =~ s/'\{([^}]*)\}'::(?:order_id|bigint)\[\]/"{" . ($1 =~ s{ORD_0*}{}gr) . "}"/ge;
        return $text =~ s/'?(\d+)'?::bigint/$1/gr;
    };
    my $is = $normal->(plan_of($query, @settings));
    my $should = $normal->(plan_of($plain, @settings));
    is($is, $should, "$name: the plan of bigint");
    return $is;
}
my @one = ('enable_hashjoin = off', 'enable_mergejoin = off', 'enable_nestloop = off', 'enable_hashagg = off', 'enable_sort = off');
like(same_plan('=', "SELECT * FROM orders WHERE id = '$some'"), qr/^Index Scan using orders_pkey/, 'by the index');
like(same_plan('IN', "SELECT * FROM orders WHERE id IN ('$some', '$other')"), qr/orders_pkey.*= ANY/s, 'by the index');
like(same_plan('range', "SELECT * FROM orders WHERE id >= '$some' AND id < '$third'"), qr/^Index Scan using orders_pkey/, 'by the index');
like(same_plan('ORDER BY', 'SELECT * FROM orders ORDER BY id DESC LIMIT 5'), qr/Index Scan Backward using orders_pkey/, 'by the index');
like(same_plan('hash join', 'SELECT * FROM orders AS o JOIN items AS i ON i.order_id = o.id', grep { !/hashjoin/ } @one), qr/Hash Join/, 'hash join');
like(same_plan('merge join', 'SELECT * FROM orders AS o JOIN items AS i ON i.order_id = o.id', grep { !/mergejoin/ } @one), qr/Merge Join/, 'merge join');
like(same_plan('nested loop', 'SELECT * FROM orders AS o JOIN items AS i ON i.order_id = o.id', grep { !/nestloop/ } @one), qr/Nested Loop/, 'nested loop');
like(same_plan('DISTINCT', 'SELECT DISTINCT order_id FROM items', 'enable_sort = off', 'enable_indexscan = off', 'enable_indexonlyscan = off', 'enable_bitmapscan = off'), qr/HashAggregate/, 'hashed');
like(same_plan('GROUP BY', 'SELECT order_id, count(*) FROM items GROUP BY order_id', 'enable_hashagg = off'), qr/GroupAggregate/, 'sorted');
like(same_plan('min', 'SELECT min(id) FROM orders'), qr/InitPlan.*Index Only Scan using orders_pkey/s, 'by the index');
like(same_plan('max', 'SELECT max(id) FROM orders'), qr/InitPlan.*Index Only Scan Backward using orders_pkey/s, 'by the index');
like(same_plan('semi join', 'SELECT * FROM orders AS o WHERE EXISTS (SELECT FROM items AS i WHERE i.order_id = o.id)', 'enable_mergejoin = off', 'enable_nestloop = off'), qr/Hash (?:Semi )?Join/, 'semi join');
is(sql("SELECT min(id) = (SELECT min(id) FROM plain)::order_id, max(id) = (SELECT max(id) FROM plain)::order_id FROM orders"), 't|t', 'min and max');

# By time, by the index.
like(plan_of("SELECT count(*) FROM orders WHERE order_id_between(id, now() - interval '1 hour', now())"),
    qr/Index Cond: \(\(id > order_id_last_before\(.*\)\) AND \(id <= order_id_last_before/s, 'order_id_between is inlined, by the index');
is(sql("SELECT count(*) FROM orders WHERE order_id_between(id, now() - interval '1 hour', now())"), '20000', 'and finds them');

# Parameters of any type that clients send find the index.
for my $type ('text', 'varchar', 'order_id', 'unknown')
{
    my $plan = $node->safe_psql('postgres', "SET plan_cache_mode = force_generic_plan; PREPARE q ($type) AS SELECT * FROM orders WHERE id = \$1; EXPLAIN (COSTS off) EXECUTE q('$some')");
    like($plan, qr/^Index Scan using orders_pkey.*Index Cond: \(id = /s, "a parameter of type $type finds the index");
}
for my $type ('text[]', 'varchar[]', 'order_id[]')
{
    my $plan = $node->safe_psql('postgres', "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; PREPARE q ($type) AS SELECT * FROM orders WHERE id = ANY (\$1); EXPLAIN (COSTS off) EXECUTE q('{$some}')");
    like($plan, qr/orders_pkey.*Index Cond: \(id = ANY/s, "= ANY of a parameter of type $type finds the index");
}

# Estimates.
is(rows_of("SELECT * FROM orders WHERE id = '$some'"), 1, 'one row for a key');
is(rows_of("SELECT * FROM items WHERE order_id = '$some'"), rows_of('SELECT * FROM plain_items WHERE order_id = ' . ($some =~ s/^ORD_0*//r)), 'as many for a foreign key as with bigint');
is(rows_of('SELECT * FROM orders AS o JOIN items AS i ON i.order_id = o.id'), rows_of('SELECT * FROM plain AS o JOIN plain_items AS i ON i.order_id = o.id'), 'and for a join');
cmp_ok(abs(rows_of("SELECT * FROM orders WHERE id >= '$some'") - 10000), '<', 500, 'half for half of the histogram');
is(sql("SELECT array_length(histogram_bounds::text::order_id[], 1), n_distinct, round(correlation::numeric, 2) FROM pg_stats WHERE tablename = 'orders' AND attname = 'id'"), '101|-1|1.00', 'statistics');

# Sizes.
is(sql("SELECT pg_relation_size('orders_pkey') = pg_relation_size('plain_pkey'), pg_relation_size('orders') = pg_relation_size('plain')"), 't|t', 'sizes of bigint');
is(sql("SELECT pg_relation_size('items_order_id_idx') = pg_relation_size('plain_items_order_id_idx')"), 't', 'duplicates are merged in the index');
is(sql("SELECT allequalimage FROM (VALUES (true)) AS v (allequalimage) WHERE EXISTS (SELECT FROM pg_amproc WHERE amproclefttype = 'order_id'::regtype AND amprocnum = 4)"), 't', 'by equalimage');

# BRIN and hash indexes.
sql("CREATE TABLE log (id order_id DEFAULT timeshard_next_id(), t text DEFAULT repeat('x', 200)); INSERT INTO log SELECT FROM generate_series(1, 20000); CREATE INDEX log_brin ON log USING brin (id) WITH (pages_per_range = 8); CREATE INDEX log_hash ON log USING hash (id); ANALYZE log");
my $key = sql('SELECT id FROM log OFFSET 777 LIMIT 1');
like(plan_of("SELECT * FROM log WHERE id < '$key'", 'enable_seqscan = off'), qr/Bitmap Index Scan on log_brin/, 'BRIN');
my ($read) = sql("SET enable_seqscan = off; EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT * FROM log WHERE id < '$key'") =~ /Heap Blocks: lossy=(\d+)/;
cmp_ok($read, '<=', 40, 'BRIN reads few blocks');
like(plan_of("SELECT * FROM log WHERE id = '$key'"), qr/Index Scan using log_hash/, 'a hash index');
is(sql("SELECT count(*) FROM log WHERE id = '$key'"), 1, 'which finds the row');

# Partitions.
sql(<<'SQL');
CREATE TABLE ranged (id order_id PRIMARY KEY, n int) PARTITION BY RANGE (id);
CREATE TABLE ranged_1 PARTITION OF ranged FOR VALUES FROM (MINVALUE) TO ('ORD_0000000000000001000');
CREATE TABLE ranged_2 PARTITION OF ranged FOR VALUES FROM ('ORD_0000000000000001000') TO (MAXVALUE);
CREATE TABLE hashed (id order_id PRIMARY KEY, n int) PARTITION BY HASH (id);
CREATE TABLE hashed_0 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE hashed_1 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE listed (id order_id, n int) PARTITION BY LIST (id);
CREATE TABLE listed_1 PARTITION OF listed FOR VALUES IN ('ORD_0000000000000000001', 'ORD_0000000000000000002');
INSERT INTO ranged SELECT g::bigint, g FROM generate_series(1, 2000) AS g;
INSERT INTO hashed SELECT g::bigint, g FROM generate_series(1, 2000) AS g;
INSERT INTO listed VALUES ('ORD_0000000000000000002', 2);
CREATE TABLE hashed_plain (id bigint) PARTITION BY HASH (id);
CREATE TABLE hashed_plain_0 PARTITION OF hashed_plain FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE hashed_plain_1 PARTITION OF hashed_plain FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO hashed_plain SELECT id::bigint FROM hashed;
SQL
for my $parameter ("'ORD_0000000000000000500'", "'ORD_0000000000000000500'::text")
{
    like(plan_of("SELECT * FROM ranged WHERE id = $parameter"), qr/\A(?!.*ranged_2).*ranged_1/s, "range partitions are pruned by $parameter");
    my ($one) = plan_of("SELECT * FROM hashed WHERE id = $parameter") =~ /(hashed_\d)(?!.*(?!\1)hashed_\d_)/s or fail('pruned');
    is(() = plan_of("SELECT * FROM hashed WHERE id = $parameter") =~ / on hashed_\d/g, 1, "hash partitions are pruned by $parameter");
}
is(sql('SELECT (SELECT array_agg(id::bigint ORDER BY id) FROM hashed_0) = (SELECT array_agg(id ORDER BY id) FROM hashed_plain_0)'), 't', 'hashed as bigint');
is(() = plan_of('SELECT * FROM ranged WHERE id = $$ORD_0000000000000000500$$::text::order_id AND n > 0') =~ /ranged_\d/g, 2, 'a cast is folded');
is(sql('SELECT count(*) FROM listed'), 1, 'list partitions');

# Constraints, generated columns, arrays, ON CONFLICT, domains, ROW comparison.
sql(<<'SQL');
CREATE TABLE much (
    id order_id PRIMARY KEY,
    made timestamptz,
    number bigint GENERATED ALWAYS AS (id::bigint) STORED,
    shown text,
    refs order_id[] CHECK (id <> ALL (refs)),
    UNIQUE (number)
);
INSERT INTO much (id, refs) VALUES ('ORD_0000000000000000001', '{ORD_0000000000000000002}') ON CONFLICT (id) DO NOTHING;
INSERT INTO much (id) VALUES ('ORD_0000000000000000001') ON CONFLICT (id) DO UPDATE SET shown = excluded.id::text;
CREATE DOMAIN paid AS order_id CHECK (VALUE > 'ORD_0000000000000000000');
MERGE INTO much AS m USING (VALUES ('ORD_0000000000000000009'::order_id)) AS v (id) ON m.id = v.id WHEN NOT MATCHED THEN INSERT (id) VALUES (v.id);
SQL
is(sql('SELECT id, number, shown, refs FROM much ORDER BY id LIMIT 1'), 'ORD_0000000000000000001|1|ORD_0000000000000000001|{ORD_0000000000000000002}', 'constraints, generated column, ON CONFLICT, array');
is(sql("SELECT count(*) FROM much WHERE refs \@> ARRAY['ORD_0000000000000000002'::order_id] AND (id, made) IS DISTINCT FROM ('ORD_0000000000000000002', NULL)"), 1, 'array operators');
is(sql("SELECT 'ORD_0000000000000000001'::paid = ANY (SELECT id FROM much)"), 't', 'a domain');
fails_with($node, "SELECT 'ORD_-0000000000000000001'::paid", qr/23514/, 'its check');
sql('ALTER TABLE items ADD CONSTRAINT cascading FOREIGN KEY (order_id) REFERENCES orders ON DELETE CASCADE ON UPDATE CASCADE, DROP CONSTRAINT items_order_id_fkey');
sql("DELETE FROM orders WHERE id = '$some'; UPDATE orders SET id = '$some' WHERE id = '$other'");
is(sql("SELECT count(*) FROM items WHERE order_id = '$some'"), 3, 'foreign keys cascade');

# COPY, there and back, in three formats.
for my $format (qw(text csv binary))
{
    my $file = $node->basedir . "/items.$format";
    sql("COPY items TO '$file' (FORMAT $format); CREATE TABLE back_$format (LIKE items); COPY back_$format FROM '$file' (FORMAT $format)");
    is(sql("SELECT count(*) FROM items EXCEPT SELECT count(*) FROM back_$format"), '', "COPY, $format: the rows");
    is(sql("SELECT * FROM items EXCEPT SELECT * FROM back_$format"), '', "COPY, $format: what is in them");
}
sql("COPY orders (n) FROM PROGRAM 'seq 50000 50999'");
is(sql('SELECT count(DISTINCT id), min(id) > (SELECT max(id) FROM items)::bigint::order_id FROM orders WHERE n >= 50000'), '1000|t', 'COPY by the default');

# The limits that doc/typed-keys.md states.
subtest 'limits are as told' => sub {
    sql('CREATE TABLE parents (id order_id PRIMARY KEY)');
    my $reference = 'CREATE TABLE texts (parent text REFERENCES parents)';
    if ($server_major >= 18)
    {
        fails_with($node, $reference, qr/key columns are not both collatable/, 'a text column that references a typed key is refused');
    }
    else
    {
        sql("$reference; INSERT INTO parents VALUES ('ORD_0000000000000000001'), ('ORD_0000000000000000002'); INSERT INTO texts VALUES ('ORD_0000000000000000001')");
        fails_with($node, "DELETE FROM parents WHERE id = 'ORD_0000000000000000002'", qr/XX000/, 'a text column that references a typed key');
    }
    fails_with($node, "SET search_path = pg_catalog; SELECT * FROM public.orders WHERE id = '$some'", qr/42883: operator does not exist/, 'without the schema in the search_path');
    sql('CREATE TABLE even AS SELECT g::bigint::order_id AS id, g::bigint AS number FROM generate_series(1, 20000) AS g; ANALYZE even');
    my $narrow = "SELECT * FROM even WHERE id >= 'ORD_0000000000000005050' AND id < 'ORD_0000000000000005100'";
    is(rows_of($narrow), 1, 'a narrow range within a bin');
    is(rows_of($narrow =~ s/5050/4950/r =~ s/5100/5050/r), 200, 'and across the end of one');
    cmp_ok(rows_of('SELECT * FROM even WHERE number >= 5050 AND number < 5100'), '>', 10, 'which bigint estimates');
    sql('ALTER TABLE even ALTER id SET STATISTICS 1000; ANALYZE even');
    cmp_ok(rows_of($narrow), '>', 10, 'SET STATISTICS helps');

    my ($rc) = $node->psql('postgres', 'CREATE EXTENSION postgres_fdw', on_error_stop => 1);
    skip('postgres_fdw is not installed', 2) if $rc;
    my $options = sprintf "host '%s', port '%s', dbname 'postgres'", $node->host, $node->port;
    sql("CREATE SERVER there FOREIGN DATA WRAPPER postgres_fdw OPTIONS ($options); CREATE USER MAPPING FOR CURRENT_USER SERVER there; CREATE FOREIGN TABLE far (id order_id, n int) SERVER there OPTIONS (table_name 'orders')");
    unlike(plan_of("SELECT * FROM far WHERE id = '$some'") . sql("EXPLAIN (VERBOSE, COSTS off) SELECT * FROM far WHERE id = '$some'"), qr/Remote SQL: .*WHERE/, 'postgres_fdw sends no condition');
    like(sql("EXPLAIN (VERBOSE, COSTS off) UPDATE far SET n = 0 WHERE id = '$some'"), qr/Remote SQL: SELECT (?!.*WHERE).*FOR UPDATE/, 'and locks the whole table for an UPDATE');
};

# What PostgreSQL marks leakproof for bigint is so here.
is(sql(<<'SQL'), '', 'functions are marked as those of bigint');
SELECT p.proname, f.bigint
FROM (VALUES ('eq', 'int8eq'), ('ne', 'int8ne'), ('lt', 'int8lt'), ('le', 'int8le'), ('gt', 'int8gt'), ('ge', 'int8ge'), ('cmp', 'btint8cmp'),
    ('hash', 'hashint8'), ('hash_extended', 'hashint8extended'), ('smaller', 'int8smaller'), ('larger', 'int8larger'), ('send', 'int8send')) AS f (key, bigint)
JOIN pg_proc AS b ON b.proname = f.bigint AND b.pronamespace = 'pg_catalog'::regnamespace
LEFT JOIN pg_proc AS p ON p.proname = 'order_id_' || f.key AND p.prosrc = 'timeshard_key_' || f.key
WHERE (p.proleakproof, p.provolatile, p.proparallel, p.proisstrict) IS DISTINCT FROM (b.proleakproof, b.provolatile, b.proparallel, b.proisstrict)
SQL
is(sql(<<'SQL'), '', 'the B-tree has each support function of bigint but in_range');
SELECT amprocnum FROM pg_amproc WHERE amprocfamily = (SELECT oid FROM pg_opfamily WHERE opfname = 'integer_ops' AND opfmethod = (SELECT oid FROM pg_am WHERE amname = 'btree'))
AND amproclefttype = 'int8'::regtype AND amprocrighttype = 'int8'::regtype AND amprocnum <> 3
EXCEPT SELECT amprocnum FROM pg_amproc WHERE amproclefttype = 'order_id'::regtype AND amprocfamily = (SELECT oid FROM pg_opfamily WHERE opfname = 'order_id_ops' AND opfmethod = (SELECT oid FROM pg_am WHERE amname = 'btree'))
SQL
is(sql(<<'SQL'), '', 'opclasses are valid');
SELECT opcname FROM pg_opclass WHERE opcname LIKE 'order\_id%' AND NOT amvalidate(oid)
SQL

done_testing();
