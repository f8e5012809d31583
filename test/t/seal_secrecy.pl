# Who can see the key: nobody by SQL, and nothing in logs and statistics. Who can set the
# path: nobody but the server's configuration. Who can seal: nobody without EXECUTE.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SealKeys;
use Test::More;
use Timeshard;

my $statements = -e (qx(pg_config --pkglibdir) =~ s/\s+\z//r) . '/pg_stat_statements.so';
my $node = seal_cluster('secrecy', [ 1, 3 ], preload => 0, conf => join "\n",
    ($statements ? "shared_preload_libraries = 'pg_stat_statements'" : ()), q(
log_min_messages = debug5
log_min_error_statement = debug5
log_statement = 'all'
log_error_verbosity = verbose
log_parameter_max_length_on_error = -1
log_duration = on
debug_print_plan = on
));
my $file = $node->{key_file};
my $hex = (split ' ', key_line(1))[1];
my $call = "SELECT timeshard_open(timeshard_seal(4711, 'video'), 'video')";
$node->safe_psql('postgres', "CREATE ROLE plain LOGIN; CREATE ROLE reader LOGIN; CREATE ROLE app LOGIN;
    GRANT pg_read_all_settings, pg_read_all_stats TO reader;
    GRANT EXECUTE ON FUNCTION timeshard_seal, timeshard_open TO app, reader;"
  . ($statements ? 'CREATE EXTENSION pg_stat_statements' : ''));

sub by
{
    my ($role, $sql, %options) = @_;
    my (undef, $out, $err) = $node->psql('postgres', $sql, extra_params => [ '-U', $role ], on_error_stop => 0, %options);
    return $out . $err;
}

# Rights
is(by('app', $call), 4711, 'EXECUTE is all that a role needs');
like(by('plain', "SELECT timeshard_$_"), qr/permission denied for function timeshard_/, "a plain role may not call timeshard_$_")
  for 'seal(4711)', "open('0000000000000')";

# The setting
like(by('plain', "LOAD 'timeshard'; SELECT timeshard_config(); SHOW timeshard.seal_key_file"), qr/permission denied|must be superuser/, 'a plain role does not see the path');
is(by('plain', "SELECT 1 FROM timeshard_config(); SELECT count(*) FROM pg_settings WHERE name = 'timeshard.seal_key_file'") =~ /(\d+)\z/ ? $1 : '', 0, 'nor in pg_settings');
is(by('reader', "SELECT timeshard_seal(1) IS NULL; SHOW timeshard.seal_key_file"), "f\n$file", 'a member of pg_read_all_settings sees the path');

# A path of one's own, with a key that one knows, would open the codes made by it.
write_key_file("$file.own", key_line(2));
my $honest = $node->safe_psql('postgres', 'SELECT timeshard_seal(4711)');
for my $sql ("SET timeshard.seal_key_file = '$file.own'", "SET LOCAL timeshard.seal_key_file = '$file.own'",
    "SELECT set_config('timeshard.seal_key_file', '$file.own', false)", "SET \"Timeshard.Seal_Key_File\" = '$file.own'")
{
    like(by('app', "BEGIN; $sql; SELECT timeshard_seal(4711)"), qr/can only be set in the server's configuration/, "before the library is loaded: $sql");
    like(by('app', "SELECT timeshard_seal(4711); BEGIN; $sql; SELECT 1"), qr/^\Q$honest\E.*cannot be changed now/s, "after: $sql");
}
{
    local $ENV{PGOPTIONS} = "-c timeshard.seal_key_file=$file.own";
    like(by('app', 'SELECT timeshard_seal(4711)'), qr/can only be set in the server's configuration/, 'PGOPTIONS');
}
for my $where ('ROLE app', 'DATABASE postgres', 'ROLE app IN DATABASE postgres', 'ROLE ALL')
{
    $node->safe_psql('postgres', "ALTER $where SET timeshard.seal_key_file = '$file.own'");
    like(by('app', 'SELECT timeshard_seal(4711)'), qr/can only be set in the server's configuration/, "ALTER $where SET");
    $node->safe_psql('postgres', "ALTER $where RESET timeshard.seal_key_file");
}
is(by('app', 'SELECT timeshard_seal(4711)'), $honest, 'and none of it stays');
like(by('app', "ALTER SYSTEM SET timeshard.seal_key_file = '$file.own'"), qr/permission denied|must be superuser/, 'ALTER SYSTEM');

# Everything that a session can say of the key, good file and bad
for my $content (key_line(1) . key_line(3), "1 $hex\n1 $hex\n", "1 ${hex}0\n", '1' . $hex, "5 $hex\n")
{
    write_key_file($file, $content);
    reload_and_wait($node);
    by('app', "$call; SELECT timeshard_seal(-1); SELECT timeshard_open('x'); SELECT timeshard_open('ZZZZZZZZZZZZZ')");
    by('app', "PREPARE p (bigint, text) AS SELECT timeshard_seal(\$1, \$2); EXECUTE p (4711, 'video'); EXPLAIN (VERBOSE, ANALYZE) EXECUTE p (1, 'a')");
}
write_key_file($file, key_line(1) . key_line(3));
reload_and_wait($node);

# The key as text, in any case, as bytes, and each half of it.
my @traces = map { ($_, uc $_, pack('H*', $_)) } map { my $key = (split ' ', key_line($_))[1]; (substr($key, 0, 32), substr($key, 32)) } 1, 3;
sub has_no_trace
{
    my ($text, $where) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    cmp_ok(length $text, '>', 0, "$where: there is something to look at");
    return is((join ' ', map { unpack 'H*', $_ } grep { index($text, $_) >= 0 } @traces), '', "$where: nothing of the key");
}
ok((grep { index(slurp_file($file), $_) >= 0 } @traces), 'the search finds the key in its file');

my @queries = ('TABLE pg_settings', 'TABLE pg_stat_activity', 'TABLE pg_file_settings', 'TABLE pg_prepared_statements',
    'SELECT * FROM pg_proc WHERE proname LIKE $$timeshard%$$', 'SELECT * FROM pg_stat_get_activity(NULL)',
    'SELECT timeshard_config(), timeshard_config_info(), timeshard_stats()', 'TABLE pg_backend_memory_contexts',
    $statements ? 'TABLE pg_stat_statements' : ());
for my $role ('app', 'reader', $node->safe_psql('postgres', 'SELECT current_user'))
{
    has_no_trace(join("\n", map { by($role, "SELECT timeshard_seal(4711); $_") } @queries), "all that $role can ask");
}
SKIP: {
    skip 'pg_stat_statements is not installed', 1 unless $statements;
    like($node->safe_psql('postgres', 'SELECT string_agg(query, E\'\n\') FROM pg_stat_statements'), qr/timeshard_open\(timeshard_seal/, 'pg_stat_statements has the calls');
}
has_no_trace(log_of($node), 'the log at debug5');
like(log_of($node), qr/DEBUG: .*/, 'which is one at debug level');
$node->stop;
my $data = $node->data_dir;
has_no_trace(join('', map { -f && -r _ ? slurp_file($_) : '' } split /\n/, qx(find '$data' -type f)), 'the data directory');
done_testing();
