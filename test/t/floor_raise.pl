# timeshard_raise_floor(): only up, durable before it returns, under load, refused
# where it could only do harm, and how one that was a mistake is undone.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use FaultKit;
use MarkFile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC CLOCK_REALTIME);
use Timeshard;
use TimeshardSession;

my $next = 'SELECT timeshard_next_id()';
my $node = fault_cluster('floor', clock => 1, shim => 0, init => [ allows_streaming => 1 ],
    conf => "timeshard.node_id = 22\ntimezone = 'UTC'\n");
my @sets;

# The smallest ID of the millisecond so many ms ahead of the server's clock.
sub id_ahead
{
    my ($ms, $at) = @_;
    my $now = $at // int(clock_gettime(CLOCK_REALTIME) * 1000);
    return ($now - $MarkFile::epoch + $ms) << 22;
}

sub raise_floor
{
    my ($id, $session) = @_;
    my $sql = "SELECT timeshard_raise_floor($id)";
    return $session ? $session->ask_ok($sql) : $node->safe_psql('postgres', $sql);
}

# The first ID that is issued, as soon as one is.
sub await_id
{
    my $id;
    ok(eventually(sub { $id = ($node->psql('postgres', $next))[1]; $id ne '' }), "$_[0]: IDs are issued again");
    return $id;
}

# Only up, by its own millisecond as a whole.
my $id = $node->safe_psql('postgres', $next);
my $last = $node->safe_psql('postgres', $next);
my $end = mark_of($node)->{end};
for my $low (0, 1, $id)
{
    raise_floor($low);
    cmp_ok(mark_of($node)->{end}, '>=', $end, "raised to $low: the mark is not lowered");
    my $after = $node->safe_psql('postgres', $next);
    cmp_ok($after, '>', $last, "raised to $low: nor the IDs");
    $last = $after;
}
my $mark_before = mark_of($node)->{end};
raise_floor($last);
cmp_ok(mark_of($node)->{end}, '>=', $mark_before, 'raised to the last ID: the mark is not lowered');
$id = $node->safe_psql('postgres', $next);
cmp_ok(offset_of($id), '>', offset_of($last), 'raised to the last ID: the next is in a later millisecond');

# What is refused.
$node->safe_psql('postgres', 'CREATE ROLE plain LOGIN; CREATE ROLE trusted LOGIN;
    GRANT EXECUTE ON FUNCTION timeshard_raise_floor TO trusted');
my $as = sub { { psql => { extra_params => [ '-U', $_[0] ] } } };
fails_with($node, "SELECT timeshard_raise_floor($last)", qr/ERROR:  42501: permission denied for function timeshard_raise_floor/,
    'not for PUBLIC', %{ $as->('plain') });
is(($node->psql('postgres', "SELECT timeshard_raise_floor($last)", extra_params => [ '-U', 'trusted' ]))[0], 0,
    'but for whom it is granted');
fails_with($node, 'SELECT timeshard_raise_floor(-1)', qr/ERROR:  22023: ID must not be negative/, 'a negative ID');
my $before = mark_bytes($node);
for my $id (id_ahead(86_400_000 + 2000), 9223372036854775807)
{
    fails_with($node, "SELECT timeshard_raise_floor($id)", qr/ERROR:  22023: ID is more than a day ahead of the clock\nDETAIL:  It carries the time 20\d\d-/,
        "an ID more than a day ahead ($id)");
}
is(mark_bytes($node), $before, 'and nothing is written');
my (undef, undef, $warning) = $node->psql('postgres', 'SELECT timeshard_raise_floor(max(id)) FROM unnest(ARRAY[]::bigint[]) AS id');
like($warning, qr/WARNING:  timeshard's floor has not been raised: the ID is null\nDETAIL:  max\(id\) is null if a table has no rows/, 'null is told of');
is(mark_bytes($node), $before, 'and nothing is written for it');

$node->stop;
$before = mark_bytes($node);
append_to_file($node->data_dir . '/standby.signal', '');
start_with_env($node);
fails_with($node, "SELECT timeshard_raise_floor($last)", qr/ERROR:  25006: cannot execute timeshard_raise_floor\(\) during recovery/,
    'during recovery');
is(mark_bytes($node), $before, 'nor is anything written there');
$node->stop;
unlink $node->data_dir . '/standby.signal';
start_with_env($node);

# Durable when it returns: all of the server dies at once, and its clock is set
# back; before the first ID of a run and after.
for my $case ([ 'before the first ID', 0, 2000 ], [ 'after the first ID', 1, 2500 ], [ 'twice', 1, 1500, 3000 ], [ 'far', 0, 4000 ])
{
    my ($name, $first, @ahead) = @$case;
    $name = injected("killed after a floor, $name");
    $node->stop('immediate');
    start_with_env($node);
    $last = $node->safe_psql('postgres', $next) if $first;
    my $session = TimeshardSession->new($node);
    $session->ask_ok("SELECT 'timeshard_next_id'::regproc; LOAD 'timeshard'");
    my $raised;
    for my $ms (@ahead)
    {
        $raised = id_ahead($ms) + 12345;
        raise_floor($raised, $session);
    }
    kill9_all($node);
    $session->finish;
    cmp_ok(mark_of($node)->{end}, '>=', offset_of($raised), "$name: it is on disk");
    set_clock($node, '-1h');
    restart_now($node);
    fails_with($node, $next, qr/ERROR:  55000: clock is 3\d\d\d\.\d+ s behind what earlier runs of this server reserved/,
        "$name: the clock an hour back is seen");
    set_clock($node, '+0');
    $last = await_id($name);
    cmp_ok(offset_of($last), '>', offset_of($raised), "$name: above it");
}

# Under load. No call that starts after it gets an ID up to it, nor one of the
# future; below the window nobody is refused.
sub raise_under_load
{
    my ($ms, $refused) = @_;
    my $name = injected("raised by $ms ms under load");
    my $writers = start_writers($node, count => 4);
    push @sets, $writers;
    my $session = TimeshardSession->new($node);
    my $raised = id_ahead($ms);
    my $from = clock_gettime(CLOCK_MONOTONIC);
    raise_floor($raised, $session);
    my $returned = clock_gettime(CLOCK_MONOTONIC);
    $session->finish;
    ok($writers->await_progress, "$name: all sessions are served");
    my $figures = check_ids($node, $writers, { name => $name });
    is(join(' ', sort keys %{ $figures->{errors} }), $refused ? '55000' : '', "$name: "
          . ($refused ? 'sessions are refused for a while' : 'nobody is refused'));
    like("@{ $figures->{messages}{55000} }", qr/clock is \S+ s behind the floor/, "$name: and told why") if $refused;

    my $realtime = clock_gettime(CLOCK_REALTIME) - clock_gettime(CLOCK_MONOTONIC);
    my ($in_between, $future, $above) = (0, 0, 0);
    for my $log ($writers->logs)
    {
        for (grep { /^I / } split /\n/, slurp_file($log))
        {
            my (undef, undef, undef, $start, $end, @ids) = split / /;
            $in_between += grep { $_ <= $raised && $start / 1e9 > $returned } @ids;
            $above += grep { $_ > $raised } @ids;
            # Two readings of two clocks, a call apart, differ by less than 2 ms.
            $future += grep { $MarkFile::epoch + ($_ >> 22) > ($end / 1e9 + $realtime) * 1000 + 2 } @ids;
        }
    }
    is($in_between, 0, "$name: no call that starts later gets an ID below");
    is($future, 0, "$name: no ID is of the future");
    cmp_ok($above, '>', 0, "$name: IDs are issued above");
    return;
}
raise_under_load(300, 0);
raise_under_load(800, 0);
raise_under_load(3000, 1);
raise_under_load(-200, 0);
is($node->safe_psql('postgres', 'SELECT clock_waits FROM timeshard_stats()'), 0, 'a wait for the floor is none for the clock');

# By mistake. No ID is issued up there, so that it can be undone.
for my $case ([ 'ten minutes', 600_000 ], [ 'nearly a day', 86_400_000 - 2000 ])
{
    my ($name, $ms) = @$case;
    $name = injected("raised by mistake, $name");
    my $writers = start_writers($node, count => 3, pause => 500);
    push @sets, $writers;
    my $raised = id_ahead($ms);
    ok($writers->await_error(qr/^55000 clock is \d+\.\d+ s behind the floor/, sub { raise_floor($raised) }),
        "$name: sessions are refused");
    my $text = time_text(offset_of($raised));
    fails_with($node, $next, qr/ERROR:  55000: clock is \d+\.\d+ s behind the floor\nDETAIL:  IDs of up to \Q$text\E may have been issued, the clock reads/,
        "$name: the error says until when");
    restart_with_env($node);
    fails_with($node, $next, qr/ERROR:  55000: clock is \d+\.\d+ s behind what earlier runs of this server reserved\nDETAIL:  IDs of up to \Q$text\E may have been issued/,
        "$name: also after a restart");
    $node->stop;
    unlink mark_path($node) or die 'there is no mark';
    start_with_env($node);
    ok($writers->await_progress, "$name: undone, all sessions are served");
    my $figures = check_ids($node, $writers, { name => $name });
    cmp_ok($figures->{greatest}, '<', $raised, "$name: undone, below the floor of before");
}

is_deeply(read_logs([ map { $_->logs } @sets ])->{violations}, {}, 'all writers together: nothing repeats, order holds');
$node->stop;
report_figures();
done_testing();
