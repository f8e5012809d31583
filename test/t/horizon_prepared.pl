# The horizon and what outlives a session: prepared transactions, restarts, crashes,
# recovery. In both load modes. Sessions: horizon_sessions.pl.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use Horizon;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;
use TimeshardSession;

my $writers = 8;
my $askers = 8;

# Answers smaller than that of a call that had ended before they started; at the
# same microsecond a start comes before an end, because such calls overlap.
my $went_back = <<'SQL';
SELECT count(*) FROM (
    SELECT is_end, id, max(id) FILTER (WHERE is_end) OVER (ORDER BY at, is_end ROWS UNBOUNDED PRECEDING) AS before
    FROM (SELECT started AS at, false AS is_end, id FROM answers
          UNION ALL SELECT ended, true, id FROM answers) AS events) AS run
WHERE NOT is_end AND id < before
SQL

my $schema = <<'SQL';
CREATE TABLE answers (started timestamptz, id bigint, ended timestamptz);
CREATE FUNCTION record_answers(count int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE started timestamptz; id bigint; ended timestamptz;
BEGIN
    FOR i IN 1..count LOOP
        started := clock_timestamp();
        id := timeshard_horizon();
        ended := clock_timestamp();
        INSERT INTO answers VALUES (started, id, ended);
    END LOOP;
END $$;
SQL

sub stats
{
    my ($node, $what) = @_;
    return $node->safe_psql('postgres', "SELECT $what FROM timeshard_stats()");
}

# One session prepares, goes on, prepares again, leaves; others get its number.
sub outlives_its_session
{
    my ($node, $mode) = @_;
    my $session = TimeshardSession->new($node);
    my $owner = owner_of($session);
    my $first = prepared($session, 'first');
    held($node, $first, "$mode: a prepared transaction holds");
    is(stats($node, "horizon_lag > '0', horizon_holder IS NULL"), 't|t', "$mode: it is no session");

    my $id = takes_id($session);
    held($node, $first, "$mode: also when its session goes on to another with IDs");
    $session->ask_ok('COMMIT');
    held($node, $first, "$mode: and has committed that");
    my $second = prepared($session, 'second');
    my $third = prepared($session, 'third');
    held($node, $first, "$mode: the first of three holds");
    $session->finish;
    gone($node, $session);
    held($node, $first, "$mode: when its session has left");

    my $successor = successor_of($node, $owner);
    held($node, $first, "$mode: when another session has got its number");
    takes_id($successor);
    held($node, $first, "$mode: and has taken an ID");
    $successor->ask_ok('COMMIT');
    lets_go($node, $first, sub { $node->safe_psql('postgres', "COMMIT PREPARED 'first'") },
        "$mode: committed by another session");
    lets_go($node, $second, sub { $node->safe_psql('postgres', "ROLLBACK PREPARED 'second'") },
        "$mode: the second, rolled back by another");
    lets_go($node, $third, sub { $successor->ask_ok("COMMIT PREPARED 'third'") },
        "$mode: the third, committed by the number's next owner");
    $successor->finish;
    return;
}

# PostgreSQL gives the entry of a prepared transaction to the next one, and with it
# the copy that was kept of the position.
sub reuses_entries
{
    my ($node, $mode) = @_;
    my $session = TimeshardSession->new($node);
    for my $round (1 .. 3)
    {
        my $name = "$mode, an entry reused, round $round";
        my $id = prepared($session, 'with');
        takes_id($session);
        $session->ask_ok('COMMIT');
        lets_go($node, $id, sub { $session->ask_ok("COMMIT PREPARED 'with'") }, $name);

        $session->ask_ok("BEGIN; INSERT INTO horizon_rows VALUES ($round, 'no ID of ours'); PREPARE TRANSACTION 'without'");
        my $later = $session->ask_ok('SELECT timeshard_next_id()');
        past($node, $later, "$name: a prepared transaction without IDs does not hold");
        is(stats($node, 'horizon_lag, horizon_holder IS NULL'), '00:00:00|t', "$name: nor does it lag");
        $session->ask_ok("ROLLBACK PREPARED 'without'");
    }

    # All entries in use, each but the last with a copy.
    my @ids = map { prepared($session, "number $_") } 1 .. 10;
    for my $number (1 .. 10)
    {
        lets_go($node, shift @ids, sub { $session->ask_ok("ROLLBACK PREPARED 'number $number'") },
            "$mode, ten prepared, number $number");
    }
    $session->finish;
    return;
}

sub in_another_database
{
    my ($node, $mode) = @_;
    $node->safe_psql('postgres', 'CREATE DATABASE other');
    $node->safe_psql('other', 'CREATE EXTENSION timeshard');
    my $session = TimeshardSession->new($node, 'other');
    my $id = prepared($session, 'elsewhere');
    takes_id($session);
    $session->ask_ok('COMMIT');
    $session->finish;
    lets_go($node, $id, sub { $node->safe_psql('other', "COMMIT PREPARED 'elsewhere'") }, "$mode, prepared in another database");
    return;
}

# Refuses for what was prepared before the start, until that is gone.
sub refuses_until
{
    my ($node, $end, $name) = @_;
    my $refused = sub {
        my ($when) = @_;
        my $xid = $node->safe_psql('postgres', 'SELECT transaction FROM pg_prepared_xacts ORDER BY prepared LIMIT 1');
        fails_with($node, 'SELECT timeshard_horizon()',
            qr/ERROR:  55000: a transaction is open that was prepared before the server's start or promotion\nDETAIL:  Transaction $xid may have taken IDs .*\nHINT:  Find it in pg_prepared_xacts, and commit it or roll it back\. See "What holds it back" in \S*\/doc\/event-streams\.md\.\n/,
            "$name, $when");
        is(stats($node, 'horizon_lag IS NULL, horizon_holder IS NULL'), 't|t', "$name, $when: the lag is unknown");
    };
    $refused->('before any ID');
    my $session = TimeshardSession->new($node);
    my $id = prepared($session, 'since');
    $refused->('beside a new one');
    $node->safe_psql('postgres', $end);
    lets_go($node, $id, sub { $node->safe_psql('postgres', "COMMIT PREPARED 'since'") }, "$name, then another");
    $session->finish;
    return;
}

# Askers among writers; what they are answered is added to the table.
sub many_ask
{
    my ($node, $name) = @_;
    my $file = $node->basedir . '/writes.pgbench';
    append_to_file($file, 'BEGIN; INSERT INTO horizon_rows (note) SELECT :client_id FROM generate_series(1, 20); COMMIT;')
      unless -e $file;
    my ($rc, $out, $err) = run_pgbench($node, 'SELECT record_answers(100);',
        '-f', "$file\@1", '-c', $writers + $askers, '-j', 2, '-t', 10);
    ok($rc == 0 && $out =~ /failed transactions: 0 /, "$name: $askers sessions ask while $writers write") or diag("$out$err");
    is($node->safe_psql('postgres', $went_back), 0, "$name: no answer is below an earlier one");
    return $node->safe_psql('postgres', 'SELECT max(id) FROM answers');
}

# The check of answers finds one that is below another.
sub check_can_fail
{
    my ($node, $mode) = @_;
    is( $node->safe_psql('postgres',
            "BEGIN; INSERT INTO answers SELECT clock_timestamp(), min(id), clock_timestamp() FROM answers; $went_back; ROLLBACK"),
        1, "$mode: the check finds an answer that went back");
    return;
}

sub restarts
{
    my ($node, $mode) = @_;
    my %starts = (
        'a clean restart' => sub { restart_with_env($node) },
        'an immediate stop' => sub { $node->stop('immediate'); start_with_env($node) },
        'a backend killed with signal 9' => sub { crash_restart($node) },
        'a smaller node ID' => sub {
            $node->append_conf('postgresql.conf', 'timeshard.node_id = 1');
            restart_with_env($node);
        });
    for my $start (sort keys %starts)
    {
        my $name = "$mode, $start";
        many_ask($node, "$name, before");
        my $session = TimeshardSession->new($node);
        my $open = takes_id($session);
        $starts{$start}->();
        my $before = $node->safe_psql('postgres', 'SELECT max(id) FROM answers');
        cmp_ok($node->safe_psql('postgres', 'SELECT timeshard_horizon()'), '>', $before, "$name: the first answer is above those before");
        past($node, $open, "$name: past what was open");
        $session->finish;
        many_ask($node, "$name, after");

        $session = TimeshardSession->new($node);
        prepared($session, 'earlier');
        $session->finish;
        $starts{$start}->();
        refuses_until($node, "COMMIT PREPARED 'earlier'", "$name, prepared before");
        cmp_ok($node->safe_psql('postgres', 'SELECT timeshard_horizon()'), '>', $before, "$name: answers are above those before");
    }

    # Whether a transaction had IDs is forgotten.
    $node->safe_psql('postgres', "BEGIN; INSERT INTO horizon_rows VALUES (0, 'no ID'); PREPARE TRANSACTION 'without'");
    restart_with_env($node);
    refuses_until($node, "ROLLBACK PREPARED 'without'", "$mode, prepared before a restart without IDs");
    return;
}

sub recovery
{
    my ($node, $mode) = @_;
    $node->backup('base');
    my $standby = PostgreSQL::Test::Cluster->new("prepared_standby_$mode");
    $standby->init_from_backup($node, 'base', has_streaming => 1);
    $standby->append_conf('postgresql.conf', 'timeshard.node_id = 46');
    start_with_env($standby);
    my $session = TimeshardSession->new($node);
    prepared($session, 'replayed');
    $session->finish;
    my $before = $node->safe_psql('postgres', 'SELECT timeshard_horizon()');
    $node->wait_for_catchup($standby);

    my $reader = TimeshardSession->new($standby);
    like(($reader->ask('SELECT timeshard_horizon()'))[1], qr/^ERROR:  25006: cannot execute timeshard_horizon\(\) during recovery/,
        "$mode, a standby: refused");
    is($reader->ask_ok('SELECT horizon_lag IS NULL AND horizon_holder IS NULL, ids_issued FROM timeshard_stats()'), 't|0',
        "$mode, a standby: timeshard_stats() answers");
    $standby->promote;
    $standby->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'it is not promoted';
    refuses_until($standby, "COMMIT PREPARED 'replayed'", "$mode, promoted");
    cmp_ok($reader->ask_ok('SELECT timeshard_horizon()'), '>', $before, "$mode, promoted: the reader is answered");
    $reader->finish;
    $standby->stop;
    $node->safe_psql('postgres', "COMMIT PREPARED 'replayed'");
    return;
}

for my $preload (0, 1)
{
    my $mode = $preload ? 'preloaded' : 'lazy';
    my $node = new_cluster("prepared_$mode", preload => $preload, init => [ allows_streaming => 1 ], conf => <<'CONF');
timeshard.node_id = 45
max_prepared_transactions = 10
max_connections = 40
restart_after_crash = on
autovacuum = off
CONF
    prepare_horizon($node);
    $node->safe_psql('postgres', $schema);
    outlives_its_session($node, $mode);
    reuses_entries($node, $mode);
    in_another_database($node, $mode);
    restarts($node, $mode);
    check_can_fail($node, $mode);
    recovery($node, $mode);
    unlike(log_of($node), qr/PANIC|clock is/, "$mode: a quiet log");
    $node->stop;
}

done_testing();
