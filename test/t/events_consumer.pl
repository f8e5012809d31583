# doc/event_consumer.py where something is wrong. It goes on by itself after what
# passes: a server that has become read-only, a primary that is lost and its
# standby promoted, a host that does not answer. It says in one line what does not
# pass, and ends with 1. SIGTERM reaches it while it waits for a lock, or for a
# connection. Its pauses begin anew when there was something to do.
#
# Debian: python3-psycopg2.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use IO::Socket::INET;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use EventConsumer;
use ManualParsers;
use Timeshard;
use TimeshardSession;

plan skip_all => 'install python3-psycopg2' unless has_psycopg2();

my $doc = "$FindBin::RealBin/../../doc";
my @patient = ('--interval', 100_000);    # looks at its start and at NOTIFY only

my $node = new_cluster('first', conf => 'timeshard.node_id = 298', init => [ allows_streaming => 1 ]);
IPC::Run::run([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$doc/event-streams.sql", '-d', $node->connstr('postgres') ],
    '>', \my $no_out) or die 'event-streams.sql fails';
$node->safe_psql('postgres', <<'SQL');
ALTER DATABASE postgres SET search_path = timeshard_streams, public;
CREATE ROLE stranger LOGIN;
GRANT USAGE ON SCHEMA timeshard_streams TO stranger;
SQL
my $dsn = $node->connstr('postgres');

sub await_said
{
    my ($pid, $pattern) = @_;
    return eventually(sub { said_by($pid) =~ $pattern });
}

# Writes an event, also where sessions are read-only, and returns its ID.
sub insert_event
{
    my ($server) = @_;
    return ($server // $node)->safe_psql('postgres', 'SET default_transaction_read_only = off;
        INSERT INTO outbox (account, amount) VALUES (9, 1) RETURNING id');
}

sub await_handled
{
    my ($id, $server) = @_;
    return eventually(sub {
        ($server // $node)->safe_psql('postgres', "SELECT count(*) FROM balances WHERE last_id >= $id") > 0;
    });
}

# The client's session comes to this.
sub await_session
{
    my ($condition) = @_;
    return eventually(sub {
        $node->safe_psql('postgres',
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'event_consumer' AND $condition") == 1;
    });
}

sub ends_with
{
    my ($pid, $code, $pattern, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is(exit_of($pid), $code, "$name: exit code");
    like(said_by($pid), $pattern, "$name: what it says");
    return;
}

sub ends_quietly
{
    my ($pid, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    kill 'TERM', $pid;
    is(exit_of($pid), 0, "$name: SIGTERM ends it");
    is(join("\n", grep { !/^retrying in / } split /\n/, said_by($pid)), '', "$name: no line but of its attempts");
    return;
}

# All that it says, in one line.
sub sentence
{
    my ($text) = @_;
    return qr/\Aevent_consumer\.py: .*$text.*\n\z/;
}

subtest 'what does not pass is said in one line' => sub {
    for (qw(--batch=0 --batch=-1 --batch=x --interval=0 --interval=nan --interval=inf))
    {
        my ($option) = /^(--\w+)/;
        ends_with(consumer($dsn, $_, '--once'), 2, qr/^event_consumer\.py: error: argument $option: [^\n]*\n\z/m, $_);
    }
    ends_with(consumer($dsn, '--schema', 'nope', '--name', 'x', '--once'), 0, qr/\A\z/, 'tables in the search path');
    $node->safe_psql('postgres', 'ALTER DATABASE postgres RESET search_path');
    ends_with(consumer($dsn, '--schema', 'nope'), 1, sentence('"consumers" does not exist; .*--schema'), 'no table');
    ends_with(consumer("$dsn user=stranger"), 1, sentence('permission denied'), 'no rights');
    ends_with(consumer('host'), 1, sentence('missing "="'), 'a malformed DSN');
    ends_with(consumer('host=/nonexistent', '--once'), 1, sentence('/nonexistent'), 'no server, once');
    $node->safe_psql('postgres', 'ALTER DATABASE postgres SET search_path = timeshard_streams, public');

    my $pid = consumer($dsn, @patient);
    ok(await_handled(insert_event()), 'one is at work');
    $node->safe_psql('postgres', 'DELETE FROM consumers');
    insert_event();
    ends_with($pid, 1, sentence(q{'balances' in consumers is gone}), 'its cursor is deleted');
    is($node->safe_psql('postgres', 'SELECT count(*) FROM consumers'), 0, 'and not made anew');
    $node->safe_psql('postgres', 'TRUNCATE outbox, balances');
};

subtest 'a session that becomes read-only' => sub {
    my $pid = consumer($dsn, @patient);
    ok(await_handled(insert_event()), 'it is at work');
    $node->append_conf('postgresql.conf', 'default_transaction_read_only = on');
    reload_and_wait($node);
    my $id = insert_event();
    ok(await_said($pid, qr/^retrying in .*read-only transaction/m), 'it says so');
    ok(await_said($pid, qr/^retrying in .*session is read-only/m), 'also of a new session');
    $node->append_conf('postgresql.conf', 'default_transaction_read_only = off');
    $node->reload;
    ok(await_handled($id), 'and goes on');
    ends_quietly($pid, 'then');
};

subtest 'SIGTERM while it waits for a lock' => sub {
    my $holder = TimeshardSession->new($node);
    $holder->ask_ok("BEGIN;\nSELECT name FROM consumers WHERE name = 'balances' FOR UPDATE");
    my $pid = consumer($dsn, @patient);
    ok(await_session("wait_event_type = 'Lock'"), 'it waits');
    ends_quietly($pid, 'meanwhile');
    ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity
        WHERE application_name = 'event_consumer'"), 'and its session is gone, although the lock is not free');
    $holder->ask_ok('ROLLBACK');
    $holder->finish;
};

subtest 'a host that does not answer' => sub {
    my $silent = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die "cannot listen: $!";
    my $at = 'host=127.0.0.1 port=' . $silent->sockport;
    my $pid = consumer("$at connect_timeout=100000");
    my $first = $silent->accept;
    ends_quietly($pid, 'while it connects');

    # Without the limit it would stay with the first host for ever.
    local $ENV{PGCONNECT_TIMEOUT} = 2;
    $pid = consumer('host=127.0.0.1,' . $node->host . ' port=' . $silent->sockport . ',' . $node->port . ' dbname=postgres',
        @patient);
    ok(await_handled(insert_event()), 'it takes the next');
    ends_quietly($pid, 'there');
};

subtest 'pauses' => sub {
    # Each round: the events taken, and whether NOTIFY came while it paused.
    my $program = <<'PY';
import argparse, importlib.util, sys
spec = importlib.util.spec_from_file_location('client', sys.argv[1])
client = importlib.util.module_from_spec(spec)
spec.loader.exec_module(client)
class Stop: asked = False
class Connection: notifies = []
rounds = iter([(0, False), (0, False), (0, False), (1, False), (0, False), (0, True), (0, False), (5, None), (0, False)])
taken = lambda *_: current.append(next(rounds)) or current[-1][0]
current, pauses, stop = [], [], Stop()
def pause(_connection, _stop, seconds):
    pauses.append(round(seconds / client.FIRST_RETRY))
    stop.asked = len(current) == 9
    return current[-1][1]
client.take_batch, client.events_wait, client.wait_for_notify = taken, lambda *_: True, pause
client.consume(Connection(), argparse.Namespace(name='n', batch=5, once=False, interval=60), stop)
print(*pauses)
PY
    my ($out, $err) = ('', '');
    IPC::Run::run([ ManualParsers::python(), '-B', '-', "$doc/event_consumer.py" ], '<', \$program, '>', \$out, '2>', \$err);
    is($err, '', 'the client can be imported');
    is($out, "1 2 4 1 2 4 1 1\n", 'double, and begin anew after an event or a NOTIFY');
};

subtest 'its primary is lost, and the standby promoted' => sub {
    $node->backup('base', backup_options => ['--checkpoint=fast']);
    my $standby = PostgreSQL::Test::Cluster->new('second');
    $standby->init_from_backup($node, 'base', has_streaming => 1);
    start_with_env($standby);

    my $both = join ' ', 'dbname=postgres', 'host=' . join(',', map { $_->host } $standby, $node),
      'port=' . join(',', map { $_->port } $standby, $node);
    my $pid = consumer($both, @patient);
    ok(await_handled(insert_event()), 'it works on the primary, though the standby is named first');
    my $anywhere = consumer($standby->connstr('postgres') . ' target_session_attrs=any', '--name', 'other', @patient);
    ok(await_said($anywhere, qr/^retrying in .*read-only transaction/m), 'one that is sent to the standby says why it waits');
    ends_with(consumer($standby->connstr('postgres'), '--once'), 1, sentence('read-only'), 'or ends, if it is to look once');

    $node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
    $node->stop;
    ok(await_said($pid, qr/^retrying in .*read-only/m), 'no server takes writes');
    $standby->promote;
    my $id = insert_event($standby);
    ok(await_handled($id, $standby), 'it goes on where the standby is promoted');
    ok(eventually(sub {
        $standby->safe_psql('postgres', "SELECT count(*) FROM consumers WHERE name = 'other' AND next_id > $id") == 1;
    }), 'so does the other');
    ends_quietly($_, 'there') for $pid, $anywhere;
    $standby->stop;
};

done_testing();
