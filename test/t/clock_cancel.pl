# Waits that last: a millisecond that is used up on a clock that stands still,
# and a clock that is many seconds behind. Both are cancelled, timed out and
# terminated like any statement, and end with the server.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use POSIX qw(strftime);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;
use TimeshardSession;

# With 16 node bits a millisecond holds 64 IDs.
my $node = new_cluster('cancel', clock => 1, conf => <<'CONF');
timeshard.node_id = 6
timeshard.node_id_bits = 16
timeshard.max_clock_wait = 60s
timeshard.max_clock_jump = 0
CONF

# Far below the minute that the waits could last.
my $soon = 2;

# The second of the last ID, if there is to be one, and where in the millisecond
# the clock stands: at its start and near its end are two kinds of sleep.
my $many = 'SELECT count(timeshard_next_id()) FROM generate_series(1, 1000)';
my @situations = (
    [ 'an exhausted millisecond', $many, undef, '' ],
    [ 'the same near its end', $many, undef, '.0009' ],
    [ 'a clock behind', "SELECT timeshard_next_id_with_prefix('TXN_')", 30, '' ]);

# The year makes every instant the latest yet.
my $year = 2030;

sub stand_clock
{
    my ($second, $fraction) = @_;
    set_clock($node, sprintf('%d-02-01 00:00:%02d%s', $year, $second, $fraction));
    return;
}

sub enter
{
    my ($last_id_at, $fraction) = @_;
    $year++;
    if (defined $last_id_at)
    {
        stand_clock($last_id_at, '');
        $node->safe_psql('postgres', 'SELECT timeshard_next_id()');
    }
    stand_clock(0, $fraction);
    return;
}

# On to a clock that goes.
sub leave
{
    $year++;
    set_clock($node, "\@$year-01-01 00:00:00");
    return;
}

# statement_timeout comes first: libfaketime gives the true time to a signal that
# interrupts a sleep, so that the timer needs a clock near the true time.
for my $situation (@situations)
{
    my ($name, $sql, $last_id_at, $fraction) = @$situation;
    my $session = TimeshardSession->new($node);
    if (defined $last_id_at)
    {
        set_clock($node, "+$last_id_at");
        $session->ask_ok($sql);
        set_clock($node, '+0');
    }
    else
    {
        set_clock($node, strftime('%Y-%m-%d %H:%M:%S', localtime(time + 1)) . $fraction);
    }
    my $start = monotonic();
    my ($out, $err) = $session->ask("SET statement_timeout = '300ms'; $sql");
    like($err, qr/^ERROR:  57014: canceling statement due to statement timeout/, "$name: timed out");
    cmp_ok(monotonic() - $start, '<', 1 + $soon, "$name: timed out, soon");
    cmp_ok(monotonic() - $start, '>', 0.3, "$name: timed out, not before");
    leave() if defined $last_id_at;
    set_clock($node, '+0') unless defined $last_id_at;
    is($session->ask_ok('RESET statement_timeout; SELECT timeshard_next_id() > 0'), 't', "$name: the session goes on");
    $session->finish;
}

for my $situation (@situations)
{
    my ($name, $sql, @clock) = @$situation;
    my $session = TimeshardSession->new($node);
    my $pid = $session->pid;
    my $ended;

    my $wait = sub {
        enter(@clock);
        $session->send($sql);
        $session->await_wait;
        $ended = monotonic();
    };
    # 17 lets an extension name what it waits for.
    my $event = $server_major < 17 ? 'Extension' : 'TimeshardClock';
    my $cancelled = sub {
        my ($how) = @_;
        my ($out, $err) = $session->receive;
        like($err, qr/^ERROR:  57014: /, "$name: $how");
        cmp_ok(monotonic() - $ended, '<', $soon, "$name: $how, soon");
        leave();
        is($session->ask_ok('SELECT timeshard_next_id() > 0'), 't', "$name: the session goes on");
    };

    $wait->();
    ok($session->await("wait_event = '$event'"), "$name: it is told what the session waits for");
    $ended = monotonic();
    is($node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)"), 't', "$name: cancel is sent");
    $cancelled->('cancelled');

    # In a transaction with a savepoint, which survives it.
    $session->ask_ok('BEGIN; CREATE TEMP TABLE kept(); SAVEPOINT before');
    $wait->();
    $node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
    my ($out, $err) = $session->receive;
    like($err, qr/^ERROR:  57014: /, "$name: cancelled in a subtransaction");
    leave();
    is( $session->ask_ok('ROLLBACK TO before; SELECT timeshard_next_id() > 0; COMMIT; SELECT count(*) FROM kept'),
        "t\n0", "$name: the transaction goes on");

    $wait->();
    $node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
    ($out, $err) = $session->receive;
    like($err, qr/57P01: terminating connection/, "$name: terminated");
    cmp_ok(monotonic() - $ended, '<', $soon, "$name: terminated, soon");
    $session->finish;
    leave();
}

# The server goes while many sessions wait: none is left behind.

sub is_alive
{
    my ($pid) = @_;
    return kill(0, $pid) && (eval { slurp_file("/proc/$pid/stat") } // ') Z ') !~ /\) Z /;
}

my @ways = (
    [ 'fast shutdown', sub { $node->stop('fast') } ],
    [ 'immediate shutdown', sub { $node->stop('immediate') } ],
    [ 'kill -9 of the postmaster', sub { $node->kill9 } ]);

for my $situation (@situations)
{
    my ($name, $sql, @clock) = @$situation;
    for my $way (@ways)
    {
        my ($how, $stop) = @$way;
        my @sessions = map { TimeshardSession->new($node) } 1 .. 3;
        enter(@clock);
        $_->send($sql) for @sessions;
        $_->await_wait for @sessions;
        my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
        my @processes = split /\n/, $node->safe_psql('postgres', 'SELECT pid FROM pg_stat_activity');

        $stop->();
        my $start = monotonic();
        my @left;
        eventually(sub {
            @left = grep { is_alive($_) } map { $_->pid } @sessions;
            return !@left || monotonic() - $start > 5;
        });
        is("@left", '', "$name, $how: no session is left");
        cmp_ok(monotonic() - $start, '<', $soon, "$name, $how: they are gone soon");
        kill 'QUIT', @left;
        $_->finish for @sessions;
        leave();

        # A killed postmaster is in the way of the next until it has been reaped,
        # and its processes until the last of them is gone.
        eventually(sub { !kill(0, $postmaster) && !grep { is_alive($_) } @processes });
        start_with_env($node);
        is($node->safe_psql('postgres', 'SELECT timeshard_next_id() > 0'), 't', "$name, $how: a new start goes on");
    }
}
$node->stop;

done_testing();
