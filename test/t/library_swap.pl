# Other library files than the one that the sessions of a server have loaded:
# a copy shares the generator, another version is refused, and neither makes a
# second one.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";

use Libraries qw(sources installed_library build_library install_library);
use POSIX qw(strftime);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

plan skip_all => 'no sources in ' . sources() unless -e sources() . '/src/server/shared_state.cpp';
my $installed = installed_library();
my $directory = PostgreSQL::Test::Utils::tempdir();

my $other_version = build_library('other', '-DTIMESHARD_STATE_VERSION=99');
my $twin = "$directory/twin.so";
install_library($installed, $twin);
my $live = "$directory/live.so";
install_library($installed, $live);

my $create = <<"SQL";
CREATE FUNCTION other_next() RETURNS bigint LANGUAGE c PARALLEL SAFE AS '$other_version', 'timeshard_next_id';
CREATE FUNCTION other_parse(bigint) RETURNS timeshard_parts LANGUAGE c AS '$other_version', 'timeshard_parse';
CREATE FUNCTION twin_next() RETURNS bigint LANGUAGE c PARALLEL SAFE AS '$twin', 'timeshard_next_id';
CREATE FUNCTION live_next() RETURNS bigint LANGUAGE c PARALLEL SAFE AS '$live', 'timeshard_next_id';
SQL
my $wrong_version = qr/ERROR: +the server runs another version of timeshard than this library
DETAIL: +The shared state has version \d+, and the library needs version \d+\.
HINT: +Restart the server\./;
my $second_copy = qr/ERROR: +another copy of the timeshard library is loaded in this session\nHINT: +Connect again\./;

my $node = new_cluster('main', clock => 1, conf => "timeshard.node_id = 3\ntimeshard.max_clock_wait = '10s'");
# Each function's file is loaded when it is created, so each in a session of its own.
$node->safe_psql('postgres', $_) for split /^(?=CREATE)/m, $create;
restart_with_env($node);

# In a clock that stands still, the IDs of one generator are consecutive.
my $first = $node->safe_psql('postgres', 'SELECT timeshard_next_id()');
set_clock($node, strftime('%Y-%m-%d %H:%M:%S', localtime(time + 2)));
my %session = map { ($_ => $node->background_psql('postgres', on_error_stop => 0)) } qw(installed twin other mixed);
my $last = $session{installed}->query_safe('SELECT timeshard_next_id()');
cmp_ok($last, '>', $first, 'the clock stands still, after the first ID');

sub next_is
{
    my ($session, $function, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is($session{$session}->query("SELECT $function()"), ++$last, $name);
    return;
}

sub refused
{
    my ($session, $sql, $error, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $session{$session}{stderr} = '';
    is($session{$session}->query($sql), '', "$name: nothing");
    like($session{$session}{stderr}, $error, "$name: and why");
    $session{$session}{stderr} = '';
    return;
}

next_is('twin', 'twin_next', 'a copy under another name shares the generator');
next_is('installed', 'timeshard_next_id', 'the first library goes on');
next_is('twin', 'twin_next', 'and the copy');
for my $call ('SELECT other_next()', 'SELECT other_next()', 'SELECT other_parse(1)')
{
    refused('other', $call, $wrong_version, "another version: $call");
    next_is('installed', 'timeshard_next_id', "another version: $call: others go on");
}
is($session{other}->query('SELECT 1'), 1, 'another version: so does the session');
is($node->safe_psql('postgres', 'SELECT timeshard_next_id()'), ++$last, 'another version: a new session works');

# Two in one session, either first.
for my $pair ([ qw(installed timeshard_next_id twin_next) ], [ qw(twin twin_next timeshard_next_id) ],
    [ qw(installed timeshard_next_id other_next) ])
{
    my ($session, $loaded, $added) = @$pair;
    for my $round (1, 2)
    {
        refused($session, "SELECT $added()", $second_copy, "$added() after $loaded(), round $round");
        next_is($session, $loaded, "$added() after $loaded(), round $round: the session goes on");
    }
}
refused('other', 'SELECT timeshard_next_id()', $second_copy, 'the right library after another version');
$session{$_}->quit for qw(twin other);

# The file is replaced under sessions that have it loaded.
$session{live} = $node->background_psql('postgres', on_error_stop => 0);
next_is('live', 'live_next', 'before its file is replaced');
install_library($other_version, $live);
next_is('live', 'live_next', 'after its file was replaced by another version');
refused('mixed', 'SELECT live_next()', $wrong_version, 'a new session with the replaced file');
next_is('live', 'live_next', 'the old session goes on');
refused('live', "SET $force_parallel = on; SELECT live_next()", $wrong_version, 'its parallel workers load the new file');
$session{live}->query("RESET $force_parallel");
next_is('live', 'live_next', 'and it goes on');
install_library($installed, $live);
is($node->safe_psql('postgres', 'SELECT live_next()'), ++$last, 'a new session with a new file of the same version shares');
next_is('live', 'live_next', 'with the old session');
$_->quit for values %session;
set_clock($node, '+0');

# The same under load. A second generator would repeat IDs within milliseconds.
install_library($installed, $live);
$node->safe_psql('postgres', 'CREATE TABLE made (id bigint PRIMARY KEY)');
my $insert = 'INSERT INTO made SELECT live_next() FROM generate_series(1, 500)';
my $script = $node->basedir . '/load.pgbench';
append_to_file($script, "$insert;\n");
my ($out, $err) = ('', '');
my $load = IPC::Run::start([ 'pgbench', '-n', '-h', $node->host, '-p', $node->port, '-f', $script, '-c', 4, '-T', 4, 'postgres' ],
    '>', \$out, '2>', \$err);
$node->poll_query_until('postgres', "SELECT count(DISTINCT id >> 22) > 20 FROM made") or die 'no load';
my %outcome = (shared => 0, refused => 0, wrong => 0);
for my $file (($installed, $other_version) x 8)
{
    install_library($file, $live);
    my ($rc, undef, $errors) = $node->psql('postgres', "$insert; $insert;", on_error_stop => 1);
    my $expected = $file eq $installed ? $rc == 0 : $errors =~ $wrong_version;
    $outcome{ !$expected ? 'wrong' : $rc == 0 ? 'shared' : 'refused' }++;
}
is_deeply(\%outcome, { shared => 8, refused => 8, wrong => 0 }, 'under load: new sessions share or are refused, as the file is');
$load->pump_nb;
ok($load->pumpable, 'under load: the old sessions outlast the changes');
ok($load->finish, 'under load: no ID twice in the old sessions') or diag($err);
my ($transactions) = $out =~ /number of transactions actually processed: (\d+)/;
is($node->safe_psql('postgres', 'SELECT count(*) FROM made'), 500 * ($transactions + 16), 'under load: every ID is there, once');

# On a server that the other version came to first, this one is refused.
restart_with_env($node);
%session = map { ($_ => $node->background_psql('postgres', on_error_stop => 0)) } qw(first second);
like($session{first}->query('SELECT other_next()'), qr/^\d+$/, 'another version that comes first');
refused('second', 'SELECT timeshard_next_id()', $wrong_version, 'this version after it');
like($session{first}->query('SELECT other_next()'), qr/^\d+$/, 'and that one goes on');
$_->quit for values %session;
$node->stop;

done_testing();
