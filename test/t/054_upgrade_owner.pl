# Upgrades by an owner who is no superuser: the extension is trusted, so its
# scripts run with a superuser's rights for whoever may create it. The objects
# are those of a superuser's upgrade, and nothing that the owner has put in the
# extension's schema runs with those rights.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use ExtensionObjects qw(objects_of differences_between);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

my $node = new_cluster('owner', conf => 'timeshard.node_id = 3', create => 0);
$node->safe_psql('postgres', 'CREATE ROLE owner LOGIN; CREATE ROLE stranger LOGIN');

my @versions = split /\n/, $node->safe_psql('postgres', <<'SQL');
SELECT version FROM pg_available_extension_versions WHERE name = 'timeshard' ORDER BY string_to_array(version, '.')::int[]
SQL
my $newest = $versions[-1];

# Runs $sql as that role; returns what it prints, or dies.
sub as_role
{
    my ($role, $database, $sql) = @_;
    return $node->safe_psql($database, $sql, extra_params => [ '-U', $role ]);
}

sub is_refused
{
    my ($role, $database, $sql, $error, $name) = @_;
    my ($rc, undef, $err) = $node->psql($database, $sql, extra_params => [ '-U', $role ], on_error_stop => 1);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok($rc != 0, "$name: refused") && like($err, $error, "$name: and why");
    return;
}

sub version_in
{
    my ($database) = @_;
    return $node->safe_psql($database, q{SELECT extversion FROM pg_extension WHERE extname = 'timeshard'});
}

my $number = 0;

sub new_database
{
    my $name = 'database_' . ++$number;
    $node->safe_psql('postgres', "CREATE DATABASE $name");
    $node->safe_psql($name, "GRANT CREATE ON DATABASE $name TO owner");
    return $name;
}

my $database = new_database();
as_role('owner', $database, 'CREATE SCHEMA own; CREATE EXTENSION timeshard SCHEMA own');
my $fresh = objects_of($node, $database);
ok((grep { /^owner: owner$/ } @{ $fresh->{'the extension'} }), "the extension is its creator's");
is((join ' ', grep { /^owner:/ } @{ $fresh->{'function own.timeshard_next_id()'} }),
    'owner: ' . $node->safe_psql('postgres', 'SELECT current_user'), q{its functions are a superuser's});

for my $version (grep { $_ ne $newest } @versions)
{
    $database = new_database();
    as_role('owner', $database, "CREATE SCHEMA own; CREATE EXTENSION timeshard SCHEMA own VERSION '$version'");
    is_refused('stranger', $database, 'ALTER EXTENSION timeshard UPDATE', qr/must be owner of extension timeshard/,
        "$version, by a stranger");
    $node->safe_psql($database, "REVOKE CREATE ON DATABASE $database FROM owner");
    is_refused('owner', $database, 'ALTER EXTENSION timeshard UPDATE', qr/permission denied to update extension/,
        "$version, by an owner who may not create any more");
    is(version_in($database), $version, "$version: nothing has changed");
    $node->safe_psql($database, "GRANT CREATE ON DATABASE $database TO owner");

    as_role('owner', $database, 'ALTER EXTENSION timeshard UPDATE');
    is(join("\n", differences_between(objects_of($node, $database), $fresh)), '',
        "$version to $newest, by its owner: as the owner's fresh one");
    like(as_role('owner', $database, 'SELECT own.timeshard_next_id()'), qr/^\d+$/, "$version to $newest: it works");
    is_refused('owner', $database, 'SELECT own.timeshard_raise_floor(1)', qr/permission denied for function timeshard_raise_floor/,
        "$version to $newest: the floor stays a superuser's");
}

# The owner lays traps in the extension's schema: an operator and functions that
# fit what a script calls better than PostgreSQL's own. A script that names them
# without a schema would run them as a superuser. A superuser has given rights
# before, so that what a script does with these runs as well.
my $traps = <<'SQL';
CREATE TABLE own.sprung (by text, what text);
GRANT ALL ON own.sprung TO PUBLIC;
CREATE FUNCTION own.spring(what text) RETURNS boolean LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO own.sprung VALUES (current_user, what); RETURN true; END $$;
CREATE FUNCTION own.eq(a oid, b regprocedure) RETURNS boolean LANGUAGE sql AS
$$ SELECT own.spring('oid = regprocedure') AND a OPERATOR(pg_catalog.=) b::pg_catalog.oid $$;
CREATE OPERATOR own.= (FUNCTION = own.eq, LEFTARG = oid, RIGHTARG = regprocedure);
CREATE FUNCTION own.eq(a oid, b integer) RETURNS boolean LANGUAGE sql AS
$$ SELECT own.spring('oid = integer') AND a OPERATOR(pg_catalog.=) b::pg_catalog.oid $$;
CREATE OPERATOR own.= (FUNCTION = own.eq, LEFTARG = oid, RIGHTARG = integer);
CREATE FUNCTION own.concat(a text, b text, c text) RETURNS text LANGUAGE sql AS
$$ SELECT CASE WHEN own.spring('concat') THEN a OPERATOR(pg_catalog.||) b OPERATOR(pg_catalog.||) coalesce(c, '') END $$;
CREATE FUNCTION own.quote_ident(a name) RETURNS text LANGUAGE sql AS
$$ SELECT CASE WHEN own.spring('quote_ident') THEN pg_catalog.quote_ident(a::text) END $$;
CREATE FUNCTION own.format(a text, b text) RETURNS text LANGUAGE sql AS
$$ SELECT CASE WHEN own.spring('format') THEN pg_catalog.format(a, VARIADIC ARRAY[b]) END $$;
CREATE FUNCTION own.format(a text, b text, c text) RETURNS text LANGUAGE sql AS
$$ SELECT CASE WHEN own.spring('format') THEN pg_catalog.format(a, VARIADIC ARRAY[b, c]) END $$;
SQL
for my $version (grep { $_ ne $newest } @versions)
{
    $database = new_database();
    as_role('owner', $database, "CREATE SCHEMA own; CREATE EXTENSION timeshard SCHEMA own VERSION '$version'; $traps");
    $node->safe_psql($database, <<'SQL');
DO $$
DECLARE f regprocedure;
BEGIN
    FOR f IN SELECT objid FROM pg_depend WHERE classid = 'pg_proc'::regclass AND deptype = 'e'
        AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'timeshard')
    LOOP
        EXECUTE 'GRANT EXECUTE ON FUNCTION ' || f || ' TO stranger WITH GRANT OPTION';
    END LOOP;
END $$
SQL
    as_role('owner', $database, 'ALTER EXTENSION timeshard UPDATE');
    is(version_in($database), $newest, "$version to $newest, past traps: arrived");
    is($node->safe_psql($database, 'SELECT DISTINCT by, what FROM own.sprung ORDER BY 1, 2'), '',
        "$version to $newest, past traps: none has sprung");
}

# Nor when the traps are there first, and a superuser then calls what was made
# among them.
for my $version (@versions)
{
    $database = new_database();
    as_role('owner', $database, "CREATE SCHEMA own; $traps; CREATE EXTENSION timeshard SCHEMA own VERSION '$version'");
    $node->safe_psql($database, 'SELECT own.timeshard_config_info(), own.timeshard_format(1, $$A$$), own.timeshard_parse($$A_1$$)');
    $node->safe_psql($database, 'SELECT own.timeshard_between(1, now(), now())') if $version eq $newest;
    is($node->safe_psql($database, 'SELECT DISTINCT by, what FROM own.sprung ORDER BY 1, 2'), '',
        "$version, installed among traps: none has sprung");
}

# They are traps that work.
$node->safe_psql($database, <<'SQL');
SET search_path = own;
DO $$ BEGIN
    PERFORM 1 FROM pg_proc WHERE oid = 'timeshard_next_id()'::regprocedure;
    PERFORM 1 FROM pg_type WHERE oid = 23;
    PERFORM concat('a', quote_ident(current_user), NULL::text), format('%s', 'a'::text);
END $$
SQL
is($node->safe_psql($database, 'SELECT count(DISTINCT what) FROM own.sprung'), 5, 'the traps can spring') or
  diag($node->safe_psql($database, 'TABLE own.sprung'));

$node->stop;
done_testing();
