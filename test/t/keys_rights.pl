# timeshard_create_type() does a superuser's work for a role that is none. Nobody gets a
# superuser's rights by it: not by event triggers, planted objects, settings, default
# privileges, or by what the type's owner can do to it afterwards.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

my $node = new_cluster('keys_rights', init => [ extra => [ '--locale=C.UTF-8', '--encoding=UTF8' ] ]);
my $superuser = $node->safe_psql('postgres', <<'SQL');
CREATE ROLE maker LOGIN;
CREATE ROLE stranger LOGIN;
CREATE SCHEMA att;
CREATE SCHEMA closed;
CREATE SCHEMA own AUTHORIZATION maker;
GRANT USAGE ON SCHEMA att, closed TO stranger, maker;
GRANT CREATE ON SCHEMA att TO maker;
GRANT EXECUTE ON FUNCTION timeshard_create_type(text, text, text) TO maker;
SELECT current_user;
SQL

sub as_role { my ($role, $sql) = @_; return $node->safe_psql('postgres', $sql, extra_params => [ '-U', $role ]) }

sub refused
{
    my ($role, $sql, $pattern, $name) = @_;
    my ($rc, undef, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql", on_error_stop => 1, extra_params => [ '-U', $role ]);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok($rc != 0 && $err =~ $pattern, $name // $sql) || diag("$rc: $err");
}

# Who may.
refused('stranger', "SELECT timeshard_create_type('att.a', 'A')", qr/42501: permission denied for function/, 'not for everybody');
refused('maker', "SELECT timeshard_create_type('closed.a', 'A')", qr/42501: permission denied for schema closed/, 'CREATE on the schema is needed');
refused($superuser, "SELECT timeshard_create_type('$_.a', 'A')", qr/22023/, "$_ is refused, even for a superuser")
  for qw(pg_catalog pg_toast pg_temp information_schema);
refused('maker', "BEGIN READ ONLY; SELECT timeshard_create_type('att.a', 'A')", qr/25006/, 'read-only, create');

# An audit by event triggers, as is usual: functions without a search_path, with names that
# the caller can plant. They run for the statement that the caller sends, as the caller.
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE audit (event text, who text, tag text);
GRANT INSERT, SELECT ON audit TO PUBLIC;
CREATE FUNCTION note(event text, tag text) RETURNS void LANGUAGE sql AS 'INSERT INTO public.audit VALUES (event, current_user, tag)';
CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM note(tg_event, tg_tag); END $$;
CREATE EVENT TRIGGER a ON ddl_command_start EXECUTE FUNCTION on_ddl();
CREATE EVENT TRIGGER b ON ddl_command_end EXECUTE FUNCTION on_ddl();
CREATE EVENT TRIGGER c ON sql_drop EXECUTE FUNCTION on_ddl();
TRUNCATE audit;
SQL
my $created = as_role('maker', <<'SQL');
SET search_path = att, public;
SELECT timeshard_create_type('order_id', 'ORD_');
SQL
is($created, 'order_id', 'an ordinary role creates a type');
is($node->safe_psql('postgres', 'SELECT count(*) FROM audit'), '0', 'no event trigger runs in there');

# Planted before: everything that the script of a type could find by a wrong name.
as_role('maker', <<'SQL');
SET search_path = att, public;
CREATE FUNCTION att.note(event text, tag text) RETURNS void LANGUAGE sql AS 'INSERT INTO public.audit VALUES (''planted'', current_user, tag)';
CREATE TYPE att.text AS (a int);
CREATE TYPE att.int8 AS (a int);
CREATE TYPE att.cstring AS (a int);
CREATE TYPE att.internal AS (a int);
CREATE TYPE att.timestamptz AS (a int);
CREATE DOMAIN att.oid AS pg_catalog.oid;
CREATE FUNCTION att.trap(pg_catalog.int8, pg_catalog.int8) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM att.note('trap', 'trap'); RETURN true; END $$;
DO $do$
DECLARE f name;
BEGIN
    FOREACH f IN ARRAY '{int8eq,int8lt,btint8cmp,int8smaller,key_eq,key_cmp,key_smaller,key_between}'::name[] LOOP
        EXECUTE format('CREATE FUNCTION att.%I(pg_catalog.int8, pg_catalog.int8) RETURNS pg_catalog.int8 LANGUAGE plpgsql AS $$ BEGIN RAISE ''trap''; END $$', f);
    END LOOP;
    FOREACH f IN ARRAY '{=,<>,<,<=,>,>=}'::name[] LOOP
        EXECUTE format('CREATE OPERATOR att.%s (FUNCTION = att.trap, LEFTARG = pg_catalog.int8, RIGHTARG = pg_catalog.int8)', f);
    END LOOP;
END $do$;
CREATE FUNCTION att.key_last_before(timestamp) RETURNS pg_catalog.int8 LANGUAGE plpgsql AS $$ BEGIN RAISE 'trap'; END $$;
CREATE FUNCTION att.min_trap(pg_catalog.int8, pg_catalog.int8) RETURNS pg_catalog.int8 LANGUAGE sql RETURN $1;
CREATE AGGREGATE att.min(pg_catalog.int8) (SFUNC = att.min_trap, STYPE = pg_catalog.int8);
SQL
$node->safe_psql('postgres', 'TRUNCATE audit');
as_role('maker', <<'SQL');
SET search_path = att, pg_catalog, public;
SELECT set_config('standard_conforming_strings', 'off', false) WHERE current_setting('server_version_num')::int < 190000;
SET check_function_bodies = off;
SET quote_all_identifiers = on;
SET transform_null_equals = on;
SELECT timeshard_create_type('key', 'KEY_');
SQL
is($node->safe_psql('postgres', 'SELECT count(*) FROM audit'), '0', 'nothing planted runs');

# Everything that the parts of a type refer to is one of its parts or of pg_catalog.
my $foreign = <<'SQL';
WITH parts AS (
    SELECT 'pg_type'::regclass AS class, oid FROM pg_type WHERE oid IN ('att.key'::regtype, 'att.key[]'::regtype)
    UNION SELECT classid, objid FROM pg_depend WHERE refclassid = 'pg_type'::regclass AND refobjid = 'att.key'::regtype
)
SELECT pg_describe_object(d.classid, d.objid, 0), pg_describe_object(d.refclassid, d.refobjid, 0)
FROM parts JOIN pg_depend AS d ON d.classid = parts.class AND d.objid = parts.oid
WHERE d.refclassid <> 'pg_namespace'::regclass AND d.refobjid >= 16384
AND (d.refclassid, d.refobjid) NOT IN (SELECT class, oid FROM parts)
AND d.refclassid <> 'pg_opfamily'::regclass
SQL
is($node->safe_psql('postgres', $foreign), '', 'the parts depend on each other and on pg_catalog alone');
is($node->safe_psql('postgres', 'SELECT oprrest, oprjoin FROM pg_operator WHERE oprleft = $$att.key$$::regtype ORDER BY oprrest::text'),
    join("\n", map { "${_}sel|${_}joinsel" } qw(eq neq scalarge scalargt scalarle scalarlt)), 'selectivity is estimated by pg_catalog');

# Within another statement that event triggers see, they run for it, as the caller.
as_role('maker', "SET search_path = public; CREATE TABLE att.made AS SELECT timeshard_create_type('att.within', 'W_')");
is($node->safe_psql('postgres', 'SELECT DISTINCT who, tag FROM audit'), 'maker|CREATE TABLE AS', 'event triggers see the call alone, as the caller');
as_role('maker', "DROP TABLE att.made; SELECT timeshard_drop_type('att.within')");
$node->safe_psql('postgres', 'DROP EVENT TRIGGER a; DROP EVENT TRIGGER b; DROP EVENT TRIGGER c');

# Nothing is replaced.
as_role('maker', 'CREATE FUNCTION att.taken_last_before(pg_catalog.timestamptz) RETURNS int LANGUAGE sql RETURN 1');
refused('maker', "SELECT timeshard_create_type('att.taken', 'A')", qr/42723/, 'a function of that name stands in the way');
as_role('maker', 'CREATE TYPE att.kind AS ENUM (); CREATE DOMAIN att.dom AS int; CREATE TABLE att.tab ()');
refused('maker', "SELECT timeshard_create_type('att.$_', 'A')", qr/42710/, "a $_ of that name stands in the way") for qw(kind dom tab key _key);
$node->safe_psql('postgres', 'CREATE TYPE att.shell; ALTER TYPE att.shell OWNER TO maker');
refused('maker', "SELECT timeshard_create_type('att.shell', 'A')", qr/42710/, 'a shell type is not filled in');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_proc WHERE pronamespace = 'att'::regnamespace AND proname ~ '^(taken|shell|kind|dom|tab)_'}), '1', 'and nothing half done stays');

# After success and failure the caller is the caller again.
for my $failing ("'att.taken', 'A'", "'att.fine', '1'", "'att.fine', 'A'")
{
    my $state = as_role('maker', <<"SQL");
SET search_path = att, public;
DO \$\$ BEGIN PERFORM timeshard_create_type($failing); EXCEPTION WHEN OTHERS THEN NULL; END \$\$;
SELECT current_user, current_setting('search_path'), current_setting('client_min_messages'), has_table_privilege('pg_authid', 'SELECT');
SQL
    is($state, 'maker|att, public|notice|f', "rights and settings are the caller's after $failing");
    refused('maker', "DO \$\$ BEGIN PERFORM timeshard_create_type($failing); EXCEPTION WHEN OTHERS THEN NULL; END \$\$; SELECT * FROM pg_authid",
        qr/42501/, "no superuser after $failing");
}

# What belongs to whom.
is($node->safe_psql('postgres', <<'SQL'), "maker|2\n$superuser|36", 'the type is the caller\'s, the rest the superuser\'s');
SELECT owner::regrole, count(*) FROM (
    SELECT typowner AS owner FROM pg_type WHERE oid IN ('att.order_id'::regtype, 'att.order_id[]'::regtype)
    UNION ALL SELECT proowner FROM pg_proc WHERE pronamespace = 'att'::regnamespace AND (proname LIKE 'order\_id\_%' OR proname IN ('min', 'max') AND proargtypes[0] = 'att.order_id'::regtype)
    UNION ALL SELECT oprowner FROM pg_operator WHERE oprleft = 'att.order_id'::regtype
    UNION ALL SELECT opcowner FROM pg_opclass WHERE opcintype = 'att.order_id'::regtype
    UNION ALL SELECT opfowner FROM pg_opfamily WHERE opfname = 'order_id_ops') AS parts GROUP BY owner ORDER BY 2
SQL
my $parts = $node->safe_psql('postgres', <<'SQL');
SELECT p.oid::regprocedure FROM pg_proc AS p WHERE p.pronamespace = 'att'::regnamespace AND p.prokind = 'f'
AND p.proname LIKE 'order\_id\_%' ORDER BY 1::text
SQL
for my $part (split /\n/, $parts)
{
    refused('maker', "ALTER FUNCTION $part $_", qr/42501: (?:must be owner|permission denied for schema public)/)
      for 'CALLED ON NULL INPUT', "SET search_path = att", 'RENAME TO other', 'SET SCHEMA public', 'OWNER TO maker', 'COST 1', 'NOT LEAKPROOF';
    refused('maker', "DROP FUNCTION $part", qr/42501: must be owner/);
}
refused('maker', $_, qr/42501/) for (
    'CREATE OR REPLACE FUNCTION att.order_id_eq(att.order_id, att.order_id) RETURNS bool LANGUAGE sql RETURN true',
    "CREATE OR REPLACE FUNCTION att.order_id_in(\"ORD_\" pg_catalog.cstring) RETURNS att.order_id LANGUAGE internal AS 'int8in'",
    'CREATE OR REPLACE FUNCTION att.order_id_time(id att.order_id) RETURNS pg_catalog.timestamptz LANGUAGE sql RETURN now()',
    'DROP OPERATOR att.= (att.order_id, att.order_id)', 'ALTER OPERATOR att.= (att.order_id, att.order_id) SET (RESTRICT = NONE)',
    'ALTER OPERATOR att.= (att.order_id, att.order_id) OWNER TO maker', 'ALTER OPERATOR att.= (att.order_id, att.order_id) SET SCHEMA public',
    'ALTER OPERATOR CLASS att.order_id_ops USING btree RENAME TO other', 'DROP OPERATOR CLASS att.order_id_ops USING hash',
    'ALTER OPERATOR FAMILY att.order_id_ops USING btree ADD FUNCTION 1 (att.order_id, pg_catalog.int8) att.key_cmp(pg_catalog.int8, pg_catalog.int8)',
    'DROP OPERATOR FAMILY att.order_id_ops USING brin', 'CREATE OPERATOR FAMILY att.other_ops USING btree',
    'ALTER AGGREGATE att.min(att.order_id) OWNER TO maker', 'DROP AGGREGATE att.min(att.order_id)',
    'ALTER TYPE att.order_id SET (RECEIVE = att.order_id_recv)', 'ALTER TYPE att.order_id SET (ANALYZE = pg_catalog.array_typanalyze)',
    'CREATE CAST (att.order_id AS att.key) WITHOUT FUNCTION',
    "CREATE FUNCTION att.f(pg_catalog.cstring) RETURNS att.order_id LANGUAGE c AS '\$libdir/timeshard', 'timeshard_key_in'",
);
refused('maker', 'ALTER TYPE att.order_id SET (STORAGE = extended)', qr/42P17|42501|0A000|22023/);
as_role('maker', "GRANT EXECUTE ON FUNCTION att.order_id_eq(att.order_id, att.order_id) TO maker WITH GRANT OPTION; REVOKE EXECUTE ON FUNCTION att.order_id_eq(att.order_id, att.order_id) FROM PUBLIC");
is($node->safe_psql('postgres', "SELECT proacl FROM pg_proc WHERE oid = 'att.order_id_eq(att.order_id,att.order_id)'::regprocedure"), "{=X/$superuser,$superuser=X/$superuser}", 'rights on a part stay');

# Default privileges withhold nothing from those who use the type.
$node->safe_psql('postgres', "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC; ALTER DEFAULT PRIVILEGES FOR ROLE maker REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC");
as_role('maker', "SELECT timeshard_create_type('att.withheld', 'WIT_'); CREATE TABLE att.t (id att.withheld PRIMARY KEY DEFAULT public.timeshard_next_id()); GRANT ALL ON att.t TO stranger");
is(as_role('stranger', <<'SQL'), "t|t|1|t", 'everybody may use the type whatever the default privileges');
SET search_path = att, public;
INSERT INTO t DEFAULT VALUES;
SELECT bool_and(id > 'WIT_0000000000000000000'::pg_catalog.text), bool_and(withheld_time(id) < now()), count(DISTINCT id), max(id) = min(id) FROM t;
SQL
$node->safe_psql('postgres', 'ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC; ALTER DEFAULT PRIVILEGES FOR ROLE maker GRANT EXECUTE ON FUNCTIONS TO PUBLIC');

# Dropping.
refused('stranger', "SELECT timeshard_drop_type('att.order_id')", qr/42501: must be owner of type order_id/);
refused('maker', "SELECT timeshard_drop_type('att.withheld')", qr/2BP01.*column id of table att.t/s, 'not while a column has it');
refused('maker', "BEGIN READ ONLY; SELECT timeshard_drop_type('att.key')", qr/25006/, 'read-only, drop');
as_role('stranger', 'CREATE TEMP TABLE x (id att.key); DROP TABLE x');
$node->safe_psql('postgres', 'CREATE FUNCTION closed.uses(att.key) RETURNS int LANGUAGE sql RETURN 1');
refused('maker', "SELECT timeshard_drop_type('att.key')", qr/2BP01.*closed\.uses/s, 'nor while a function has it');
$node->safe_psql('postgres', 'DROP FUNCTION closed.uses(att.key); CREATE OPERATOR att.=== (FUNCTION = att.key_eq, LEFTARG = att.key, RIGHTARG = att.key)');
refused('maker', "SELECT timeshard_drop_type('att.key')", qr/2BP01.*===/s, 'nor another operator on its function');
$node->safe_psql('postgres', "DROP OPERATOR att.=== (att.key, att.key); DROP FUNCTION att.key_parse(att.key); GRANT CREATE ON SCHEMA att TO stranger");
as_role('stranger', 'CREATE FUNCTION att.key_parse(att.key) RETURNS int LANGUAGE sql RETURN 1');
refused('maker', "SELECT timeshard_drop_type('att.key')", qr/2BP01.*key_parse/s, "nor another role's function under the name of a part");
as_role('stranger', 'DROP FUNCTION att.key_parse(att.key)');
as_role('maker', "SELECT timeshard_drop_type('att.key')");

# Hostile binary input, nulls for functions that a superuser has made non-strict, and C
# functions that a superuser has declared without a name: errors, and no crash.
$node->safe_psql('postgres', 'CREATE TABLE raw (id att.order_id)');
sub copy_binary
{
    my ($field) = @_;
    my $file = $node->basedir . '/raw.bin';
    open my $out, '>:raw', $file or die "cannot write $file: $!";
    print $out "PGCOPY\n\xff\r\n\0", pack('N2', 0, 0), pack('n', 1), defined $field ? pack('N', length $field) . $field : pack('N', 0xffffffff), pack('n', 0xffff);
    close $out or die "cannot write $file: $!";
    return "COPY raw FROM '$file' (FORMAT binary)";
}
refused($superuser, copy_binary('x' x $_), qr/08P01|22P03/, "$_ bytes of binary input") for 0, 1, 7, 9, 16;
$node->safe_psql('postgres', copy_binary("\xff" x 8));
$node->safe_psql('postgres', copy_binary(undef));
is($node->safe_psql('postgres', 'SELECT id, id::bigint FROM raw ORDER BY raw.id'), "ORD_-0000000000000000001|-1\n|", 'a negative ID and a null by binary input');
for my $part (split /\n/, $parts) { $node->safe_psql('postgres', "ALTER FUNCTION $part CALLED ON NULL INPUT") unless $part =~ /between/ }
$node->safe_psql('postgres', copy_binary(undef));
$node->safe_psql('postgres', "COPY raw FROM PROGRAM 'echo \\\\\\N'; INSERT INTO raw VALUES (NULL)");
is($node->safe_psql('postgres', 'SELECT count(*) FROM raw WHERE id IS NULL'), '4', 'nulls by functions that are not strict');
for my $call (qw(in out recv send eq ne lt le gt ge cmp hash hash_extended smaller larger from_text time parse last_before between))
{
    my $signature = (grep { /order_id_$call\(/ } split /\n/, $parts)[0];
    my $nulls = join ', ', map { "NULL::$_" } grep { !/internal/ } split /,/, $signature =~ /\((.*)\)/ ? $1 : '';
    $nulls = 'NULL' if $call eq 'recv';
    $node->psql('postgres', "SELECT att.order_id_$call($nulls)");
}
is($node->safe_psql('postgres', 'SELECT 1'), '1', 'the server lives on');
unlike(log_of($node), qr/terminated by signal/, 'no session has crashed');
for my $part (split /\n/, $parts) { $node->safe_psql('postgres', "ALTER FUNCTION $part STRICT") unless $part =~ /between/ }
refused($superuser, <<'SQL', qr/XX000: function \d+ has no argument name/, 'a C function without the name of its argument');
CREATE FUNCTION nameless(cstring) RETURNS att.order_id LANGUAGE c IMMUTABLE AS '$libdir/timeshard', 'timeshard_key_in';
SELECT nameless('ORD_0000000000000000001');
SQL

# Two sessions create one type: one does, the other fails.
my $first = $node->background_psql('postgres', on_error_stop => 0);
$first->query("BEGIN; SELECT timeshard_create_type('att.both', 'A')");
my $second = $node->background_psql('postgres', on_error_stop => 0);
$second->query_until(qr/asked/, "\\echo asked\nSELECT timeshard_create_type('att.both', 'A');\n");
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%create_type%'}) or die 'no wait';
$first->query('COMMIT');
$second->query('SELECT 1');
like($second->{stderr}, qr/duplicate key|already exists/, 'the second of two sessions fails');
is($node->safe_psql('postgres', "SELECT count(*) FROM timeshard_types WHERE type = 'att.both'::regtype"), '1', 'and one type is there');
$_->quit for $first, $second;

# In a schema of their own a role can drop parts, as everything, and put others in their
# place. No superuser runs these, even where a superuser looks for the largest ID.
as_role('maker', <<'SQL');
SET client_min_messages = error;
SELECT public.timeshard_create_type('own.order_id', 'OWN_');
CREATE TABLE own.t (id own.order_id UNIQUE);
INSERT INTO own.t VALUES ('OWN_0000000000000000007');
CREATE FUNCTION own.trap(own.order_id, own.order_id) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'trap'; END $$;
CREATE FUNCTION own.trap(own.order_id) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE 'trap'; END $$;
DROP OPERATOR CLASS own.order_id_ops USING hash;
DROP OPERATOR CLASS own.order_id_ops USING brin;
DROP FUNCTION own.order_id_time(own.order_id);
CREATE FUNCTION own.order_id_time(own.order_id) RETURNS bigint LANGUAGE sql RETURN own.trap($1);
DROP CAST (own.order_id AS bigint);
CREATE CAST (own.order_id AS bigint) WITH FUNCTION own.trap(own.order_id) AS IMPLICIT;
SQL
refused('maker', "DROP FUNCTION own.order_id_$_", qr/2BP01|42725/, "not without what depends on it: $_") for 'ge', 'send', 'in(cstring)';
is($node->safe_psql('postgres', "SELECT largest FROM timeshard_largest_ids() WHERE relation = 'own.t'::regclass"), 7, 'the largest ID, by what cannot be replaced');
as_role('maker', 'SET client_min_messages = error; DROP TABLE own.t; DROP CAST (own.order_id AS bigint); DROP FUNCTION own.trap(own.order_id, own.order_id), own.order_id_time(own.order_id), own.trap(own.order_id)');
as_role('maker', "SELECT timeshard_drop_type('own.order_id')");
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_proc WHERE pronamespace = 'own'::regnamespace}), 0, 'a type without some of its parts is dropped with the others');

# A type of whatever name, with whatever comes with it, goes by DROP TYPE, and comes again.
as_role('maker', 'SET client_min_messages = error; DROP TABLE att.t; DROP TYPE att.withheld CASCADE');
as_role('maker', "SELECT timeshard_create_type('att.withheld', 'X_'); SELECT timeshard_drop_type('att.withheld')");
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_opfamily WHERE opfname = 'withheld_ops'}), '0', 'families left by DROP TYPE go too');

done_testing();
