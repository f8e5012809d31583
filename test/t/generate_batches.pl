# timeshard_next_ids: many sessions take batches at once, with single calls in
# between: no ID twice, each batch rising, honest time, order between calls; from
# 64 IDs a millisecond to two million. A batch can be interrupted, and cut short.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;
use TimeshardSession;

my $sessions = 12;
my $soon = 2;

# Sessions record their own calls, IDs in the order in which they came. A batch is
# taken in each of the ways in which a statement can ask for one.
my $schema = <<'SQL';
CREATE UNLOGGED TABLE calls (call bigserial, way integer, started timestamptz, ids bigint[], ended timestamptz);

CREATE FUNCTION record(way integer, count integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE started timestamptz; ids bigint[]; ended timestamptz; id bigint;
BEGIN
    started := clock_timestamp();
    IF way = 0 THEN
        ids := ARRAY[timeshard_next_id()];
    ELSIF way = 1 THEN
        SELECT array_agg(made) INTO ids FROM timeshard_next_ids(count) AS made;
    ELSIF way = 2 THEN
        SELECT array_agg(made) INTO ids FROM (SELECT timeshard_next_ids(count) AS made) AS list;
    ELSE
        FOR id IN SELECT timeshard_next_ids(count) LIMIT count / 2 + 1 LOOP
            ids := ids || id;
        END LOOP;
    END IF;
    ended := clock_timestamp();
    INSERT INTO calls (way, started, ids, ended) VALUES (way, started, ids, ended);
END $$;

CREATE FUNCTION ms(at timestamptz) RETURNS bigint IMMUTABLE LANGUAGE sql
    RETURN floor(extract(epoch FROM at) * 1000)::bigint;
CREATE FUNCTION ms(id bigint) RETURNS bigint IMMUTABLE LANGUAGE sql
    RETURN (id >> 22) + 1702385533000;
SQL

# Each is 0 where all is well.
my %wrong = (
    'an ID twice' => 'SELECT count(*) - count(DISTINCT id) FROM calls, unnest(ids) AS id',
    'a batch that does not rise' => 'SELECT count(*) FROM (SELECT id <= lag(id) OVER (PARTITION BY call ORDER BY n) AS falls
        FROM calls, unnest(ids) WITH ORDINALITY AS u (id, n)) AS steps WHERE falls',
    'an ID of another time' => 'SELECT count(*) FROM calls,
        LATERAL (SELECT min(id) AS low, max(id) AS high FROM unnest(ids) AS id) AS ends
        WHERE ms(low) < ms(started) OR ms(high) > ms(ended)',
    # The greatest ID of the calls that have ended runs along in order of time; at
    # the same microsecond a start comes before an end, because such calls overlap.
    'a call below one before it' => 'SELECT count(*) FROM (
        SELECT is_end, id, max(id) FILTER (WHERE is_end) OVER (ORDER BY at, is_end ROWS UNBOUNDED PRECEDING) AS before
        FROM (SELECT started AS at, false AS is_end, (SELECT min(id) FROM unnest(ids) AS id) AS id FROM calls
              UNION ALL SELECT ended, true, (SELECT max(id) FROM unnest(ids) AS id) FROM calls) AS events) AS run
        WHERE NOT is_end AND id <= before');

# Other sessions' IDs lie inside a batch only where they were made meanwhile.
my $interleaved = 'WITH ends AS MATERIALIZED (SELECT way, ids[1] AS first, ids[array_upper(ids, 1)] AS last FROM calls)
    SELECT count(*) FROM ends AS one JOIN ends AS many
    ON one.way = 0 AND many.way > 0 AND one.first > many.first AND one.first < many.last';

sub mixed_calls
{
    my ($node, $longest, $transactions, $name) = @_;
    $node->safe_psql('postgres', 'TRUNCATE calls');
    my $script = <<"PGBENCH";
\\set way random(0, 3)
\\set count random(1, $longest)
SELECT record(:way, :count);
SELECT record(0, 1);
PGBENCH
    my ($rc, $out, $err) = run_pgbench($node, $script, '-c', $sessions, '-j', 2, '-t', $transactions, '--random-seed=7');
    ok($rc == 0 && $out =~ /failed transactions: 0 /, "$name: no error") or diag("$out$err");
    is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT way) FROM calls WHERE array_length(ids, 1) > 0'),
        2 * $sessions * $transactions . '|4', "$name: every call is recorded");
    note("$name: " . $node->safe_psql('postgres', 'SELECT sum(array_length(ids, 1)) FROM calls') . ' IDs');
    is($node->safe_psql('postgres', $wrong{$_}), 0, "$name: never $_") for sort keys %wrong;
    cmp_ok($node->safe_psql('postgres', $interleaved), '>', 0, "$name: others' IDs are made during a batch");
    return;
}

sub node_of_all
{
    my ($node, $bits, $node_id, $name) = @_;
    my ($shift, $mask) = (22 - $bits, (1 << $bits) - 1);
    is($node->safe_psql('postgres', "SELECT DISTINCT (id >> $shift) & $mask FROM calls, unnest(ids) AS id"),
        $node_id, "$name: each carries the node ID");
    return;
}

# The checks can fail: each finds one small change in what was recorded.
sub checks_can_fail
{
    my ($node) = @_;
    my $some = 'call = (SELECT min(call) FROM calls WHERE array_length(ids, 1) > 9)';
    my %change = (
        'an ID twice' => "UPDATE calls SET ids = ids || (SELECT max(ids[1]) FROM calls) WHERE $some",
        'a batch that does not rise' => "UPDATE calls SET ids = ids[1:2] || ids[4:4] || ids[3:3] || ids[5:] WHERE $some",
        'an ID of another time' => "UPDATE calls SET ids = ids || ids[array_upper(ids, 1)] + (1000::bigint << 22) WHERE $some",
        'a call below one before it' => 'UPDATE calls SET ids = ARRAY[ids[1] - (1000::bigint << 22)] WHERE started = (SELECT max(started) FROM calls)');
    for my $name (sort keys %change)
    {
        cmp_ok($node->safe_psql('postgres', "BEGIN; $change{$name}; $wrong{$name}; ROLLBACK"), '>', 0, "is found: $name");
    }
    return;
}

# However it is asked for and whatever it waits for, a batch ends when it is told to.
sub interruptions
{
    my ($node, $waits, $name) = @_;
    my %ask = (
        'in FROM' => 'SELECT count(*) FROM timeshard_next_ids(2147483647)',
        'in the select list' => 'SELECT count(id) FROM (SELECT timeshard_next_ids(2147483647) AS id) AS list',
        'into a table' => 'INSERT INTO taken SELECT timeshard_next_ids(2147483647)');
    $node->safe_psql('postgres', 'CREATE TABLE taken (id bigint)');
    for my $how (sort keys %ask)
    {
        my $session = TimeshardSession->new($node);
        $session->send($ask{$how});
        $session->await_active;
        $session->await_wait if $waits;
        my $start = monotonic();
        $node->safe_psql('postgres', 'SELECT pg_cancel_backend(' . $session->pid . ')');
        my ($out, $err) = $session->receive;
        like($err, qr/^ERROR:  57014: /, "$name, $how: cancelled");
        cmp_ok(monotonic() - $start, '<', $soon, "$name, $how: soon");
        my $next = $session->ask_ok('SELECT timeshard_next_id()');
        is($node->safe_psql('postgres', "SELECT timeshard_next_id() > $next"), 't', "$name, $how: all goes on");
        $session->finish;
    }
    my $session = TimeshardSession->new($node);
    $session->send($ask{'in FROM'});
    $session->await_active;
    my $start = monotonic();
    $node->safe_psql('postgres', 'SELECT pg_terminate_backend(' . $session->pid . ')');
    my ($out, $err) = $session->receive;
    like($err, qr/57P01: terminating connection/, "$name: terminated");
    cmp_ok(monotonic() - $start, '<', $soon, "$name: terminated, soon");
    $session->finish;
    is($node->safe_psql('postgres', 'SELECT count(*) FROM taken; DROP TABLE taken'), 0, "$name: nothing of them is there");
    return;
}

# A cursor holds what it has reserved: others never get it, however long it rests.
sub cursor
{
    my ($node, $name) = @_;
    my ($reader, $other) = map { TimeshardSession->new($node) } 1, 2;
    $reader->ask_ok('BEGIN; DECLARE ids CURSOR FOR SELECT timeshard_next_ids(5000)');
    my (@read, @others);
    for my $part (1 .. 6)
    {
        push @read, split /\n/, $reader->ask_ok('FETCH 10 FROM ids');
        push @others, split /\n/, $other->ask_ok('SELECT timeshard_next_ids(500)');
    }
    push @read, split /\n/, $reader->ask_ok('FETCH ALL FROM ids; COMMIT');
    is(scalar(@read), 5000, "$name, a cursor: reads them all");
    is(scalar(grep { $read[$_] <= $read[ $_ - 1 ] } 1 .. $#read), 0, "$name, a cursor: they rise");
    my %seen = map { $_ => 1 } @read;
    is(scalar(grep { $seen{$_} } @others), 0, "$name, a cursor: nobody else has them");
    $_->finish for $reader, $other;
    return;
}

# How many IDs are used up when a few of a batch are read: in the select list
# about as many, in FROM, which PostgreSQL reads to its end first, all.
sub cut_short
{
    my ($node, $name) = @_;
    my $session = TimeshardSession->new($node);
    my $used = sub {
        my $issued = 'SELECT ids_issued FROM timeshard_stats()';
        my $before = $session->ask_ok($issued);
        $session->ask_ok($_) for @_;
        return $session->ask_ok($issued) - $before;
    };
    my ($list, $from) = ('SELECT timeshard_next_ids(20000)', 'SELECT * FROM timeshard_next_ids(20000)');
    my @cursor = ('BEGIN; DECLARE ids CURSOR FOR', '; FETCH 2 FROM ids; COMMIT');
    cmp_ok($used->("$list LIMIT 2"), '<=', 1024, "$name, the select list, LIMIT 2: a run");
    cmp_ok($used->("$cursor[0] $list $cursor[1]"), '<=', 1024, "$name, the select list, a cursor: a run");
    is($used->("$from LIMIT 2"), 20000, "$name, FROM, LIMIT 2: all");
    is($used->("$cursor[0] $from $cursor[1]"), 20000, "$name, FROM, a cursor: all");
    $session->finish;
    return;
}

my $node = new_cluster('batches', conf => <<'CONF');
timeshard.node_id = 345
max_connections = 50
max_wal_size = 2GB
autovacuum = off
temp_file_limit = 1GB
CONF
$node->safe_psql('postgres', $schema);

my @layouts = (
    # node ID bits, node ID, longest batch, transactions of each session
    [ 10, 345, 5000, 20 ],
    [ 16, 65535, 300, 25 ],
    [ 1, 1, 5000, 20 ]);
for my $layout (@layouts)
{
    my ($bits, $node_id, $longest, $transactions) = @$layout;
    my $name = "$bits bits";
    $node->append_conf('postgresql.conf', "timeshard.node_id = $node_id\ntimeshard.node_id_bits = $bits");
    restart_with_env($node);
    mixed_calls($node, $longest, $transactions, $name);
    node_of_all($node, $bits, $node_id, $name);
    checks_can_fail($node) if $bits == 10;
    interruptions($node, $bits == 16, $name);
    cursor($node, $name);
    cut_short($node, $name);
}
unlike(log_of($node), qr/clock is .* behind/, 'no session saw a clock error');

$node->stop;
done_testing();
