# Timeshard on a stock server and preloaded: one generator for the whole server,
# whatever loads the library, creates the extension or restarts the server.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";

use POSIX qw(strftime);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

my $next = 'SELECT timeshard_next_id()';

# Nothing that timeshard_config_info() names may be looked up in here.
my $hostile = <<'SQL';
CREATE SCHEMA evil;
CREATE FUNCTION evil.to_char(timestamp, text) RETURNS text LANGUAGE sql AS $$SELECT 'evil'$$;
CREATE FUNCTION evil.timezone(text, timestamptz) RETURNS timestamp LANGUAGE sql AS 'SELECT NULL::timestamp';
CREATE FUNCTION evil.host(inet) RETURNS text LANGUAGE sql AS $$SELECT 'evil'$$;
CREATE FUNCTION evil.format(text, VARIADIC "any") RETURNS text LANGUAGE internal AS 'pg_backend_pid';
CREATE FUNCTION evil.format(text, integer, integer, integer, integer, text, integer, integer, bigint,
    text, text, text, text) RETURNS text LANGUAGE sql AS $$SELECT 'evil'$$;
CREATE FUNCTION evil.wrong(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT false';
CREATE FUNCTION evil.joined(text, text) RETURNS text LANGUAGE sql AS $$SELECT 'evil'$$;
CREATE FUNCTION evil.less(integer, integer) RETURNS integer LANGUAGE sql AS 'SELECT 666';
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.wrong);
CREATE OPERATOR evil.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.joined);
CREATE OPERATOR evil.- (LEFTARG = integer, RIGHTARG = integer, FUNCTION = evil.less);
CREATE DOMAIN evil.text AS pg_catalog.int4;
SQL
my $fake = <<'SQL';
CREATE FUNCTION evil.timeshard_config(OUT node_id integer, OUT node_id_source pg_catalog.text)
    LANGUAGE sql AS $$SELECT 666, 'evil'$$;
SQL

# Runs postgres --single on a stopped cluster; returns the ID that it makes.
sub single_user_id
{
    my ($node) = @_;
    my ($out, $err) = ('', '');
    local %ENV = %ENV;
    delete $ENV{$_} for grep { /^TIMESHARD_/ } keys %ENV;
    IPC::Run::run([ 'postgres', '--single', '-D', $node->data_dir, 'postgres' ],
        '<', \"$next\n", '>', \$out, '2>', \$err);
    return $out =~ /timeshard_next_id = "(\d+)"/ ? $1 : fail("single-user mode: $out$err");
}

# Whether each ID is larger than the one before it.
sub rising
{
    my ($ids, $name) = @_;
    my @stuck = grep { $ids->[$_] <= $ids->[ $_ - 1 ] } 1 .. $#$ids;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok(@$ids > 1 && !@stuck, $name) || diag("IDs: @$ids");
}

for my $preload (0, 1)
{
    my $mode = $preload ? 'preloaded' : 'stock';
    my $node = new_cluster(
        $mode,
        preload => $preload,
        clock => 1,
        conf => "restart_after_crash = on\ntimeshard.node_id = 5\ntimeshard.max_clock_wait = '10s'");
    $node->safe_psql('postgres', 'CREATE DATABASE second');
    $node->safe_psql('second', 'CREATE EXTENSION timeshard');

    # In a clock that stands still, IDs of one generator are consecutive, and
    # those of a generator for each database, or each session, would be equal.
    my $first_id = $node->safe_psql('postgres', $next);
    set_clock($node, strftime('%Y-%m-%d %H:%M:%S', localtime(time + 2)));
    my @sessions = map { $node->background_psql($_) } qw(postgres second postgres);
    my @ids = map { $sessions[ $_ % 3 ]->query_safe($next) } 0 .. 29;
    is_deeply(\@ids, [ map { $ids[0] + $_ } 0 .. 29 ], "$mode: sessions of two databases share one generator");
    cmp_ok($ids[0], '>', $first_id, "$mode: and it goes on from the first ID");

    my $config = 'SELECT timeshard_config()';
    is($sessions[0]->query_safe($config), $sessions[1]->query_safe($config), "$mode: same configuration in both");
    like($sessions[0]->query_safe($config), qr/^\(5,configuration,,10,12,.*,@{[ $preload ? 't' : 'f' ]},f\)$/,
        "$mode: it is the configured one");

    $node->safe_psql('postgres', "DROP EXTENSION timeshard; CREATE EXTENSION timeshard");
    is($node->safe_psql('postgres', $next), $ids[-1] + 1, "$mode: goes on after DROP and CREATE EXTENSION");
    is($sessions[0]->query_safe($next), $ids[-1] + 2, "$mode: so does a session from before");
    $_->quit for @sessions;
    set_clock($node, '+0');

    # Schemas and search paths.
    my $info = $node->safe_psql('postgres', 'SELECT timeshard_config_info()');
    like($info, qr/^allocation +41-10-12\b.*^node ID +5 of 0 to 1023/ms, "$mode: what timeshard_config_info() says");
    $node->safe_psql('postgres', 'CREATE DATABASE moved');
    $node->safe_psql('moved', "CREATE SCHEMA x; CREATE SCHEMA y; CREATE EXTENSION timeshard SCHEMA x");
    $node->safe_psql('moved', 'CREATE TABLE t (id bigint PRIMARY KEY DEFAULT x.timeshard_next_id(), v int)');
    for my $schema (qw(x y))
    {
        $node->safe_psql('moved', "ALTER EXTENSION timeshard SET SCHEMA $schema") if $schema eq 'y';
        is($node->safe_psql('moved', "SET search_path = ''; SELECT $schema.timeshard_config_info()"),
            $info, "$mode: timeshard_config_info() in schema $schema");
        is($node->safe_psql('moved', 'INSERT INTO t (v) VALUES (1); SELECT max((y).node_id)
                FROM (SELECT ' . $schema . '.timeshard_parse(id) FROM t) AS p (y)'),
            5, "$mode: a default and timeshard_parse() in schema $schema");
    }
    $node->safe_psql('postgres', $hostile . $fake);
    is($node->safe_psql('postgres', 'SET search_path = evil, pg_catalog, public; SELECT public.timeshard_config_info()'),
        $info, "$mode: a hostile search_path changes nothing");
    $node->safe_psql('postgres', 'CREATE DATABASE trap');
    $node->safe_psql('trap', "$hostile CREATE EXTENSION timeshard SCHEMA evil");
    is($node->safe_psql('trap', 'SELECT evil.timeshard_config_info()'),
        $info, "$mode: nor does a hostile schema that the extension is created in");

    # The extension is trusted: whoever may create objects in a database.
    $node->safe_psql('postgres', 'CREATE ROLE joe LOGIN');
    $node->safe_psql('postgres', 'CREATE DATABASE joes');
    my $as_joe = sub { $node->psql('joes', $_[0], extra_params => [ '-U', 'joe' ], on_error_stop => 1) };
    my ($rc, $out, $err) = $as_joe->('CREATE EXTENSION timeshard');
    like($err, qr/permission denied to create extension/, "$mode: not without CREATE on the database");
    $node->safe_psql('postgres', 'GRANT CREATE ON DATABASE joes TO joe');
    ($rc, $out, $err) = $as_joe->("CREATE SCHEMA joe; CREATE EXTENSION timeshard; $next");
    is($rc, 0, "$mode: an ordinary role creates it and takes an ID") or diag($err);

    # Dump and restore.
    $node->safe_psql('second', 'CREATE TABLE kept (v int, id bigint PRIMARY KEY DEFAULT timeshard_next_id(),
            key text DEFAULT timeshard_next_id_with_prefix($$k_$$));
        INSERT INTO kept SELECT generate_series(1, 100)');
    my $dump = $node->basedir . '/dump.sql';
    $node->command_ok([ 'pg_dump', '-f', $dump, 'second' ], "$mode: pg_dump");
    $node->safe_psql('postgres', 'CREATE DATABASE restored');
    $node->command_ok([ 'psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-f', $dump, 'restored' ], "$mode: restored");
    my $contents = 'SELECT md5(string_agg(k::text, $$,$$ ORDER BY id)) FROM kept AS k';
    is($node->safe_psql('restored', $contents), $node->safe_psql('second', $contents), "$mode: the same rows");
    is($node->safe_psql('restored', 'INSERT INTO kept VALUES (101); SELECT v FROM kept ORDER BY id DESC LIMIT 1'),
        101, "$mode: a new row sorts last");

    # 18 shows what a library says of itself.
    is( $node->safe_psql('postgres', "LOAD 'timeshard';
            SELECT m.module_name, m.version = e.extversion FROM pg_get_loaded_modules() AS m, pg_extension AS e
            WHERE m.file_name LIKE 'timeshard.%' AND e.extname = 'timeshard'"),
        'timeshard|t', "$mode: the library has its name and version") if $server_major >= 18;

    # Starts of every kind. A session that is cut off has nothing to repair.
    my @last = ($node->safe_psql('postgres', $next));
    my $now = sub { push @last, $node->safe_psql('postgres', $next) };
    restart_with_env($node);
    $now->();
    crash_restart($node);
    $node->safe_psql('postgres', $next);
    is($node->safe_psql('postgres', "SELECT size FROM pg_shmem_allocations WHERE name = 'timeshard'"),
        512, "$mode: the memory after a crash has the state in it");
    $now->();
    crash_restart($node);
    $now->();
    $node->stop('immediate');
    start_with_env($node);
    $now->();
    $node->stop;
    push @last, single_user_id($node);
    start_with_env($node);
    $now->();
    rising(\@last, "$mode: IDs rise across restarts, crashes and single-user mode");
    is($node->safe_psql('postgres', "SELECT timeshard_config_info()"), $info, "$mode: the same identity after them");

    if (!$preload)
    {
        is($node->safe_psql('template1', "SELECT count(*) FROM pg_settings WHERE name LIKE 'timeshard.%'
                AND short_desc <> ''"), 0, "$mode: an idle session does not load the library");
        $node->append_conf('postgresql.conf', "session_preload_libraries = 'timeshard'");
        $node->reload;
        is($node->safe_psql('postgres', "SELECT setting, source FROM pg_settings WHERE name = 'timeshard.node_id'
                AND short_desc <> ''"), '5|configuration file', 'session_preload_libraries loads it');
        push @last, $node->safe_psql('postgres', $next);
        rising(\@last, 'session_preload_libraries: the same generator');
        like($node->safe_psql('postgres', $config), qr/,f,f\)$/, 'session_preload_libraries is not preloaded');
    }
    unlike(log_of($node), qr/PANIC|TRAP|could not be taken over/, "$mode: nothing untoward in the log");
    $node->stop;
}

done_testing();
