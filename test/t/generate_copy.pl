# COPY that leaves a key to its default: rows in batches wherever bigserial's are,
# each row with an ID of its own, and the same rows as before where they cannot be.
use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

my $rows = 50;
my $node = new_cluster('copy', conf => "timeshard.node_id = 3\nmax_prepared_transactions = 2");
my $copy = "COPY made (n) FROM PROGRAM 'seq 1 $rows'";

# A table called "made" has watch('made') as a CHECK. It notes how many rows of the table
# the last one saw: all before it where COPY inserts row by row, none in a batch.
$node->safe_psql('postgres', <<'SQL');
CREATE SEQUENCE seen MINVALUE 0;
CREATE FUNCTION watch(relation text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE rows bigint;
BEGIN
    EXECUTE 'SELECT count(*) FROM ' || relation INTO rows;
    PERFORM setval('seen', rows);
    RETURN true;
END $$;
CREATE DOMAIN key AS bigint DEFAULT timeshard_next_id();
CREATE DOMAIN order_key AS text COLLATE "C" DEFAULT timeshard_next_id_with_prefix('ORD_') CHECK (VALUE LIKE 'ORD\_%');
CREATE DOMAIN narrow_key AS key CHECK (VALUE > 0);
CREATE FUNCTION own_id() RETURNS bigint LANGUAGE sql AS 'SELECT timeshard_next_id()';
CREATE FUNCTION own_stable_id() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT timeshard_next_id()';
CREATE FUNCTION slow_id() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN timeshard_next_id(); END';
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION load_plpgsql() RETURNS void LANGUAGE plpgsql AS $$ BEGIN COPY made (n) FROM PROGRAM 'seq 1 50'; END $$;
CREATE FUNCTION load_dynamic() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'COPY made (n) FROM PROGRAM ''seq 1 50'''; END $$;
SQL
# How $load fills made, whose columns are $columns and which $more prepares: rows, IDs,
# and the rows seen by the last one.
sub outcome
{
    my ($columns, $load, $more) = @_;
    return $node->safe_psql('postgres', "DROP TABLE IF EXISTS made; CREATE TABLE made ($columns); ALTER TABLE made ADD CHECK (watch('made')); "
          . ($more // '') . "; $load; SELECT count(*), count(DISTINCT id), (SELECT last_value FROM seen) FROM made");
}

sub batches
{
    my ($name, @made) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is(outcome(@made), "$rows|$rows|0", "$name: in one batch, each row with its own ID");
}

sub one_by_one
{
    my ($name, @made) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is(outcome(@made), "$rows|$rows|" . ($rows - 1), "$name: row by row, each with its own ID");
}

my $plain = 'id bigint PRIMARY KEY DEFAULT timeshard_next_id(), n integer';
my $sent = "COPY made (n) FROM stdin;\n" . join('', map { "$_\n" } 1 .. $rows) . "\\.\n";

batches('bigserial, for comparison', 'id bigserial PRIMARY KEY, n integer', $copy);
one_by_one('a volatile function, for comparison', 'id bigint PRIMARY KEY DEFAULT slow_id(), n integer', $copy);

# What a default can be
batches('timeshard_next_id()', $plain, $copy);
batches('timeshard_next_id_with_prefix()', q{id text COLLATE "C" PRIMARY KEY DEFAULT timeshard_next_id_with_prefix('ORD_'), n integer}, $copy);
batches('timeshard_prefix_at()', q{id text COLLATE "C" PRIMARY KEY DEFAULT timeshard_prefix_at('-ORD-', 4), n integer}, $copy);
batches('named arguments', q{id text DEFAULT timeshard_prefix_at(at_position => 4, prefix => '-ORD-'), n integer}, $copy);
batches('a domain', 'id key PRIMARY KEY, n integer', $copy);
batches('a domain of text with a CHECK', 'id order_key PRIMARY KEY, n integer', $copy);
batches('a domain over a domain', 'id narrow_key PRIMARY KEY, n integer', $copy);
batches('a cast by a function', 'id numeric DEFAULT timeshard_next_id(), n integer', $copy);
batches('a cast to text', 'id text DEFAULT timeshard_next_id()::text, n integer', $copy);
batches('a varchar(30)', q{id varchar(30) DEFAULT timeshard_next_id_with_prefix('ORD_'), n integer}, $copy);
batches('an expression', q{id text DEFAULT 'A' || timeshard_encode(timeshard_next_id()), n integer}, $copy);
batches('an SQL function that is inlined', 'id bigint DEFAULT own_id(), n integer', $copy);
one_by_one('an SQL function that is not', 'id bigint DEFAULT own_id(), n integer', $copy, 'ALTER FUNCTION own_id() SET work_mem = 4096');
batches('two defaults', "$plain, other bigint DEFAULT timeshard_next_id(), number bigserial", $copy);
batches('a generated column', "$plain, code text GENERATED ALWAYS AS (timeshard_encode(id)) STORED", $copy);
one_by_one('another volatile default', "$plain, at timestamptz DEFAULT clock_timestamp()", $copy);
one_by_one('a volatile argument', q{id text DEFAULT timeshard_next_id_with_prefix(to_char(clock_timestamp(), 'YYYY')), n integer}, $copy);
batches('a stable argument', q{id text DEFAULT timeshard_next_id_with_prefix(to_char(now(), 'YYYY')), n integer}, $copy);
# PostgreSQL may evaluate a function that is called stable once; COPY does not.
is(outcome('id bigint DEFAULT own_stable_id(), n integer', $copy), "$rows|$rows|0", 'a function that is called stable');
is($node->safe_psql('postgres', "DROP TABLE made; CREATE TABLE made (id text DEFAULT timeshard_next_id_with_prefix(NULL), n integer);
    $copy; SELECT count(*), count(id) FROM made"), "$rows|0", 'a null prefix');

# Where COPY runs, and into what
batches('from the client', $plain, $sent);
batches('track_activities = off', $plain, "SET track_activities = off; $copy");
batches('PL/pgSQL', $plain, 'SELECT load_plpgsql() OFFSET 1');
batches('PL/pgSQL, dynamic', $plain, 'SELECT load_dynamic() OFFSET 1');
batches('an SQL function', $plain, qq{CREATE OR REPLACE FUNCTION load_sql() RETURNS void LANGUAGE sql AS \$\$ $copy \$\$; SELECT load_sql() OFFSET 1});
batches('a temporary table', 'n integer', $copy,
    "DROP TABLE made; CREATE TEMPORARY TABLE made ($plain, CHECK (watch('made')))");
batches('an AFTER trigger', $plain, $copy, 'CREATE TRIGGER t AFTER INSERT ON made FOR EACH ROW EXECUTE FUNCTION nothing()');
batches('a statement trigger', $plain, $copy, 'CREATE TRIGGER t BEFORE INSERT ON made EXECUTE FUNCTION nothing()');
one_by_one('a BEFORE trigger', $plain, $copy, 'CREATE TRIGGER t BEFORE INSERT ON made FOR EACH ROW EXECUTE FUNCTION nothing()');
batches('WHERE', $plain, "$copy WHERE n > 0");
one_by_one('WHERE with a volatile function', $plain, "$copy WHERE timeshard_next_id() > n");
batches('a subtransaction', $plain, "BEGIN; SAVEPOINT s; $copy; RELEASE s; COMMIT");
batches('a transaction that is prepared', $plain, "BEGIN; $copy; PREPARE TRANSACTION 'p'; COMMIT PREPARED 'p'");
batches('binary', $plain, "COPY (SELECT generate_series(1, $rows)) TO '" . $node->basedir . "/binary' (FORMAT binary);
    COPY made (n) FROM '" . $node->basedir . "/binary' (FORMAT binary)");
SKIP:
{
    skip 'COPY has no DEFAULT option before 16', 1 if $server_major < 16;
    batches('DEFAULT in the file', $plain, "COPY made (n, id) FROM PROGRAM 'seq -f ''%g,DEF'' 1 $rows' (FORMAT csv, DEFAULT 'DEF')");
}

# Partitions: a batch each, so rows are seen but never all of them.
is($node->safe_psql('postgres', "DROP TABLE made; CREATE TABLE made ($plain) PARTITION BY HASH (id);
    CREATE TABLE made_0 PARTITION OF made FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE made_1 PARTITION OF made FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    $copy; SELECT count(*), count(DISTINCT id), count(DISTINCT tableoid) FROM made"), "$rows|$rows|2", 'hash partitions');
batches('one partition', 'unused integer', $copy, "DROP TABLE made; CREATE TABLE made ($plain) PARTITION BY RANGE (id);
    CREATE TABLE made_high PARTITION OF made (CHECK (watch('made'))) FOR VALUES FROM (0) TO (MAXVALUE)");

# A view, whose trigger inserts the row: the view's own default makes the ID.
is($node->safe_psql('postgres', <<"SQL"), "$rows|$rows", 'a view');
DROP TABLE made;
CREATE TABLE kept (id bigint PRIMARY KEY, n integer);
CREATE VIEW made AS SELECT * FROM kept;
ALTER VIEW made ALTER id SET DEFAULT timeshard_next_id();
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO kept VALUES (NEW.id, NEW.n); RETURN NEW; END';
CREATE TRIGGER keep INSTEAD OF INSERT ON made FOR EACH ROW EXECUTE FUNCTION keep();
$copy;
SELECT count(*), count(DISTINCT id) FROM kept;
DROP VIEW made;
SQL

# An ID that an SQL function is given stays one ID, however often its body uses it.
for my $cost ('', 'SET cpu_operator_cost = 0;', 'SET cpu_operator_cost = 1e300;')
{
    is($node->safe_psql('postgres', <<"SQL"), "$rows|$rows|$rows", "an argument that a function uses twice ($cost)");
DROP TABLE IF EXISTS made;
CREATE OR REPLACE FUNCTION with_check_digit(bigint) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT \$1::text || ''-'' || \$1::text';
CREATE TABLE made (id text DEFAULT with_check_digit(timeshard_next_id()), n integer);
$cost $copy;
SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE split_part(id, '-', 1) = split_part(id, '-', 2)) FROM made;
SQL
}

# Many batches, in order.
is($node->safe_psql('postgres', "DROP TABLE made; CREATE TABLE made ($plain); COPY made (n) FROM PROGRAM 'seq 1 100000';
    SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE falls) FROM (SELECT id, id <= lag(id) OVER (ORDER BY n) AS falls FROM made) AS m"),
    '100000|100000|0', 'many batches, in the order of the file');

# The first copy of a subscription.
my $publisher = PostgreSQL::Test::Cluster->new('copied');
$publisher->init(allows_streaming => 'logical');
$publisher->start;
$publisher->safe_psql('postgres', "CREATE TABLE made (n integer PRIMARY KEY); INSERT INTO made SELECT generate_series(1, $rows);
    CREATE PUBLICATION everything FOR TABLE made");
$node->safe_psql('postgres', "DROP TABLE made; CREATE TABLE made (n integer PRIMARY KEY, id bigint DEFAULT timeshard_next_id(), CHECK (public.watch('public.made')));
    ALTER FUNCTION watch(text) SET search_path = public");
$node->safe_psql('postgres', q{CREATE SUBSCRIPTION everything CONNECTION '} . $publisher->connstr . q{ dbname=postgres' PUBLICATION everything});
$node->wait_for_subscription_sync($publisher, 'everything');
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT id), (SELECT last_value FROM seen) FROM made'),
    "$rows|$rows|0", 'the first copy of a subscription: in one batch');
$node->safe_psql('postgres', 'DROP SUBSCRIPTION everything');

$publisher->stop;
$node->stop;
done_testing();
