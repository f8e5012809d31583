# The horizon between sessions, in both load modes: who holds it, where, and what
# lets it go. Prepared transactions and restarts: horizon_prepared.pl.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use Horizon;
use List::Util qw(min);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;
use TimeshardSession;

# First of all on a server: nobody has asked when the ID is taken.
sub before_the_first_question
{
    my ($node, $mode) = @_;
    my $session = TimeshardSession->new($node);
    my $id = takes_id($session);
    lets_go($node, $id, sub { $session->ask_ok('COMMIT') }, "$mode, an ID older than the first question");

    $session->ask_ok('BEGIN');
    my $asked = $session->ask_ok('SELECT timeshard_horizon()');
    past($node, $asked, "$mode, a transaction that has only asked holds nothing");
    $id = $session->ask_ok('SELECT timeshard_next_id()');
    lets_go($node, $id, sub { $session->ask_ok('COMMIT') }, "$mode, asked first and took an ID later");
    $session->finish;
    return;
}

# Every way for a transaction to end.
sub ends
{
    my ($node, $mode) = @_;
    my $another = TimeshardSession->new($node);
    my $by_error = sub {
        my ($session, $sql, $state) = @_;
        my ($out, $err) = $session->ask($sql);
        like($err, qr/^ERROR:  $state/, "$mode, $sql fails");
    };
    my %ends = (
        'commit' => sub { $_[0]->ask_ok('COMMIT') },
        'rollback' => sub { $_[0]->ask_ok('ROLLBACK') },
        'an error after the ID' => sub { $by_error->($_[0], 'SELECT 1 / 0', '22012') },
        'a statement cancelled' => sub {
            $_[0]->send("INSERT INTO horizon_rows (note) SELECT 'cancelled' FROM pg_sleep(600)");
            $_[0]->await_active;
            $another->ask_ok('SELECT pg_cancel_backend(' . $_[0]->pid . ')');
            like(($_[0]->receive)[1], qr/^ERROR:  57014/, "$mode, the statement is cancelled");
        },
        'the session terminated' => sub {
            $another->ask_ok('SELECT pg_terminate_backend(' . $_[0]->pid . ')');
            gone($node, $_[0]);
        },
        'terminated in a statement' => sub {
            $_[0]->send("INSERT INTO horizon_rows (note) SELECT 'terminated' FROM pg_sleep(600)");
            $_[0]->await_active;
            $another->ask_ok('SELECT pg_terminate_backend(' . $_[0]->pid . ')');
            gone($node, $_[0]);
        },
        'a client that vanishes' => sub {
            $_[0]->{run}->kill_kill(grace => 0);
            gone($node, $_[0]);
        },
        'an exit idle in transaction' => sub { $_[0]->finish; gone($node, $_[0]) });

    for my $end (sort keys %ends)
    {
        my $session = TimeshardSession->new($node);
        my $owner = owner_of($session);
        my $id = takes_id($session);
        my $other = takes_id($another);
        held($node, $id, "$mode, $end: the first of two transactions holds");
        $another->ask_ok('COMMIT');
        held($node, $id, "$mode, $end: also when the other has committed");
        my $later = $session->ask_ok('SELECT timeshard_next_id()');
        lets_go($node, $id, sub { $ends{$end}->($session) }, "$mode, $end");
        past($node, $later, "$mode, $end: past its second ID");

        # The number goes to another session, with what was published under it.
        $session->finish;
        my $successor = successor_of($node, $owner);
        my $asked = $successor->ask_ok('BEGIN; SELECT timeshard_horizon()');
        past($node, $asked, "$mode, $end: the next session of that number holds nothing by it");
        $id = $successor->ask_ok('SELECT timeshard_next_id()');
        lets_go($node, $id, sub { $successor->ask_ok('COMMIT') }, "$mode, $end: the next session");
        $successor->finish;
    }

    $by_error->($another, 'SELECT 1 / (timeshard_next_id() * 0)', '22012');
    my $unused = $another->ask_ok('SELECT last_id FROM timeshard_stats()');
    past($node, $unused, "$mode, an ID lost in the statement that took it");
    $another->finish;
    return;
}

# The state may have stood where it stood for hours when a transaction takes its
# first ID.
sub follows_the_first_id
{
    my ($node, $mode) = @_;
    my $committed = $node->safe_psql('postgres', "INSERT INTO horizon_rows (note) VALUES ('idle') RETURNING id");
    my $session = TimeshardSession->new($node);
    $node->poll_query_until('postgres', "SELECT clock_timestamp() - last_id_at > '2 s' FROM timeshard_stats()")
      or die 'somebody takes IDs';
    my $id = takes_id($session);
    is( $node->safe_psql('postgres',
            "SELECT horizon_lag > '0', horizon_lag <= clock_timestamp() - timeshard_time($id) + '1 ms', horizon_holder FROM timeshard_stats()"),
        't|t|' . $session->pid, "$mode, after an idle while: the lag is that of the first ID");
    held($node, $id, "$mode, after an idle while: the horizon is at the first ID");
    past($node, $committed, "$mode, after an idle while: what was committed before is below the horizon");
    $session->ask_ok('COMMIT');
    $session->finish;
    return;
}

# Workers take IDs for their leader, whose transaction goes on when they have left. A
# user has marked the function safe: the extension's own does not run in workers.
sub parallel_workers
{
    my ($node, $mode) = @_;
    my $asker = TimeshardSession->new($node);
    for my $leader ('off', 'on')
    {
        my $name = "$mode, parallel workers, leader's participation $leader";
        my $session = TimeshardSession->new($node);
        $session->ask_ok("SET $force_parallel = off; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;"
              . 'SET min_parallel_table_scan_size = 0; SET max_parallel_workers_per_gather = 2;'
              . "SET parallel_leader_participation = $leader");
        for my $first (0, 1)
        {
            my $whose = $first ? "$name, leader's ID first" : $name;
            $session->ask_ok('BEGIN');
            my $own = $first ? $session->ask_ok('SELECT timeshard_next_id()') : undef;

            # An answer that is too great while they are at work is one for good.
            $session->send('EXPLAIN (ANALYZE, VERBOSE, COSTS OFF) CREATE TABLE made AS'
                  . " SELECT own_next_id() AS id FROM big WHERE pg_sleep(0.0001)::text = ''");
            my $asked = 0;
            eventually(sub {
                $asked++;
                return $asker->ask_ok("SELECT timeshard_horizon() > 0, state = 'idle in transaction' AND query LIKE 'EXPLAIN%'"
                      . ' FROM pg_stat_activity WHERE pid = ' . $session->pid) eq 't|t';
            }) or die 'the query does not end';
            my ($plan, $err) = $session->receive;
            like($plan, qr/Workers Launched: [12]\n.*Parallel Seq Scan[^\n]*\n\s+Output: own_next_id\(\)/s,
                "$whose: workers take IDs") or diag($err);
            note("$whose: asked $asked times meanwhile");

            my ($least, $greatest) = split /\|/, $session->ask_ok('SELECT min(id), max(id) FROM made');
            $least = $own if $first;
            like(stands($node, $least), qr/^(at|before)$/, "$whose: what they took is above the horizon");
            $session->ask_ok('SELECT timeshard_next_id()');
            like(stands($node, $least), qr/^(at|before)$/, "$whose: also when the leader takes an ID afterwards");
            is($node->safe_psql('postgres', 'SELECT horizon_holder FROM timeshard_stats()'), $session->pid,
                "$whose: the leader is the holder");
            $session->ask_ok('COMMIT');
            past($node, $greatest, "$whose: committed");
            $session->ask_ok('DROP TABLE made');
        }
        $session->finish;
    }
    $asker->finish;
    return;
}

sub another_database
{
    my ($node, $mode) = @_;
    $node->safe_psql('postgres', 'CREATE DATABASE other');
    $node->safe_psql('other', 'CREATE EXTENSION timeshard');
    my $session = TimeshardSession->new($node, 'other');
    my $id = takes_id($session);
    is($node->safe_psql('postgres', 'SELECT horizon_holder FROM timeshard_stats()'), $session->pid,
        "$mode, another database: it is the holder");
    lets_go($node, $id, sub { $session->ask_ok('COMMIT') }, "$mode, another database");
    $session->finish;
    return;
}

# A commit that waits for a standby is in the log, but nobody sees its rows.
sub synchronous_replication
{
    my ($node, $mode) = @_;
    my $set = sub {
        $node->safe_psql('postgres', $_[0]);
        reload_and_wait($node);
    };
    for my $release ('released', 'cancelled')
    {
        my $name = "$mode, synchronous replication, $release";
        $set->("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
        my $session = TimeshardSession->new($node);
        my $id = $session->ask_ok("BEGIN; INSERT INTO horizon_rows (note) VALUES ('waits') RETURNING id");
        $session->send('COMMIT');
        $session->await("wait_event = 'SyncRep'");
        my $seen = "SELECT count(*) FROM horizon_rows WHERE id = $id";
        is($node->safe_psql('postgres', $seen), 0, "$name: nobody sees the row");
        held($node, $id, "$name: a commit that waits holds");
        if ($release eq 'cancelled') { $node->safe_psql('postgres', 'SELECT pg_cancel_backend(' . $session->pid . ')') }
        else { $set->('ALTER SYSTEM RESET synchronous_standby_names') }
        $session->receive;
        is($node->safe_psql('postgres', "SELECT stands($id); $seen"), "past\n1", "$name: past the row, which is there");
        $session->finish;
    }
    $set->('ALTER SYSTEM RESET synchronous_standby_names');
    return;
}

# Asking with 100 sessions, each in a transaction that has an ID: under 20 µs more
# than taking one. The best of several rounds, since the machine may be busy.
sub is_cheap
{
    my ($node, $mode) = @_;
    my $script = $node->basedir . '/holds.pgbench';
    append_to_file($script, "BEGIN;\nSELECT timeshard_next_id();\n\\sleep 1000 s\nCOMMIT;\n");
    my ($out, $err) = ('', '');
    my $holders = do {
        local $ENV{PGAPPNAME} = 'holder';
        IPC::Run::start([ 'pgbench', '-n', '-c', 100, '-t', 1, '-h', $node->host, '-p', $node->port, '-f', $script, 'postgres' ],
            '>', \$out, '2>', \$err);
    };
    my $holding = $node->poll_query_until('postgres', <<'SQL');
SELECT count(*) = 100 FROM pg_stat_activity
WHERE application_name = 'holder' AND state = 'idle in transaction' AND query LIKE '%timeshard_next_id%'
SQL
    ok($holding, "$mode: 100 sessions hold") or diag("$out$err");
    my $session = TimeshardSession->new($node);
    $session->ask_ok(<<'SQL');
CREATE FUNCTION us_of_calls(calls int, OUT asking float, OUT taking float) LANGUAGE plpgsql AS $$
DECLARE started timestamptz := clock_timestamp(); taken timestamptz;
BEGIN
    FOR i IN 1..calls LOOP PERFORM timeshard_next_id(); END LOOP;
    taken := clock_timestamp();
    FOR i IN 1..calls LOOP PERFORM timeshard_horizon(); END LOOP;
    asking := extract(epoch FROM clock_timestamp() - taken) * 1e6 / calls;
    taking := extract(epoch FROM taken - started) * 1e6 / calls;
END $$;
SQL
    my ($asking, $taking) = ('inf', 'inf');
    for my $round (1 .. 20)
    {
        my @us = split /\|/, $session->ask_ok('SELECT * FROM us_of_calls(10000)');
        ($asking, $taking) = (min($asking, $us[0]), min($taking, $us[1]));
        last if $round >= 3 && $asking - $taking < 20;
    }
    diag(sprintf '%s: asking with 100 sessions takes %.2f us, an ID %.2f us', $mode, $asking, $taking);
    cmp_ok($asking - $taking, '<', 20, "$mode: asking with 100 sessions takes less than 20 us");
    is($session->ask_ok("SELECT horizon_holder IN (SELECT pid FROM pg_stat_activity WHERE application_name = 'holder') FROM timeshard_stats()"),
        't', "$mode: they have held all the time");
    $session->finish;
    $holders->kill_kill(grace => 10);
    return;
}

for my $preload (0, 1)
{
    my $mode = $preload ? 'preloaded' : 'lazy';
    my $node = new_cluster("horizon_$mode", preload => $preload, init => [ allows_streaming => 1 ], conf => <<'CONF');
timeshard.node_id = 45
max_connections = 120
autovacuum = off
CONF
    prepare_horizon($node);
    $node->safe_psql('postgres', 'CREATE TABLE big AS SELECT generate_series(1, 2000) AS n; ANALYZE big;
        CREATE FUNCTION own_next_id() RETURNS bigint LANGUAGE C PARALLEL SAFE AS $q$$libdir/timeshard$q$, $q$timeshard_next_id$q$');
    before_the_first_question($node, $mode);
    ends($node, $mode);
    follows_the_first_id($node, $mode);
    parallel_workers($node, $mode);
    another_database($node, $mode);
    synchronous_replication($node, $mode);
    is_cheap($node, $mode);
    unlike(log_of($node), qr/PANIC|terminated by signal|clock is/, "$mode: a quiet log");
    $node->stop;
}

done_testing();
