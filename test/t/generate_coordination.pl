# P6: no table, sequence, lock manager, WAL record or system call on the way to
# an ordinary ID.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;
use TimeshardSession;
use Time::HiRes qw(time);

# One node bit: two million IDs a millisecond, so that no call ever has to sleep
# for the next one. Nothing else writes: what moves is the generator's doing.
my $node = new_cluster('coordination', conf => <<'CONF');
timeshard.node_id = 1
timeshard.node_id_bits = 1
autovacuum = off
checkpoint_timeout = 1h
bgwriter_lru_maxpages = 0
wal_level = minimal
max_wal_senders = 0
jit = off
CONF

# The same statement with a function that gives a constant is what everything is
# measured against. It is written in C, volatile and without arguments too.
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION constant() RETURNS int VOLATILE PARALLEL SAFE STRICT LANGUAGE internal AS 'pg_backend_pid';
CREATE SEQUENCE numbers;
CREATE VIEW held AS SELECT locktype, relation::regclass, mode FROM pg_locks
    WHERE pid = pg_backend_pid() ORDER BY locktype, relation, mode;
CHECKPOINT;
SQL

my $session = TimeshardSession->new($node);
my %calls = (
    'timeshard_next_id()' => 'bigint',
    "timeshard_next_id_with_prefix('TXN_')" => 'text',
    "timeshard_prefix_at('-', 4)" => 'text');

# Two small series rather than a long one, which the server would write down
# before the first call.
sub many
{
    my ($call, $count) = @_;
    my $inner = $count < 1000 ? $count : 1000;
    return sprintf('SELECT count(%s) FROM generate_series(1, %d) AS a, generate_series(1, %d) AS b',
        $call, $count / $inner, $inner);
}

# Every record moves it on, whoever writes it. (pg_stat_wal counts what others wrote
# before, and report late.)
sub wal_state { return $session->ask_ok('SELECT pg_current_wal_insert_lsn()') }

$session->ask_ok(many($_, 10)) for keys %calls, 'constant()', "nextval('numbers')";

# WAL

for my $call (sort keys %calls)
{
    my $before = wal_state();
    is($session->ask_ok(many($call, 1_000_000)), 1_000_000, "$call: a million calls");
    is(wal_state(), $before, "$call: no WAL");
}
my $before = wal_state();
$session->ask_ok(many("nextval('numbers')", 100));
isnt(wal_state(), $before, 'a sequence is seen in the WAL');

# Transactions: an ID alone must not need a transaction ID.
is( $session->ask_ok('BEGIN READ ONLY; SELECT count(timeshard_next_id()) FROM generate_series(1, 1000);'
          . ' SELECT pg_current_xact_id_if_assigned() IS NULL; COMMIT'),
    "1000\nt", 'no transaction ID is taken, in a read-only transaction');

# Locks, both at the end of a transaction, where all but page and extension locks
# are still held, and from a second session in the middle of the statement.

sub locks_after
{
    my ($call) = @_;
    my ($out) = $session->ask_ok('BEGIN; ' . many($call, 1000) . '; SELECT * FROM held; COMMIT') =~ /^\d+\n(.*)/s;
    return $out;
}

sub locks_during
{
    my ($call) = @_;
    my $pid = $session->pid;
    $session->send(many($call, 2_000_000_000));
    $session->await_active;
    my %seen;
    for (1 .. 20)
    {
        $seen{$_}++ for split /\n/, $node->safe_psql('postgres',
            "SELECT locktype, relation::regclass, mode FROM pg_locks WHERE pid = $pid");
    }
    $node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
    my ($out, $err) = $session->receive;
    like($err, qr/57014/, "$call: ran all the while");
    return join "\n", map { /virtualxid/ ? 'virtualxid||ExclusiveLock' : $_ } sort keys %seen;
}

my $locks_after = locks_after('constant()');
my $locks_during = locks_during('constant()');
for my $call (sort keys %calls)
{
    is(locks_after($call), $locks_after, "$call: holds no lock of its own after it");
    is(locks_during($call), $locks_during, "$call: holds no lock of its own during it");
}
isnt(locks_after("nextval('numbers')"), $locks_after, 'a sequence is seen in the locks');

# System calls. The server starts under strace, because many machines let a
# process trace its own children only.

$session->finish;
$node->stop;

my $trace = $node->basedir . '/trace';

# The system calls of one statement in the session, by name and number: from the
# arrival of the query to the sending of its answer.
sub system_calls
{
    my ($tag, $statement) = @_;
    $session->ask_ok("$statement -- $tag");
    my (%count, $running);
    for (split /\n/, slurp_file($trace))
    {
        my ($pid, $call) = /^(\d+) +(?:<\.\.\. )?(\w+)[( ]/ or next;
        next unless $pid == $session->pid;
        $running = 1 if $call eq 'recvfrom' && /-- $tag\b/;
        last if $running && $call eq 'sendto';
        $count{$call}++ if $running && !/<unfinished/;
    }
    return \%count;
}

SKIP:
{
    my $allowed = eval { run_log([ 'strace', '-o', $trace, 'true' ]) };
    diag('strace does not run on this machine: THE SYSTEM CALLS OF AN ID ARE NOT TESTED') unless $allowed;
    skip 'strace does not run on this machine', 1 unless $allowed;

    my $strace = IPC::Run::start(
        [ 'strace', '-f', '-s', '200', '-o', $trace, 'postgres', '-D', $node->data_dir ],
        '<', \undef, '>>', $node->logfile, '2>&1');
    await_server($node) or die 'the server does not start under strace';
    $node->_update_pid(1);

    # The memory that such a statement needs is there after the first.
    $session = TimeshardSession->new($node);
    my $baseline;
    $baseline = system_calls("baseline_$_", many('constant()', 200_000)) for 1 .. 2;
    note explain $baseline;
    ok($baseline->{recvfrom}, 'strace sees the statement arrive');
    $session->ask_ok(many($_, 10)) for keys %calls;

    my $check = sub {
        my ($tag, $count, $call, $name) = @_;
        my $start = time;
        my $seen = system_calls($tag, many($call, $count));
        # The mark is written twice a second, in two places each time.
        my $writes = 2 * (2 * (time - $start) + 1);
        note explain $seen;
        # Memory may come and go by a few calls; anything done for an ID, or for
        # every thousandth, would come to far more.
        my @extra = grep {
            $seen->{$_} > ($baseline->{$_} // 0) + (/^(?:brk|mmap|munmap|madvise)$/ ? 100 : 0)
              + (/^(?:openat|pwrite64|newfstatat|fstat|close)$/ ? $writes : 0)
        } grep { !/^(?:select|pselect6|nanosleep|clock_nanosleep|restart_syscall)$/ } sort keys %$seen;
        return is("@extra", '', $name);
    };

    $check->("call_$_", 200_000, (sort keys %calls)[$_], (sort keys %calls)[$_] . ': no system call but sleeps')
      for 0 .. keys(%calls) - 1;

    # A lock inside the server is taken without a system call while nobody else
    # wants it; in a crowd it sleeps in the kernel, now and then.
    my @crowd = map { TimeshardSession->new($node) } 1 .. 3;
    $_->send(many('timeshard_next_id()', 2_000_000_000)) for @crowd;
    $_->await_active for @crowd;
    $check->('crowd', 10_000_000, 'timeshard_next_id()', 'in a crowd: no system call but sleeps');
    $node->safe_psql('postgres', 'SELECT pg_cancel_backend(' . $_->pid . ')') for @crowd;
    like(($_->receive)[1], qr/57014/, 'the crowd ran all the while') for @crowd;

    my $slept = system_calls('sleeper', many('pg_sleep(0.001)', 20));
    cmp_ok($slept->{epoll_wait} // 0, '>=', 10, 'strace sees the calls of a function that makes some');

    $_->finish for $session, @crowd;
    $node->stop;
    $strace->finish;
}

done_testing();
