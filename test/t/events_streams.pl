# The horizon, as those use it who follow a table by polling: whatever writers do,
# and whatever befalls them and the server, each reader sees every committed event
# once and in order. A reader without the horizon, in the same run, loses some.
# EVENT_SECONDS in the environment sets how long the writers write.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use ClientPrograms qw(await_lines errors_of);
use EventStreams;
use List::Util qw(max sum0);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;
use TimeshardSession;
use Time::HiRes qw(usleep);

my $seconds = $ENV{EVENT_SECONDS} || 60;
my $writers = 16;

# How much later than the longest transaction's end an answer may tell of it, in
# ms: two busy processors serve thirty processes.
my $slack = 2000;

# Commits and the mark wait for the disk, as they do in earnest: that is when the
# steps of two sessions interleave.
my $node = new_cluster('events', conf => <<'CONF');
timeshard.node_id = 900
max_prepared_transactions = 30
max_connections = 60
restart_after_crash = on
fsync = on
autovacuum_naptime = 10
log_min_messages = log
CONF
prepare_events($node);

like($node->safe_psql('postgres', 'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;
    EXPLAIN (COSTS OFF) CREATE TEMP TABLE made AS SELECT event_own_next_id() AS id FROM event_source'),
    qr/Gather.*Parallel Seq Scan/s, 'workers take IDs in parallel queries');

my ($writer_set, $reader_of) = start_clients($node, $writers, qw(memory memory2 transaction table naive));
my $writer_logs = [ $writer_set->logs ];
my $readers = { map { $_ => $reader_of->{$_}->logs } keys %$reader_of };
my @followers = @$readers{ grep { $_ ne 'naive' } sort keys %$readers };
ok(await_lines(qr/^T/m, $writer_logs) && await_lines(qr/^R/m, [ values %$readers ]), 'writers write and readers read');

# Until then, ends or cancels what a writer does, and now and then a reader.
my %disturbed = (pg_terminate_backend => 0, pg_cancel_backend => 0);

sub disturb_until
{
    my ($end) = @_;
    while (monotonic() < $end)
    {
        my $how = rand() < 0.4 ? 'pg_terminate_backend' : 'pg_cancel_backend';
        my $of = rand() < 0.2 ? "<> 'event_writer'" : "= 'event_writer'";
        my $state = $how =~ /cancel/ ? "state = 'active'" : 'true';
        $disturbed{$how} += $node->safe_psql('postgres',
            "SELECT count($how(pid)) FROM (SELECT pid FROM pg_stat_activity
             WHERE application_name ~ '^event_' AND application_name $of AND $state ORDER BY random() LIMIT 1) AS victim");
        usleep(100_000 + rand 300_000);
    }
    return;
}

# Sessions that have taken an ID once and hold nothing back any more: one is idle,
# the other in a transaction that takes none.
my @resting;

sub rest
{
    $_->finish for @resting;
    @resting = map { TimeshardSession->new($node) } 1, 2;
    $_->ask_ok('INSERT INTO events (writer) VALUES (0)') for @resting;
    $resting[1]->ask_ok('BEGIN; SELECT count(*) FROM event_cursor');
    return;
}

# A fault of the server while a prepared transaction is open: until it is finished
# there is no answer, since nobody knows of its IDs any more. Then all goes on.
my @held;

sub fault
{
    my ($name, $fault) = @_;
    my $start = monotonic();
    my $gid = 'held_' . @held . '_9000000000000000000';
    $node->safe_psql('postgres', "BEGIN; INSERT INTO events (writer) VALUES (0); PREPARE TRANSACTION '$gid'");
    $fault->();
    push @held, (monotonic() - $start) * 1000;
    ok(await_lines(qr/^E \d+ 55000 .*prepared before the server's start/m, \@followers, sub { }),
        "$name: nobody is told a horizon past an earlier prepared transaction");
    $node->safe_psql('postgres', "COMMIT PREPARED '$gid'");
    ok(await_lines(qr/^T .* committed$/m, $writer_logs, sub { }), "$name: all writers go on");
    ok(await_lines(qr/^R/m, [ values %$readers ], sub { }), "$name: all readers go on");
    return;
}

# Kills a writer in the middle of a transaction that has taken IDs.
sub kill_writer
{
    my $offset = -s $node->logfile;
    eventually(sub {
        my $pid = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE application_name = 'event_writer'
            AND state = 'idle in transaction' AND backend_xid IS NOT NULL ORDER BY random() LIMIT 1");
        return $pid ne '' && kill 'KILL', $pid;
    }) or die 'there is no writer to kill';
    ok(eventually(sub { slurp_file($node->logfile, $offset) =~ /reinitializing/ }), 'the server restarts after a crash');
    await_server($node) or die 'the server did not come back';
    return;
}

# From then on preloaded, with another node ID.
sub restart_preloaded
{
    configure($node, 'timeshard.node_id = 7', "shared_preload_libraries = 'timeshard'");
    restart_with_env($node);
    is($node->safe_psql('postgres', 'SELECT preloaded, node_id FROM timeshard_config()'), 't|7', 'preloaded, another node ID');
    return;
}

my $start = monotonic();
rest();
disturb_until($start + 0.4 * $seconds);
fault('crash', \&kill_writer);
rest();
disturb_until($start + 0.7 * $seconds);
fault('restart', \&restart_preloaded);
rest();
disturb_until($start + $seconds);

is($writer_set->alive, $writers, 'all writers are there to the end');
$writer_set->stop;
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'event_writer'"),
    'their sessions have ended');
$node->safe_psql('postgres', "COMMIT PREPARED '$_'")
  for split /\n/, $node->safe_psql('postgres', 'SELECT gid FROM pg_prepared_xacts');

my $stopped = monotonic();
my @table = split /\n/, $node->safe_psql('postgres', 'SELECT id FROM events ORDER BY id');
ok(eventually(sub { !grep { cursor_of($_) <= $table[-1] } @followers }), 'the horizon passes the last event');
ok(eventually(sub { poll_after($readers->{naive}, $stopped) }), 'the reader without it has read to the end');
is(sum0(map { $_->alive } values %$reader_of), 5, 'all readers are there to the end');
$_->stop for values %$reader_of;
$_->finish for @resting;

# What came of it.
my ($transactions, $longest) = transactions_of(@$writer_logs);
for my $kind (qw(plain savepoint error caught procedure batch handed copy parallel finished))
{
    cmp_ok($transactions->{"$kind committed"} // 0, '>', 0, "committed: $kind");
}
cmp_ok($transactions->{"$_ undone"} // 0, '>', 0, "undone: $_") for qw(plain savepoint batch finished);
cmp_ok($disturbed{$_}, '>', 0, "$_ hits sessions") for sort keys %disturbed;
my $expected = join '|', '08006', '22012', '23505', '57014', '57P0[123]', '53300', '42704 .*does not exist', '55000 .*is busy',
  '53200 .*maximum number of prepared', "55000 .*prepared before the server's start";
my %errors = errors_of(@$writer_logs, values %$readers);
my @unexpected = grep { $_ !~ /^(?:$expected)/ } sort keys %errors;
is(scalar(@unexpected), 0, 'nobody has other errors than those that are made') or diag(join "\n", @unexpected[0 .. ($#unexpected < 9 ? $#unexpected : 9)]);
note("$errors{$_} times $_") for sort { $errors{$b} <=> $errors{$a} } keys %errors;

for my $kind (sort keys %$readers)
{
    my @seen = $kind eq 'table'
      ? split(/\n/, $node->safe_psql('postgres', 'SELECT id FROM event_copies ORDER BY n'))
      : ids_read($readers->{$kind});
    my $wrong = compare_stream(\@seen, \@table);
    if ($kind eq 'naive')
    {
        my $lost = @{ $wrong->{missing} };
        cmp_ok($lost, '>', 0, 'without the horizon, events are lost');
        diag(sprintf "without the horizon %d of %d events are lost", $lost, scalar @table);
        next;
    }
    for my $what (sort keys %$wrong)
    {
        my @ids = @{ $wrong->{$what} };
        is(scalar(@ids), 0, "$kind: no event is $what")
          or diag("@ids[ 0 .. ($#ids < 9 ? $#ids : 9) ]");
    }
}

# The comparisons find what is wrong.
is_deeply(compare_stream([ 1, 3, 2, 3, 9 ], [ 1, 2, 3, 4 ]),
    { missing => [4], again => [3], strange => [9], disorder => [2] }, 'a stream that is wrong in each way is found so');
is(falls_of([ 1, 2, 10 ], [ 2, 4, 9 ], [ 5, 6, 9 ], [ 5, 7, 10 ]), 1, 'an answer that fell is found, of those asked for afterwards');

my @answers = answers_of(@followers);
is(falls_of(@answers), 0, 'no answer is below one that came before it, in any session');
my @lags = sort { $a <=> $b } map { $_->[3] / 1000 } @answers;
my $bound = max(values %$longest, @held) + $slack;
cmp_ok($lags[0], '>=', 0, 'the horizon is never ahead of the clock');
cmp_ok($lags[-1], '<', $bound, 'the horizon keeps up with the longest transaction');
my @told = lags_of(@followers);
cmp_ok(scalar(@told), '>', 0, 'timeshard_stats() tells the lag');
cmp_ok(max(@told, 0) / 1000, '<', $bound, 'and none that is longer');

diag(sprintf '%d events of %d transactions committed and %d undone or failed, in %d s', scalar @table,
    sum0(map { $transactions->{$_} } grep { / committed$/ } keys %$transactions),
    sum0(map { $transactions->{$_} } grep { / (?:undone|failed)$/ } keys %$transactions), $seconds);
diag(sprintf '%d sessions terminated, %d cancelled, one killed', @disturbed{qw(pg_terminate_backend pg_cancel_backend)});
diag(sprintf 'lag of %d answers: median %.0f ms, largest %.0f ms; the longest transaction took %.0f ms',
    scalar @lags, $lags[ @lags / 2 ], $lags[-1], max(values %$longest, @held));
note("$_: $transactions->{$_}") for sort keys %$transactions;

$node->stop;
done_testing();
