# What doc/event-streams.md says of reads that lose rows, and of what the horizon
# does not cover: which statements are warned of; the snapshot that postgres_fdw
# keeps; IDs that a procedure takes before a COMMIT and uses after it; a prepared
# transaction of before a restart; a clock that is refused.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use Manual qw(read_text blocks_of);
use Timeshard;
use TimeshardSession;

my $node = new_cluster('reads', clock => 1,
    conf => "timeshard.node_id = 298\nmax_prepared_transactions = 2\ntimeshard.max_clock_wait = 0");
my ($host, $port) = ($node->host, $node->port);
$node->safe_psql('postgres', <<"SQL");
CREATE EXTENSION dblink;
CREATE EXTENSION postgres_fdw;
CREATE TABLE events (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), n integer);
CREATE VIEW asks AS SELECT timeshard_horizon() AS horizon;
CREATE VIEW asks_and_reads AS SELECT id, horizon FROM events, asks;
CREATE MATERIALIZED VIEW seen AS SELECT id FROM events;
CREATE TABLE answers (id bigint);
CREATE TABLE parts (id bigint) PARTITION BY RANGE (id);
CREATE TABLE part PARTITION OF parts DEFAULT;
CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname 'postgres');
CREATE USER MAPPING FOR CURRENT_USER SERVER far;
CREATE FOREIGN TABLE far_events (id bigint, n integer) SERVER far OPTIONS (table_name 'events');
CREATE FOREIGN TABLE far_asks (horizon bigint) SERVER far OPTIONS (table_name 'asks');
SQL

subtest 'what is warned of' => sub {
    my $warning = qr/WARNING:  55000: this statement's snapshot is older than the answer of timeshard_horizon\(\)/;
    my $session = TimeshardSession->new($node);
    my $warned = sub { my @n = ($session->ask($_[0]))[1] =~ /$warning/g; return scalar @n };
    is($warned->($_), 1, "warned of once: $_")
      for (
        'SELECT id FROM events WHERE id < timeshard_horizon()',
        'SELECT id, timeshard_horizon() FROM events WHERE id >= 0 ORDER BY id',
        'SELECT (SELECT timeshard_horizon()) FROM events',
        'SELECT count(*) FILTER (WHERE id < timeshard_horizon()) FROM events',
        'SELECT CASE WHEN id > 0 THEN timeshard_horizon() END FROM events',
        'SELECT timeshard_horizon(), (SELECT max(id) FROM events)',
        'SELECT timeshard_horizon() FROM seen',
        'SELECT timeshard_horizon() FROM parts',
        'SELECT timeshard_horizon() FROM far_events',
        'SELECT * FROM asks_and_reads',
        'SELECT * FROM events, asks',
        'INSERT INTO answers SELECT timeshard_horizon() FROM events',
        'UPDATE answers SET id = timeshard_horizon()',
        'DELETE FROM answers WHERE id < timeshard_horizon()',
      );
    is($warned->($_), 0, "not warned of: $_")
      for (
        'SELECT timeshard_horizon()',
        'SELECT * FROM asks',
        'INSERT INTO answers SELECT timeshard_horizon()',
        'INSERT INTO answers VALUES (timeshard_horizon())',
      );
    $session->finish;
};

subtest 'postgres_fdw keeps a snapshot, dblink does not' => sub {
    my $dblink = sub { "SELECT * FROM dblink('host=$host port=$port dbname=postgres', '$_[0]') AS t (a bigint)" };
    my $session = TimeshardSession->new($node);
    for ([ 'postgres_fdw', sub { "SELECT $_[0] FROM far_$_[1]" }, 0 ],
        [ 'dblink', sub { $dblink->("SELECT $_[0] FROM $_[1]") }, 1 ])
    {
        my ($name, $query, $seen) = @$_;
        $session->ask_ok('BEGIN');
        $session->ask_ok($query->('count(*)', 'events'));
        my $id = $node->safe_psql('postgres', 'INSERT INTO events DEFAULT VALUES RETURNING id');
        usleep(2000);
        my ($horizon, $err) = $session->ask($query->('horizon', 'asks'));
        cmp_ok($horizon, '>', $id, "$name: the answer is above a new row");
        is($err, '', "$name: without a warning");
        my $row = $query->('count(*)', "events WHERE id = $id");
        is($session->ask_ok($row), $seen, "$name: which is " . ($seen ? 'seen' : 'not seen'));
        $session->ask_ok('COMMIT');
        is($session->ask_ok($row), 1, "$name: in the next transaction it is");
    }
    $session->finish;
};

subtest 'tools that send a single query' => sub {
    my ($single) = grep { ($_->{info} // '') eq 'single-query' } blocks_of(read_text("$FindBin::RealBin/../../doc/event-streams.md"));
    $node->safe_psql('postgres', "TRUNCATE events;\n$single->{text}");
    my $one_statement = 'SELECT id FROM events WHERE id > %s AND id < timeshard_horizon() ORDER BY id';

    # A row is committed between the statement's snapshot and its question.
    $node->safe_psql('postgres', 'CREATE FUNCTION ask_late() RETURNS bigint VOLATILE LANGUAGE plpgsql AS
        $$BEGIN PERFORM pg_advisory_lock(1); PERFORM pg_sleep(0.01); RETURN timeshard_horizon(); END$$');
    my ($holder, $reader) = map { TimeshardSession->new($node) } 1 .. 2;
    $holder->ask_ok('SELECT pg_advisory_lock(1)');
    $reader->send('SELECT count(*), max(id) < min(h) FROM (SELECT ask_late() AS h OFFSET 0) AS a LEFT JOIN events ON id < h');
    ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"), 'it has begun');
    my $id = $holder->ask_ok('INSERT INTO events DEFAULT VALUES RETURNING id');
    $holder->ask_ok('SELECT pg_advisory_unlock(1)');
    is(($reader->receive)[0], '1|', 'one statement: the row is below the answer, and not seen');
    is($reader->ask_ok('SELECT id FROM settled'), $id, 'the view shows it');

    # Beside writers, polled by what the tool has read last.
    my $script = $node->basedir . '/events.pgbench';
    append_to_file($script, "BEGIN;\nINSERT INTO events DEFAULT VALUES;\nSELECT pg_sleep(0.003 * random());\nCOMMIT;\n");
    my $writers = IPC::Run::start([ 'pgbench', '-n', '-c', 8, '-t', 250, '-f', $script, '-h', $host, '-p', $port, 'postgres' ],
        '>', \my $out, '2>', \my $err);
    my %read = map { $_ => [0] } qw(statement function view);
    my %query = (statement => $one_statement, function => 'SELECT id FROM settled_events(%s, 50) ORDER BY id',
        view => 'SELECT id FROM settled WHERE id > %s ORDER BY id');
    my $poll = sub { push @{ $read{$_} }, split /\n/, ($reader->ask(sprintf $query{$_}, $read{$_}[-1]))[0] for keys %query };
    $poll->() while eval { $writers->pump_nb; $writers->pumpable };
    ok($writers->finish, 'the writers end') or diag($err);
    usleep(5000);
    $poll->() for 1 .. 50;
    my $all = $node->safe_psql('postgres', 'SELECT string_agg(id::text, \' \' ORDER BY id) FROM events');
    is(join(' ', @{ $read{$_} }[ 1 .. $#{ $read{$_} } ]), $all, "the $_: every row once, in order") for qw(function view);
    note('one statement: ' . (2001 - $#{ $read{statement} }) . ' of 2001 rows lost');
    $_->finish for $holder, $reader;
};

subtest 'an ID that is used after a COMMIT' => sub {
    my $body = sub {
        my ($loop, $id) = @_;
        return "DO \$\$ DECLARE one bigint; row record; horizon bigint := 0; lost integer := 0; BEGIN
            one := timeshard_next_id();
            FOR row IN $loop LOOP
                IF $id < horizon THEN lost := lost + 1; END IF;
                INSERT INTO events (id) VALUES ($id) ON CONFLICT DO NOTHING;
                COMMIT;
                PERFORM pg_sleep(0.002);
                horizon := timeshard_horizon();
            END LOOP;
            INSERT INTO answers VALUES (lost);
        END \$\$";
    };
    for ([ 'a loop over IDs', 'SELECT timeshard_next_id() AS id FROM generate_series(1, 100)', 'row.id', 99 ],
        [ 'a batch', 'SELECT timeshard_next_ids(100) AS id', 'row.id', 99 ],
        [ 'a variable', 'SELECT generate_series(1, 2)', 'one', 1 ],
        [ 'an ID of each transaction', 'SELECT generate_series(1, 100)', 'timeshard_next_id()', 0 ])
    {
        my ($name, $loop, $id, $lost) = @$_;
        $node->safe_psql('postgres', 'TRUNCATE answers');
        $node->safe_psql('postgres', $body->($loop, $id));
        is($node->safe_psql('postgres', 'SELECT id FROM answers'), $lost, "$name: below the horizon");
    }
};

subtest 'a refused clock' => sub {
    my $refusals = 'SELECT clock_refusals, horizon_lag = \'0\' FROM timeshard_stats()';
    is($node->safe_psql('postgres', $refusals), '0|t', 'no refusal, no lag');
    set_clock($node, '-1h');
    fails_with($node, 'SELECT timeshard_horizon()', qr/clock is [\d.]+ s behind the last ID/, 'the horizon');
    is($node->safe_psql('postgres', $refusals), '1|t', 'one refusal, and no lag');
    set_clock($node, '+0');
};

subtest 'a prepared transaction that never used Timeshard' => sub {
    $node->safe_psql('postgres', "CREATE DATABASE plain");
    $node->safe_psql('plain', "BEGIN; CREATE TABLE t (); PREPARE TRANSACTION 'plain'");
    ok($node->safe_psql('postgres', 'SELECT timeshard_horizon()') > 0, 'does not matter');
    restart_with_env($node);
    fails_with($node, 'SELECT timeshard_horizon()', qr/was prepared before the server's start/, 'but after a restart');
    is($node->safe_psql('postgres', 'SELECT horizon_lag IS NULL FROM timeshard_stats()'), 't', 'the lag is null');
    $node->safe_psql('plain', "ROLLBACK PREPARED 'plain'");
    ok($node->safe_psql('postgres', 'SELECT timeshard_horizon()') > 0, 'until it is finished');
};

$node->stop;
done_testing();
