# The stable twins that COPY FROM calls stand nowhere else: whatever a session does before
# COPY, and whatever runs inside it, other statements make an ID for each row.
use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

my $rows = 50;
my $node = new_cluster('copy_alone', conf => 'timeshard.node_id = 3');
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE loaded (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), n integer);
-- Adds a key to a table of rows: PostgreSQL evaluates a default that is not volatile once.
CREATE TABLE ids (place text, id text);
CREATE FUNCTION add_key(place text) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    DROP TABLE IF EXISTS old;
    CREATE TABLE old AS SELECT generate_series(1, 50) AS n;
    ALTER TABLE old ADD COLUMN id bigint DEFAULT timeshard_next_id(),
        ADD COLUMN code text DEFAULT timeshard_next_id_with_prefix('A_'), ADD COLUMN tax text DEFAULT timeshard_prefix_at('-', 4);
    INSERT INTO ids SELECT place || ' ' || column_no, value
        FROM old, LATERAL (VALUES (1, id::text), (2, code), (3, tax)) AS v (column_no, value);
    RETURN 1;
END $$;
CREATE FUNCTION add_key_of_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM add_key(TG_ARGV[0]); RETURN NEW; END';
CREATE FUNCTION add_key_while_planned() RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN add_key(''planned''); END';
CREATE FUNCTION add_key_by_sql() RETURNS bigint LANGUAGE sql AS $$
    DROP TABLE IF EXISTS plain;
    CREATE TABLE plain AS SELECT generate_series(1, 50) AS n;
    ALTER TABLE plain ADD COLUMN id bigint DEFAULT timeshard_next_id();
    SELECT 1::bigint
$$;
CREATE FUNCTION add_key_in_sql() RETURNS bigint IMMUTABLE LANGUAGE sql AS 'SELECT add_key_by_sql()';
CREATE FUNCTION plans() RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) INSERT INTO loaded DEFAULT VALUES';
    RETURN QUERY EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) SELECT timeshard_next_id(), timeshard_next_id_with_prefix(''A''), timeshard_prefix_at(''A'', 2)';
END $$;
CREATE TABLE seen_plans (plan text);
CREATE FUNCTION note_plans() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN INSERT INTO seen_plans SELECT plans(); RETURN 0; END';
CREATE FUNCTION note_plans_of_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM note_plans(); RETURN NEW; END';
CREATE FUNCTION note_plans_while_planned() RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN note_plans(); END';
SQL

# Runs $sql, after which add_key() has filled ids.
sub keys_differ
{
    my ($name, $sql, $times) = @_;
    $times //= 1;
    my $expected = $times * $rows;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is($node->safe_psql('postgres', "TRUNCATE ids, loaded; $sql; SELECT place ~ '1\$', count(*), count(DISTINCT id)
        FROM ids GROUP BY right(place, 1), 1 ORDER BY right(place, 1)"),
        join("\n", map { "$_|$expected|$expected" } qw(t f f)), "$name: ADD COLUMN makes an ID for each row");
}

my $copy = q{COPY loaded (n) FROM PROGRAM 'seq 1 5'};
my $add = "SELECT add_key('here') OFFSET 1";
keys_differ('alone', $add);
keys_differ('after COPY', "$copy; $add");
keys_differ('after COPY, one transaction', "BEGIN; $copy; $add; COMMIT");
keys_differ('after CREATE TABLE with a key', "CREATE TABLE fresh (id bigint PRIMARY KEY, n integer); $add; DROP TABLE fresh");
keys_differ('after ANALYZE', "ANALYZE; $add");
keys_differ('track_activities = off', "SET track_activities = off; $copy; $add");
keys_differ('after an error in COPY', "DO \$\$ BEGIN COPY loaded (n) FROM PROGRAM 'echo x'; EXCEPTION WHEN OTHERS THEN PERFORM add_key('caught'); END \$\$");
keys_differ('after an error in a default', "CREATE TABLE broken (id bigint DEFAULT 1 / (timeshard_next_id() - timeshard_next_id() + 1) / 0, n integer);
    DO \$\$ BEGIN COPY broken (n) FROM PROGRAM 'echo 1'; EXCEPTION WHEN OTHERS THEN PERFORM add_key('caught'); END \$\$; DROP TABLE broken");
keys_differ('after COPY with an error to the client', "\\set ON_ERROR_STOP off\nCOPY loaded (n) FROM PROGRAM 'echo x';\n$add");
keys_differ('one function', "DO \$\$ BEGIN $copy; PERFORM add_key('do'); END \$\$");

# Inside COPY: functions and triggers that run, one that runs while the default is
# planned, COPY in COPY, errors that are caught, and other commands that end the report.
for my $when ([ 'BEFORE', 'ROW' ], [ 'AFTER', 'ROW' ], [ 'BEFORE', 'STATEMENT' ], [ 'AFTER', 'STATEMENT' ])
{
    my ($event, $level) = @$when;
    keys_differ("in a trigger, $event $level", "CREATE TRIGGER t $event INSERT ON loaded FOR EACH $level EXECUTE FUNCTION add_key_of_trigger('trigger');
        COPY loaded (n) FROM PROGRAM 'seq 1 1'; DROP TRIGGER t ON loaded");
}
my %before = (
    'CREATE TABLE' => 'CREATE TABLE fresh (id bigint PRIMARY KEY); DROP TABLE fresh;',
    'ANALYZE' => 'ANALYZE loaded, ids;',
    'COPY' => 'COPY ids FROM PROGRAM $c$true$c$;',
    'a caught error' => 'BEGIN COPY ids FROM PROGRAM $c$echo x$c$; EXCEPTION WHEN OTHERS THEN NULL; END;',
    'CREATE INDEX' => 'CREATE INDEX fresh ON ids (place); DROP INDEX fresh;',
    'CLUSTER' => 'CREATE TABLE fresh (id bigint CONSTRAINT fresh_key PRIMARY KEY); CLUSTER fresh USING fresh_key; DROP TABLE fresh;');
for my $command (sort keys %before)
{
    for my $activities ('on', 'off')
    {
        keys_differ("in COPY, after $command, track_activities = $activities", <<"SQL");
SET track_activities = $activities;
CREATE TABLE outer_loaded (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), n integer);
CREATE FUNCTION inside() RETURNS trigger LANGUAGE plpgsql AS \$\$
BEGIN
    $before{$command}
    PERFORM add_key('inside');
    RETURN NEW;
END \$\$;
CREATE TRIGGER t BEFORE INSERT ON outer_loaded FOR EACH ROW EXECUTE FUNCTION inside();
COPY outer_loaded (n) FROM PROGRAM 'echo 1';
DROP TABLE outer_loaded; DROP FUNCTION inside()
SQL
    }
}
keys_differ('in a CHECK', "CREATE TABLE checked (id bigint DEFAULT timeshard_next_id(), n integer CHECK (add_key('check') = 1));
    COPY checked (n) FROM PROGRAM 'echo 1'; DROP TABLE checked");
keys_differ('in another default', "CREATE TABLE filled (id bigint DEFAULT timeshard_next_id(), n integer, other bigint DEFAULT add_key('default'));
    COPY filled (n) FROM PROGRAM 'echo 1'; DROP TABLE filled");
keys_differ('in WHERE', "COPY loaded (n) FROM PROGRAM 'echo 1' WHERE add_key('where') = 1");
keys_differ('in a default, while it is planned', "CREATE TABLE filled (id bigint DEFAULT timeshard_next_id() + add_key_while_planned(), n integer);
    COPY filled (n) FROM PROGRAM 'echo 1'; DROP TABLE filled");
keys_differ('in COPY TO, while it is planned', "COPY (SELECT add_key_while_planned()) TO '/dev/null'");
keys_differ('in COPY TO', "COPY (SELECT add_key('to')) TO '/dev/null'");

# The same by an SQL function, whose utility commands run without SPI.
for my $command ("CREATE TABLE filled (id bigint DEFAULT timeshard_next_id() + add_key_in_sql(), n integer); COPY filled (n) FROM PROGRAM 'echo 1'; DROP TABLE filled",
    "COPY (SELECT add_key_in_sql()) TO '/dev/null'")
{
    is($node->safe_psql('postgres', "$command; SELECT count(*), count(DISTINCT id) FROM plain"), "$rows|$rows", "an SQL function while planned: $command");
}

# Plans that are made inside COPY, or while it plans, name the functions themselves.
$node->safe_psql('postgres', <<"SQL");
CREATE TRIGGER t BEFORE INSERT ON loaded FOR EACH ROW EXECUTE FUNCTION note_plans_of_trigger();
$copy;
DROP TRIGGER t ON loaded;
COPY (SELECT note_plans_while_planned(), note_plans()) TO '/dev/null';
CREATE TABLE filled (id bigint DEFAULT timeshard_next_id() + note_plans_while_planned(), n integer);
COPY filled (n) FROM PROGRAM 'echo 1';
SQL
my $plans = $node->safe_psql('postgres', 'SELECT plan FROM seen_plans');
like($plans, qr/timeshard_next_id\(\).*timeshard_next_id_with_prefix\('A'.*timeshard_prefix_at\('A'/s, 'plans that are made inside COPY: the functions');
unlike($plans, qr/_in_copy/, 'plans that are made inside COPY: no twin');

# What a session has planned and cached while COPY ran works afterwards.
is($node->safe_psql('postgres', <<'SQL'), "100|100\n100|100", 'a function that was first called inside COPY, and its cached plan');
CREATE TABLE cached (id bigint);
CREATE FUNCTION caches() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE made bigint := timeshard_next_id();
BEGIN
    INSERT INTO cached SELECT timeshard_next_id() FROM generate_series(1, 9);
    RETURN made;
END $$;
SET plan_cache_mode = force_generic_plan;
CREATE TABLE checked (id bigint DEFAULT timeshard_next_id(), n integer, other bigint CHECK (caches() > 0));
COPY checked (n) FROM PROGRAM 'seq 1 1';
TRUNCATE cached;
INSERT INTO cached SELECT caches() FROM generate_series(1, 10);
SELECT count(*), count(DISTINCT id) FROM cached;
PREPARE made AS SELECT timeshard_next_id() AS id FROM generate_series(1, 100);
CREATE TABLE executed AS EXECUTE made;
SELECT count(*), count(DISTINCT id) FROM executed;
SQL

# Nothing that is stored names a twin.
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_depend WHERE refclassid = 'pg_proc'::regclass AND deptype = 'n'
    AND refobjid IN (SELECT oid FROM pg_proc WHERE proname LIKE 'timeshard\_%\_in\_copy')}), '0', 'no object depends on a twin');

$node->stop;
done_testing();
