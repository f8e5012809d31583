# Many sessions at once: P1 (a primary key over a million IDs), P2 (order across
# sessions, from recorded call starts and ends) and P3 (honest time, also at
# full rate), in both load modes and in layouts from one end to the other.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

my $sessions = 16;

# Everything is recorded by the sessions themselves and judged afterwards.
my $schema = <<'SQL';
CREATE TABLE keyed (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), session int);
CREATE UNLOGGED TABLE calls (started timestamptz, id bigint, ended timestamptz);
CREATE UNLOGGED TABLE batches (started timestamptz, low bigint, high bigint, ended timestamptz);
CREATE SEQUENCE cached CACHE 100;

CREATE FUNCTION record_calls(count int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE started timestamptz; id bigint; ended timestamptz;
BEGIN
    FOR i IN 1..count LOOP
        started := clock_timestamp();
        id := timeshard_next_id();
        ended := clock_timestamp();
        INSERT INTO calls VALUES (started, id, ended);
    END LOOP;
END $$;

CREATE FUNCTION record_cached_calls(count int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE started timestamptz; id bigint; ended timestamptz;
BEGIN
    FOR i IN 1..count LOOP
        started := clock_timestamp();
        id := nextval('cached');
        ended := clock_timestamp();
        INSERT INTO calls VALUES (started, id, ended);
    END LOOP;
END $$;

CREATE FUNCTION record_batches(count int, ids int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE started timestamptz; low bigint; high bigint; ended timestamptz;
BEGIN
    FOR i IN 1..count LOOP
        started := clock_timestamp();
        SELECT min(id), max(id) INTO low, high
            FROM (SELECT timeshard_next_id() AS id FROM generate_series(1, ids) OFFSET 0) AS made;
        ended := clock_timestamp();
        INSERT INTO batches VALUES (started, low, high, ended);
    END LOOP;
END $$;

CREATE FUNCTION ms(at timestamptz) RETURNS bigint IMMUTABLE LANGUAGE sql
    RETURN floor(extract(epoch FROM at) * 1000)::bigint;
CREATE FUNCTION ms(id bigint) RETURNS bigint IMMUTABLE LANGUAGE sql
    RETURN (id >> 22) + 1702385533000;
SQL

# Calls whose ID is smaller than that of a call that had ended before they
# started. The greatest ID of the ended calls runs along in order of time; at
# the same microsecond a start comes before an end, because such calls overlap.
my $out_of_order = <<'SQL';
SELECT count(*) FROM (
    SELECT is_end, id, max(id) FILTER (WHERE is_end) OVER (ORDER BY at, is_end ROWS UNBOUNDED PRECEDING) AS before
    FROM (SELECT started AS at, false AS is_end, id FROM calls
          UNION ALL SELECT ended, true, id FROM calls) AS events) AS run
WHERE NOT is_end AND id <= before
SQL

my $dishonest_calls = 'SELECT count(*) FROM calls WHERE ms(id) NOT BETWEEN ms(started) AND ms(ended)';
my $dishonest_batches =
  'SELECT count(*) FROM batches WHERE ms(low) < ms(started) OR ms(high) > ms(ended)';

sub runs_clean
{
    my ($node, $clients, $transactions, $script, $name) = @_;
    my ($rc, $out, $err) = run_pgbench($node, $script, '-c', $clients, '-j', 2, '-t', $transactions);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok($rc == 0 && $out =~ /failed transactions: 0 /, "$name: no error") || diag("$out$err");
}

sub million_keys
{
    my ($node, $bits, $node_id, $name) = @_;
    my $rows = 250;
    my $transactions = 250;

    $node->safe_psql('postgres', 'TRUNCATE keyed');
    runs_clean($node, $sessions, $transactions,
        "INSERT INTO keyed (session) SELECT :client_id FROM generate_series(1, $rows);", "$name, a million keys");
    is( $node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT session) FROM keyed'),
        $sessions * $transactions * $rows . "|$sessions",
        "$name: every key is there");

    # By arithmetic: the extension's own parser could share a mistake.
    my ($shift, $mask) = (22 - $bits, (1 << $bits) - 1);
    is($node->safe_psql('postgres', "SELECT DISTINCT (id >> $shift) & $mask, id > 0 FROM keyed"),
        "$node_id|t", "$name: every key carries node ID $node_id");
    return;
}

sub order_and_time
{
    my ($node, $name) = @_;

    $node->safe_psql('postgres', 'TRUNCATE calls');
    runs_clean($node, $sessions, 4, 'SELECT record_calls(1000);', "$name, recorded calls");
    is($node->safe_psql('postgres', 'SELECT count(*) FROM calls'), $sessions * 4000, "$name: all calls are recorded");
    is($node->safe_psql('postgres', $out_of_order), 0, "$name: IDs rise across sessions");
    is($node->safe_psql('postgres', $dishonest_calls), 0, "$name: each ID's millisecond is that of its call");
    return;
}

sub honest_at_full_rate
{
    my ($node, $batches, $ids, $name) = @_;

    for my $clients (1, $sessions)
    {
        $node->safe_psql('postgres', 'TRUNCATE batches');
        my $each = int($batches / $clients);
        runs_clean($node, $clients, 1, "SELECT record_batches($each, $ids);", "$name, full rate, $clients sessions");
        is($node->safe_psql('postgres', $dishonest_batches), 0, "$name, full rate, $clients sessions: honest time");
        is($node->safe_psql('postgres', 'SELECT count(*) FROM batches WHERE high > low'), $each * $clients,
            "$name, full rate, $clients sessions: all batches are recorded");
    }
    return;
}

# The checks can fail: they find one swapped pair, one ID of the next
# millisecond, and the blocks that a cached sequence hands out per session.
sub checks_can_fail
{
    my ($node) = @_;
    my $broken = sub {
        my ($change, $check) = @_;
        return $node->safe_psql('postgres', "BEGIN; $change; $check; ROLLBACK");
    };

    cmp_ok($broken->(<<'SQL', $out_of_order), '>', 0, 'the check of order finds a swapped pair');
UPDATE calls SET id = other.id
FROM (SELECT (SELECT ctid FROM calls ORDER BY started LIMIT 1) AS early,
             (SELECT ctid FROM calls ORDER BY started DESC LIMIT 1) AS late) AS pair
JOIN LATERAL (SELECT ctid AS place, id FROM calls WHERE ctid IN (early, late)) AS other ON true
WHERE calls.ctid IN (early, late) AND calls.ctid <> other.place
SQL
    my $shift_one = 'UPDATE calls SET id = id + (%s << 22) WHERE ctid = (SELECT max(ctid) FROM calls)';
    is($broken->(sprintf($shift_one, 1000), $dishonest_calls), 1, 'the check of time finds an ID of the future');
    is($broken->(sprintf($shift_one, -1000), $dishonest_calls), 1, 'the check of time finds an ID of the past');

    $node->safe_psql('postgres', 'TRUNCATE calls');
    runs_clean($node, $sessions, 4, 'SELECT record_cached_calls(250);', 'recorded calls of a cached sequence');
    cmp_ok($node->safe_psql('postgres', $out_of_order), '>', 0, 'the check of order finds blocks per session');
    return;
}

for my $preload (0, 1)
{
    my $mode = $preload ? 'preloaded' : 'lazy';
    my $node = new_cluster("sessions_$mode", preload => $preload, conf => <<'CONF');
timeshard.node_id = 345
max_connections = 50
shared_buffers = 128MB
max_wal_size = 4GB
autovacuum = off
CONF
    $node->safe_psql('postgres', $schema);
    million_keys($node, 10, 345, "$mode, 10 bits");
    order_and_time($node, "$mode, 10 bits");
    honest_at_full_rate($node, 128, 5000, "$mode, 10 bits");
    checks_can_fail($node) unless $preload;

    $node->append_conf('postgresql.conf', "timeshard.node_id = 1\ntimeshard.node_id_bits = 1");
    restart_with_env($node);
    million_keys($node, 1, 1, "$mode, 1 bit");
    order_and_time($node, "$mode, 1 bit");
    honest_at_full_rate($node, 128, 5000, "$mode, 1 bit");

    # 64 IDs a millisecond: any machine is faster than that, so a generator that
    # borrowed from the future would be ahead by seconds.
    $node->append_conf('postgresql.conf', "timeshard.node_id = 65535\ntimeshard.node_id_bits = 16");
    restart_with_env($node);
    order_and_time($node, "$mode, 16 bits");
    honest_at_full_rate($node, 64, 640, "$mode, 16 bits");

    unlike(log_of($node), qr/clock is .* behind/, "$mode: no session saw a clock error");
    $node->stop;
}

done_testing();
