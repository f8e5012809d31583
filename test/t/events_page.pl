# The examples of doc/event-streams.md: event-streams.sql runs to its end, and
# event_consumer.py, a real client, handles every event once and in order: beside
# writers of all lengths, ended and started again in between, its connections and
# its server lost. NOTIFY wakes it, and an event that waits for the horizon is
# handled without another. What the client does where something is wrong is in
# events_consumer.pl.
#
# Debian: python3-psycopg2.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use EventConsumer;
use Manual qw(read_text blocks_of);
use Timeshard;
use TimeshardSession;

my $doc = "$FindBin::RealBin/../../doc";
my $schema = 'timeshard_streams';

# No look but one at the start and when NOTIFY came.
my $forever = 100_000;

my $node = new_cluster('streams', conf => 'timeshard.node_id = 298');

my ($out, $err) = ('', '');
my $sql_ok = IPC::Run::run(
    [ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-f', "$doc/event-streams.sql", '-d', $node->connstr('postgres') ],
    '>', \$out, '2>', \$err);
ok($sql_ok, 'event-streams.sql runs to its end') or diag($err);
is($err, '', 'without a word of complaint');
is(join(' ', grep { /^[\d|]+$|^idle/ } split /\n/, $out),
    '1 1|20 20 4000 0 idle in transaction|INSERT INTO outbox (account, amount) VALUES (2, 300) 2 1|20 2|4300 '
      . '400|400|200 1|20 2|4300 3|500500', 'and says what it should');

# What the page shows is what is run here.
my $page = read_text("$doc/event-streams.md");
my $example = read_text("$doc/event-streams.sql");
my $shown = 0;
for my $block (blocks_of($page))
{
    next unless $block->{text} =~ /^CREATE (?:TABLE (?:outbox|consumers)|FUNCTION wake_consumers)\b/m;
    isnt(index($example, $block->{text}), -1, "the block of line $block->{line} is in the example");
    $shown++;
}
is($shown, 3, 'the page shows the examples');

if (!has_psycopg2())
{
    diag('The client in Python is not run: install python3-psycopg2.');
    $node->stop;
    done_testing();
    exit;
}

# Every change of a balance is recorded, in the order in which it is made, with
# the event that made it.
$node->safe_psql('postgres', <<"SQL");
SET search_path = $schema, public;
CREATE TABLE handled (n bigserial PRIMARY KEY, id bigint);
CREATE FUNCTION record_handled() RETURNS trigger LANGUAGE plpgsql AS
    \$\$BEGIN INSERT INTO $schema.handled (id) VALUES (new.last_id); RETURN new; END\$\$;
CREATE TRIGGER record_handled BEFORE UPDATE ON balances FOR EACH ROW EXECUTE FUNCTION record_handled();
INSERT INTO balances SELECT n, 0, 0 FROM generate_series(1, 9) AS n ON CONFLICT DO NOTHING;
ALTER DATABASE postgres SET search_path = $schema, public;
SQL

sub handled
{
    my ($condition) = @_;
    return $node->safe_psql('postgres', 'SELECT coalesce(string_agg(id::text, \' \' ORDER BY n), \'\') FROM handled WHERE '
          . ($condition // 'true'));
}

sub await_handled
{
    my ($id) = @_;
    return eventually(sub { handled("id = $id") eq $id });
}

# The client has looked, found nothing that waits, and sleeps.
sub await_asleep
{
    return eventually(sub {
        $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'event_consumer'
            AND state = 'idle' AND query = 'COMMIT' AND state_change < clock_timestamp() - interval '100 ms'") == 1
          && handled() eq $node->safe_psql('postgres',
            "SELECT coalesce(string_agg(id::text, ' ' ORDER BY id), '') FROM outbox");
    });
}

sub insert_event
{
    return $node->safe_psql('postgres', 'INSERT INTO outbox (account, amount) VALUES (1, 1) RETURNING id');
}

my $dsn = $node->connstr('postgres');
my @sleeper = ($dsn, '--interval', $forever);

subtest 'an event that commits late: lost by the last ID, not by the horizon' => sub {
    my $naive = $node->basedir . '/naive.py';
    my $source = read_text("$doc/event_consumer.py");
    my $edits = $source =~ s/SELECT timeshard_horizon\(\)/SELECT max(id) + 1 FROM outbox/;
    is($edits, 1, 'the client asks in one place');
    open my $file, '>:encoding(UTF-8)', $naive or die "cannot write $naive: $!";
    print $file $source;
    close $file or die "cannot write $naive: $!";

    for ([ 'by the last ID', $naive, 0 ], [ 'by the horizon', "$doc/event_consumer.py", 1 ])
    {
        my ($name, $program, $complete) = @$_;
        $node->safe_psql('postgres', 'TRUNCATE outbox, handled; DELETE FROM consumers');
        my $late = TimeshardSession->new($node);
        my $first = $late->ask_ok("BEGIN;\nINSERT INTO outbox (account, amount) VALUES (1, 1) RETURNING id");
        my $second = insert_event();
        cmp_ok($first, '<', $second, "$name: the late one has the lower ID");
        is(exit_of(consumer($dsn, $program, '--once')), 0, "$name: a look while it is open");
        $late->ask_ok('COMMIT');
        usleep(2000);
        is(exit_of(consumer($dsn, $program, '--once')), 0, "$name: a look when it has committed");
        is(handled(), $complete ? "$first $second" : $second, "$name: " . ($complete ? 'both' : 'one is lost'));
        $late->finish;
    }
};

subtest 'NOTIFY wakes it' => sub {
    my $pid = consumer(@sleeper);
    ok(await_asleep(), 'it sleeps');
    ok(await_handled(insert_event()), 'an event wakes it');
    ok(await_asleep(), 'it sleeps again');
    ok(await_handled(insert_event()), 'and is woken again');

    # One that takes IDs and writes no event, so that no NOTIFY tells of its end.
    my $holder = TimeshardSession->new($node);
    $holder->ask_ok("BEGIN;\nINSERT INTO payments (account, amount) VALUES (1, 1)");
    my $id = insert_event();
    ok(eventually(sub {
        $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'event_consumer'
            AND query_start > timeshard_time($id) + interval '50 ms'") == 1;
    }), 'it looks although the horizon is held back');
    is($node->safe_psql('postgres', 'SELECT horizon_holder FROM timeshard_stats()'), $holder->pid, 'by a session');
    is(handled("id = $id"), '', 'and does not take what is above it');
    $holder->ask_ok('ROLLBACK');
    ok(await_handled($id), 'but does when the session has ended, without a NOTIFY');
    $holder->finish;

    ok(await_asleep(), 'it sleeps');
    kill 'TERM', $pid;
    is(exit_of($pid), 0, 'SIGTERM ends it in its sleep');
};

subtest 'every event once and in order, beside writers of all lengths' => sub {
    my $short = "\\set account random(1, 9)\nINSERT INTO outbox (account, amount) VALUES (:account, 1);\n";
    my $long = <<'SQL';
\set account random(1, 9)
\set ms random(1, 200)
\set undone random(1, 4) = 1
BEGIN;
INSERT INTO outbox (account, amount) VALUES (:account, 1);
SELECT pg_sleep(:ms / 1000.0);
INSERT INTO outbox (account, amount) VALUES (:account, 2);
\if :undone
ROLLBACK;
\else
COMMIT;
\endif
SQL
    my $before = $node->safe_psql('postgres', 'SELECT count(*) FROM outbox');
    my $pid = consumer(@sleeper, '--batch', 7);

    # Pauses leave the client time to overtake the writers.
    my @writers;
    for ([ "$short\\sleep 5 ms\n", 4, 250 ], [ $long, 8, 25 ])
    {
        my ($script, $clients, $transactions) = @$_;
        my $file = $node->basedir . '/writers_' . @writers . '.pgbench';
        append_to_file($file, $script);
        push @writers, IPC::Run::start([ 'pgbench', '-n', '-c', $clients, '-t', $transactions, '-f', $file,
                '-h', $node->host, '-p', $node->port, 'postgres' ], '>', \my $bench_out, '2>', \my $bench_err);
    }
    my $rows = sub { $node->safe_psql('postgres', 'SELECT count(*) FROM handled') };
    my $start = $rows->();
    ok(eventually(sub { $rows->() > $start + 50 }), 'it keeps up');

    # Its connection is lost, again and again.
    for my $round (1 .. 3)
    {
        ok(eventually(sub {
            $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity
                WHERE CASE WHEN application_name = 'event_consumer' THEN pg_terminate_backend(pid) END") == 1;
        }), 'a connection is ended');
        ok(await_handled(insert_event()), 'it goes on in another');
    }

    # It is told to end, and another takes over; one is killed; two compete.
    kill 'TERM', $pid;
    is(exit_of($pid), 0, 'it ends when it is told to');
    my $killed = consumer(@sleeper, '--batch', 7);
    ok(await_handled(insert_event()), 'another takes over');
    kill 'KILL', $killed;
    exit_of($killed);
    my @two = map { consumer(@sleeper, '--batch', 20) } 1 .. 2;
    ok($node->poll_query_until('postgres',
        "SELECT count(*) = 2 FROM pg_stat_activity WHERE application_name = 'event_consumer'"), 'two take over');

    ok($_->finish, 'the writers end') for @writers;
    my $all = 'SELECT string_agg(id::text, \' \' ORDER BY id) FROM outbox';
    ok(eventually(sub { handled() eq $node->safe_psql('postgres', $all) }), 'every event, once and in order');
    cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM outbox') - $before, '>', 1000, 'of many');
    kill 'TERM', @two;
    is(exit_of($_), 0, 'both end') for @two;
};

subtest 'the server stops and comes back' => sub {
    my $pid = consumer(@sleeper);
    ok(await_asleep(), 'it sleeps');
    $node->restart;
    ok(await_handled(insert_event()), 'it is there again, and woken');
    kill 'TERM', $pid;
    is(exit_of($pid), 0, 'SIGTERM');
};

$node->stop;
done_testing();
