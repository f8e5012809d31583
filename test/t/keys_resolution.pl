# The implicit cast from text to a typed key changes nothing where no typed key stands:
# every comparison of every two types of PostgreSQL's own, with and without typed keys in
# the database, resolves to the same operator or the same error. And with a typed key:
# what compares, and what is refused.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

my $node = new_cluster('resolution', conf => "jit = off\nfsync = off");
sub sql { return $node->safe_psql('postgres', $_[0]) }

sql(<<'SQL');
CREATE DOMAIN short AS varchar(9);
CREATE DOMAIN long AS text;
CREATE DOMAIN number AS bigint;
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TABLE resolved (run int, call text, plan text);
-- What the parser makes of each call: its plan shows operators and casts, else the error.
CREATE FUNCTION resolve(run int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    calls record;
    line text;
BEGIN
    FOR calls IN
        WITH types AS (
            SELECT format_type(oid, NULL) AS t FROM pg_type
            WHERE typtype IN ('b', 'e', 'd') AND typelem = 0 AND typname !~ '^(order|customer)_id$' AND typname !~ '^pg_'
            AND typnamespace IN ('pg_catalog'::regnamespace, 'public'::regnamespace)
            UNION ALL SELECT 'text[]' UNION ALL SELECT 'varchar[]' UNION ALL SELECT 'bigint[]' UNION ALL SELECT 'name'
        ), arguments AS (
            SELECT 'a' AS expression, t FROM types UNION ALL SELECT '''1''', 'text'
        )
        SELECT format('%s %s %s', CASE x.expression WHEN 'a' THEN 'a' ELSE x.expression END, o,
                CASE y.expression WHEN 'a' THEN 'b' ELSE y.expression END) AS call, x.t AS ta, y.t AS tb
        FROM arguments AS x, arguments AS y, unnest('{=,<>,<,<=,>,>=}'::text[]) AS o
        UNION ALL
        SELECT format('%s(%s)', f, x.expression), x.t, x.t FROM arguments AS x, unnest('{min,max}'::text[]) AS f
    LOOP
        BEGIN
            FOR line IN EXECUTE format('EXPLAIN (VERBOSE, COSTS off) SELECT %s FROM (SELECT NULL::%s AS a, NULL::%s AS b OFFSET 0) AS s', calls.call, calls.ta, calls.tb)
            LOOP
                EXIT WHEN line LIKE '%Output%';
            END LOOP;
        EXCEPTION WHEN OTHERS THEN
            line := SQLSTATE;
        END;
        INSERT INTO resolved VALUES (run, format('%s of %s, %s', calls.call, calls.ta, calls.tb), line);
    END LOOP;
END $$;
SQL
sql('SELECT resolve(1)');
sql("SELECT timeshard_create_type('order_id', 'ORD_'), timeshard_create_type('customer_id', 'CUS_')");
sql('SELECT resolve(2)');
my ($calls, $errors, $good) = split /\|/, sql(q{SELECT count(*), count(*) FILTER (WHERE plan = '42883'), count(*) FILTER (WHERE plan LIKE '%Output%') FROM resolved WHERE run = 1});
note("$calls calls, $errors without an operator, $good with one");
cmp_ok($calls, '>', 10000, 'many calls');
cmp_ok($good, '>', 1000, 'many of them resolve');
is(sql('SELECT a.call, a.plan, b.plan FROM resolved AS a JOIN resolved AS b USING (call) WHERE a.run = 1 AND b.run = 2 AND a.plan IS DISTINCT FROM b.plan'), '', 'the same with typed keys');

# With a typed key. A class of errors, or the type of the result.
my $key = "'ORD_0000000000000000001'::order_id";
my %expected = (
    "$key = 'ORD_0000000000000000001'" => 'boolean',
    "$key = 'ORD_0000000000000000001'::text" => 'boolean',
    "$key = 'ORD_0000000000000000001'::varchar" => 'boolean',
    "'ORD_0000000000000000001'::text = $key" => 'boolean',
    "$key IN ('ORD_0000000000000000001', 'ORD_0000000000000000002')" => 'boolean',
    "$key = ANY ('{ORD_0000000000000000001}'::text[])" => 'boolean',
    "($key, 1) = ('ORD_0000000000000000001'::text, 1)" => 'boolean',
    "$key || '!'" => 'text',
    "'!' || $key" => 'text',
    "'!'::text || $key" => 'text',
    "concat($key, '!')" => 'text',
    "format('%s', $key)" => 'text',
    "coalesce($key, 'ORD_0000000000000000001')" => 'order_id',
    "CASE WHEN true THEN $key ELSE 'ORD_0000000000000000001' END" => 'order_id',
    "greatest($key, 'ORD_0000000000000000002')" => 'order_id',
    "nullif($key, 'ORD_0000000000000000001'::text)" => 'order_id',
    "min(x) FROM (SELECT $key UNION SELECT 'ORD_0000000000000000001') AS u (x)" => 'order_id',
    "to_jsonb($key)" => 'jsonb',
    "coalesce($key, 'a'::text)" => '42804',
    "CASE WHEN true THEN $key ELSE 'a'::text END" => '42804',
    "x FROM (SELECT $key UNION SELECT 'a'::text) AS u (x)" => '42804',
    "ARRAY[$key, 'a'::text]" => '42804',
    "$key LIKE 'ORD%'" => '42883',
    "$key ~ 'ORD'" => '42883',
    "length($key)" => '42883',
    "$key = 1" => '42883',
    "$key = 1::bigint" => '42883',
    "$key + 1" => '42883',
    "$key = 'CUS_0000000000000000001'::customer_id" => '42883',
    "$key = 'CUS_0000000000000000001'" => '22P02',
    "$key = 'CUS_0000000000000000001'::text" => '22P02',
    "sum($key)" => '42883',
    "timeshard_time($key)" => '42883',
    "order_id_time('ORD_0000000000000000001'::text)" => 'timestamp with time zone',
    # Functions of a user's own that differ in the argument alone.
    "two('ORD_0000000000000000001'::text)" => '42725',
    "two('ORD_0000000000000000001'::varchar)" => 'integer',
    "two($key)" => 'bigint',
    "text_or_key('ORD_0000000000000000001')" => 'integer',
    "text_or_key('ORD_0000000000000000001'::varchar)" => 'integer',
    "text_or_key($key)" => 'bigint',
);
sql(<<'SQL');
CREATE FUNCTION two(varchar) RETURNS int LANGUAGE sql RETURN 1;
CREATE FUNCTION two(order_id) RETURNS bigint LANGUAGE sql RETURN 1;
CREATE FUNCTION text_or_key(text) RETURNS int LANGUAGE sql RETURN 1;
CREATE FUNCTION text_or_key(order_id) RETURNS bigint LANGUAGE sql RETURN 1;
SQL
for my $expression (sort keys %expected)
{
    my ($first, $from) = $expression =~ /^(.*?)( FROM .*)?$/;
    my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY sqlstate\nSELECT pg_typeof($first)" . ($from // ''));
    my $is = $err =~ /ERROR:  (\w+)/ ? $1 : $out;
    is($is, $expected{$expression}, $expression =~ s/$key/key/gr);
}

done_testing();
