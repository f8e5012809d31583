# ALTER EXTENSION UPDATE from each release leads to the objects of a fresh
# installation, and keeps what a database has made of them: rows, defaults,
# views and rights. For the superuser, and for an owner who is none.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

my $node = new_cluster('upgrade', conf => 'timeshard.node_id = 3', create => 0);
$node->safe_psql('postgres', 'CREATE ROLE owner LOGIN; CREATE ROLE monitor; CREATE ROLE stranger LOGIN');
my $newest = $node->safe_psql('postgres', "SELECT default_version FROM pg_available_extensions WHERE name = 'timeshard'");
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');

# A database that the role "owner" may create extensions in.
sub new_database
{
    my ($name) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $name");
    $node->safe_psql($name, "GRANT CREATE ON DATABASE $name TO owner; GRANT CREATE ON SCHEMA public TO PUBLIC");
    return $name;
}

sub as_role
{
    my ($role, $database, $sql) = @_;
    return $node->safe_psql($database, $sql, extra_params => [ '-U', $role ]);
}

# What pg_dump writes, without what differs from run to run.
sub dump_of
{
    my ($database, @options) = @_;
    my ($out, $err) = ('', '');
    IPC::Run::run([ 'pg_dump', @options, '-d', $node->connstr($database) ], '>', \$out, '2>', \$err) or die "pg_dump: $err";
    return $out =~ s/^\\(?:un)?restrict .*\n//mgr;
}

# A dump's entries, sorted: pg_dump has a function after those that its body calls, so a
# new function can change the order.
sub entries_of
{
    my ($dump) = @_;
    # The registry's tables are the extension's, and dumped with their rows: here, none.
    return [ sort grep { !/^-- Data for Name: timeshard_registry/m } split /^(?=--\n-- (?:Data for )?Name: )/m, $dump ];
}

# Every object of the extension in full, as pg_upgrade has it dumped, without the
# numbers that the server gave it: definitions, comments, owners, rights and those
# that the script gave, membership, version. As lines, so that a failure shows the
# first that differs.
sub objects_of
{
    my ($database) = @_;
    my @lines = grep { !/^SELECT pg_catalog\.binary_upgrade_set_next_|^SET relfrozenxid = |^WHERE oid = '\d+';/ }
      split /\n/, dump_of($database, '--binary-upgrade', '--schema-only', '--extension=timeshard') =~ s/'\{\d+(,\d+)*\}'/'{tables}'/r;
    die 'objects are missing in the dump' unless grep { /^CREATE FUNCTION .*timeshard_next_id\(\)/ } @lines;
    return \@lines;
}

# Defaults, generated columns, an index, a view and a function by the extension, and a
# superuser's rights on each of its functions.
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
CREATE VIEW stats AS SELECT * FROM timeshard_stats();
CREATE FUNCTION made() RETURNS timeshard_parts LANGUAGE sql RETURN timeshard_parse(timeshard_next_id());
DO $$
DECLARE f regprocedure;
BEGIN
    FOR f IN SELECT objid FROM pg_depend WHERE classid = 'pg_proc'::regclass AND deptype = 'e'
        AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'timeshard')
    LOOP
        EXECUTE 'REVOKE ALL ON ROUTINE ' || f || ' FROM PUBLIC';
        EXECUTE 'GRANT EXECUTE ON ROUTINE ' || f || ' TO monitor WITH GRANT OPTION';
    END LOOP;
END $$;
SQL
my $insert = 'INSERT INTO kept (parts) SELECT made() FROM generate_series(1, 10)';

# Each release can be reached from the first one, by an upgrade script each.
my @releases = reverse slurp_file("$FindBin::RealBin/../../CHANGELOG.md") =~ /^## (\d+\.\d+\.\d+) /mg;
is($node->safe_psql('postgres', "SELECT path FROM pg_extension_update_paths('timeshard')
    WHERE source = '$releases[0]' AND target = '$newest'"), join('--', @releases), 'one upgrade script for each release');

my $fresh = objects_of(do { my $name = new_database('fresh'); $node->safe_psql($name, 'CREATE EXTENSION timeshard'); $name });
my $owners = objects_of(do { my $name = new_database('owners'); as_role('owner', $name, 'CREATE EXTENSION timeshard'); $name });
my @earlier = grep { $_ ne $newest } @releases;
for my $release (@earlier)
{
    (my $suffix = $release) =~ tr/./_/;
    my $database = new_database("upgraded_$suffix");
    $node->safe_psql($database, "CREATE EXTENSION timeshard VERSION '$release'; ALTER EXTENSION timeshard UPDATE");
    is_deeply(objects_of($database), $fresh, "$release to $newest: the objects of a fresh installation");

    $database = new_database("used_$suffix");
    $node->safe_psql($database, "CREATE EXTENSION timeshard VERSION '$release'; $use; $insert");
    my ($before, $largest) = (dump_of($database), $node->safe_psql($database, 'SELECT max(id) FROM kept'));
    $node->safe_psql($database, 'ALTER EXTENSION timeshard UPDATE');
    is_deeply(entries_of(dump_of($database)), entries_of($before), "$release to $newest: rows, views and rights are as before");
    $node->safe_psql($database, $insert);
    is($node->safe_psql($database, "SELECT count(*), min(id) > $largest, bool_and(number = 'KEPT_' || lpad(id::text, 19, '0')),
        bool_and((parts).node_id = 3) FROM kept WHERE id > $largest"), '10|t|t|t', "$release to $newest: defaults go on");
    is($node->safe_psql($database, 'SELECT count(*), (SELECT count(*) FROM config), (SELECT count(*) FROM stats) FROM seen'),
        '20|1|1', "$release to $newest: and views");

    # The extension is trusted: its scripts run with a superuser's rights for its owner.
    $database = new_database("owned_$suffix");
    as_role('owner', $database, "CREATE EXTENSION timeshard VERSION '$release'");
    for my $case ([ 'stranger', qr/must be owner of extension timeshard/ ], [ 'owner', qr/permission denied to update extension/ ])
    {
        my ($role, $error) = @$case;
        $node->safe_psql($database, "REVOKE CREATE ON DATABASE $database FROM owner") if $role eq 'owner';
        my ($rc, undef, $err) = $node->psql($database, 'ALTER EXTENSION timeshard UPDATE', extra_params => [ '-U', $role ]);
        ok($rc != 0 && $err =~ $error, "$release: refused to a $role who may not create extensions") or diag($err);
    }
    $node->safe_psql($database, "GRANT CREATE ON DATABASE $database TO owner");
    as_role('owner', $database, 'ALTER EXTENSION timeshard UPDATE');
    is_deeply(objects_of($database), $owners, "$release to $newest, by its owner: the objects of the owner's fresh installation");
}

# What an owner has put into the extension's schema must not run with a superuser's
# rights. A script that names no schema takes an operator or function there before
# PostgreSQL's own, if its arguments fit better.
my $traps = <<'SQL';
CREATE TABLE own.sprung (by text, what text);
GRANT ALL ON own.sprung TO PUBLIC;
CREATE FUNCTION own.spring(what text) RETURNS boolean LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO own.sprung VALUES (current_user, what); RETURN true; END $$;
CREATE FUNCTION own.eq(a oid, b regprocedure) RETURNS boolean LANGUAGE sql AS
$$ SELECT own.spring('oid = regprocedure') AND a OPERATOR(pg_catalog.=) b::pg_catalog.oid $$;
CREATE OPERATOR own.= (FUNCTION = own.eq, LEFTARG = oid, RIGHTARG = regprocedure);
CREATE FUNCTION own.format(a text, b text) RETURNS text LANGUAGE sql AS
$$ SELECT CASE WHEN own.spring('format') THEN pg_catalog.format(a, VARIADIC ARRAY[b]) END $$;
CREATE FUNCTION own.concat(a text, b text, c text) RETURNS text LANGUAGE sql AS
$$ SELECT CASE WHEN own.spring('concat') THEN pg_catalog.concat(VARIADIC ARRAY[a, b, c]) END $$;
SQL
for my $version (@releases)
{
    (my $database = "traps_$version") =~ tr/./_/;
    new_database($database);
    as_role('owner', $database, "CREATE SCHEMA own; $traps; CREATE EXTENSION timeshard SCHEMA own VERSION '$version';
        ALTER EXTENSION timeshard UPDATE");
    $node->safe_psql($database, 'SELECT own.timeshard_config_info(), own.timeshard_between(1, now(), now()), own.timeshard_parse($$A_1$$)');
    is($node->safe_psql($database, 'TABLE own.sprung'), '', "$version to $newest among traps: none has sprung");
}

$node->stop;
done_testing();
