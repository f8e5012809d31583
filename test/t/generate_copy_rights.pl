# COPY by roles of all rights: nobody needs a right to the twins that COPY calls, they
# bring nobody a right, and no SQL calls them. What is not there, or is not the
# extension's, is not used.
use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

my $rows = 20;
my $node = new_cluster('copy_rights', conf => 'timeshard.node_id = 3');
my $sent = join('', map { "$_\n" } 1 .. $rows) . "\\.\n";
my %twins = (
    'timeshard_next_id()' => 'timeshard_next_id_in_copy(internal)',
    'timeshard_next_id_with_prefix(text)' => 'timeshard_next_id_with_prefix_in_copy(text, internal)',
    'timeshard_prefix_at(text, integer)' => 'timeshard_prefix_at_in_copy(text, integer, internal)');
my %calls = (
    'timeshard_next_id()' => 'timeshard_next_id()',
    'timeshard_next_id_with_prefix(text)' => q{timeshard_next_id_with_prefix('A_')},
    'timeshard_prefix_at(text, integer)' => q{timeshard_prefix_at('-', 4)});

# Tables for each function; a CHECK notes how many rows of its table the last row saw.
my $schema = <<'SQL' . join '', map { /^(\w+)/; "CREATE TABLE by_$1 (id text DEFAULT $calls{$_}, n integer, CHECK (watch('by_$1')));\n" } sort keys %calls;
CREATE SEQUENCE seen MINVALUE 0;
CREATE FUNCTION watch(relation text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE rows bigint;
BEGIN
    EXECUTE 'SELECT count(*) FROM ' || relation INTO rows;
    PERFORM setval('seen', rows);
    RETURN true;
END $$;
SQL
my $grants = 'GRANT ALL ON ALL TABLES IN SCHEMA public TO app; GRANT ALL ON SEQUENCE seen TO app;';
$node->safe_psql('postgres', "CREATE ROLE app LOGIN; $schema $grants");

# What COPY by a role gives for one function: rows, IDs and rows seen, or its error.
sub copied
{
    my ($function, $database) = @_;
    my ($name) = $function =~ /^(\w+)/;
    my ($rc, $out, $err) = $node->psql($database // 'postgres',
        "SET ROLE app; DELETE FROM by_$name; COPY by_$name (n) FROM stdin;\n${sent}SELECT count(*), count(DISTINCT id), (SELECT last_value FROM seen) FROM by_$name",
        on_error_stop => 1);
    return $rc == 0 ? $out : ($err =~ /ERROR:  (.*)/)[0];
}
my ($batch, $one_by_one) = ("$rows|$rows|0", "$rows|$rows|" . ($rows - 1));

# Runs $sql as the superuser, for each function; then COPY gives this. In both, ORIGINAL is
# the function, TWIN its twin, and SHORT its name.
sub copies
{
    my ($name, $sql, $expected, $undo) = @_;
    for my $function (sort keys %twins)
    {
        my ($short) = $function =~ /^(\w+)/;
        my $fill = sub { $_[0] =~ s/ORIGINAL/$function/gr =~ s/TWIN/$twins{$function}/gr =~ s/SHORT/$short/gr };
        $node->safe_psql('postgres', $fill->($sql));
        is(copied($function), $fill->($expected), "$name: $function");
        $node->safe_psql('postgres', $fill->($undo)) if $undo;
    }
    return;
}

# Rights. The last line of each puts everything back.
my $again = 'GRANT EXECUTE ON FUNCTION ORIGINAL, TWIN TO PUBLIC; REVOKE ALL ON FUNCTION ORIGINAL, TWIN FROM app';
copies('a role with the rights of PUBLIC', 'SELECT', $batch);
copies('the right to the function alone', 'REVOKE ALL ON FUNCTION TWIN FROM PUBLIC', $one_by_one, $again);
copies('the right to the twin alone', 'REVOKE ALL ON FUNCTION ORIGINAL FROM PUBLIC', 'permission denied for function SHORT', $again);
copies('no right', 'REVOKE ALL ON FUNCTION ORIGINAL, TWIN FROM PUBLIC', 'permission denied for function SHORT', $again);
copies('the right to the function, granted again', 'REVOKE ALL ON FUNCTION ORIGINAL, TWIN FROM PUBLIC; GRANT EXECUTE ON FUNCTION ORIGINAL TO app', $one_by_one, $again);
copies('both rights, granted again', 'REVOKE ALL ON FUNCTION ORIGINAL, TWIN FROM PUBLIC; GRANT EXECUTE ON FUNCTION ORIGINAL, TWIN TO app', $batch, $again);

# A database whose default privileges keep new functions from PUBLIC, as the script's are.
$node->safe_psql('postgres', 'CREATE DATABASE closed');
$node->safe_psql('closed', "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC; CREATE EXTENSION timeshard; $schema
    GRANT EXECUTE ON FUNCTION watch(text), " . join(', ', sort keys %twins) . " TO app; $grants");
is(copied($_, 'closed'), $one_by_one, "default privileges: $_") for sort keys %twins;

# Nobody calls a twin, not even a superuser, by whatever gives a value of type internal
# elsewhere. The prefix ones take text before it.
for my $role ('app', $node->safe_psql('postgres', 'SELECT current_user'))
{
    for my $twin (map { $twins{$_} } sort keys %twins)
    {
        my ($name, $prefix, $position) = $twin =~ /^(\w+)\((text, )?(integer, )?/;
        my $arguments = ($prefix ? q{'A', } : '') . ($position ? '2, ' : '');
        for my $value ('NULL', q{'1'}, 'NULL::internal', '1', 'NULL::bigint', q{'x'::cstring}, q{internal_in('1')}, '(SELECT NULL)', '$1')
        {
            my $sql = $value eq '$1' ? "PREPARE p AS SELECT $name($arguments\$1); EXECUTE p (NULL)" : "SELECT $name($arguments$value)";
            my ($rc, $out, $err) = $node->psql('postgres', "SET ROLE $role; SELECT timeshard_next_id() AS before \\gset\n$sql", on_error_stop => 1);
            ok($rc != 0 && $out eq '' && $err =~ /ERROR: /, "$role cannot: $sql") or diag("$out $err");
        }
    }
}
my %misuses = (
    'SQL function' => 'CREATE FUNCTION f(internal) RETURNS bigint LANGUAGE sql AS $$ SELECT timeshard_next_id_in_copy($1) $$',
    'SQL function with a body' => 'CREATE FUNCTION f(internal) RETURNS bigint LANGUAGE sql RETURN timeshard_next_id_in_copy($1)',
    'PL/pgSQL function' => 'CREATE FUNCTION f(a internal) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN timeshard_next_id_in_copy(a); END $$',
    'PL/pgSQL variable' => 'DO $$ DECLARE a internal; BEGIN PERFORM timeshard_next_id_in_copy(a); END $$',
    'table' => 'CREATE TABLE f (a internal)',
    'domain' => 'CREATE DOMAIN f AS internal',
    'cast' => 'CREATE CAST (internal AS bigint) WITH FUNCTION timeshard_next_id_in_copy(internal)',
    'aggregate' => 'CREATE AGGREGATE f(bigint) (SFUNC = int8inc, STYPE = internal, FINALFUNC = timeshard_next_id_in_copy)',
    'type' => 'CREATE TYPE f; CREATE FUNCTION f_in(cstring) RETURNS f LANGUAGE internal AS $$int8in$$',
    'table sample' => 'SELECT count(*) FROM seen TABLESAMPLE timeshard_next_id_in_copy(1)',
    'trigger' => 'CREATE TRIGGER f BEFORE INSERT ON by_timeshard_next_id EXECUTE FUNCTION timeshard_next_id_in_copy()');
for my $way (sort keys %misuses)
{
    my ($rc, $out, $err) = $node->psql('postgres', "SET ROLE app; BEGIN; $misuses{$way}; ROLLBACK", on_error_stop => 1);
    ok($rc != 0, "no way to a twin: $way") && note($err);
}

# A twin that is missing or somewhere else: slow and right.
sub renaming
{
    my ($from, $to) = @_;
    return "DO \$\$ BEGIN EXECUTE format('ALTER FUNCTION %s RENAME TO $to', (SELECT oid::regprocedure FROM pg_proc WHERE proname = '$from')); END \$\$";
}
copies('a renamed twin', renaming('SHORT_in_copy', 'other'), $one_by_one, renaming('other', 'SHORT_in_copy'));
$node->safe_psql('postgres', 'CREATE SCHEMA elsewhere; GRANT USAGE ON SCHEMA elsewhere TO app');
copies('a renamed function', renaming('SHORT', 'other'), $one_by_one, renaming('other', 'SHORT'));
my $longest = 'x' x 63;
copies('a name as long as names can be', renaming('SHORT', $longest), $one_by_one, renaming($longest, 'SHORT'));
copies('a volatile twin', 'ALTER FUNCTION TWIN VOLATILE', $one_by_one, 'ALTER FUNCTION TWIN STABLE');
copies('a twin that its owner has called immutable', 'ALTER FUNCTION TWIN IMMUTABLE', $one_by_one, 'ALTER FUNCTION TWIN STABLE');
copies('all in order again', 'SELECT', $batch);

# The extension in another schema.
$node->safe_psql('postgres', 'ALTER EXTENSION timeshard SET SCHEMA elsewhere');
copies('the extension moved to another schema', 'SELECT', $batch);

# A function of the twin's name that is not the extension's.
$node->safe_psql('postgres', 'CREATE FUNCTION public.timeshard_next_id_in_copy(internal) RETURNS bigint LANGUAGE internal STABLE AS $$int8in$$');
is(copied('timeshard_next_id()'), $batch, 'a function like the twin in another schema');
$node->safe_psql('postgres', 'ALTER EXTENSION timeshard DROP FUNCTION elsewhere.timeshard_next_id_in_copy(internal);
    DROP FUNCTION elsewhere.timeshard_next_id_in_copy(internal)');
is(copied('timeshard_next_id()'), $one_by_one, 'no twin');
$node->safe_psql('postgres', 'ALTER FUNCTION public.timeshard_next_id_in_copy(internal) SET SCHEMA elsewhere');
is(copied('timeshard_next_id()'), $one_by_one, 'a planted twin');

# The objects of the release before, with this library.
$node->safe_psql('postgres', 'CREATE DATABASE earlier');
$node->safe_psql('earlier', "CREATE EXTENSION timeshard VERSION '1.2.0'; $schema $grants");
is(copied('timeshard_next_id()', 'earlier'), $one_by_one, 'the objects of the release before');
$node->safe_psql('earlier', 'ALTER EXTENSION timeshard UPDATE');
is(copied($_, 'earlier'), $batch, "after the update: $_") for sort keys %twins;

$node->stop;
done_testing();
