# The clock: P4 (wait within timeshard.max_clock_wait, else refuse; bounded,
# whatever the clock does meanwhile) and P5 (no false alarm on a healthy clock).
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use POSIX qw(strftime);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use Timeshard;
use TimeshardSession;

# With 16 node bits a millisecond holds 64 IDs and is soon used up.
my $node = new_cluster('clock', clock => 1, conf => <<'CONF');
timeshard.node_id = 5
timeshard.node_id_bits = 16
log_min_duration_statement = -1
CONF
my $began = monotonic();
my $session = TimeshardSession->new($node);
$session->ask_ok("LOAD 'timeshard'");    # before that it knows no setting of ours

my $refusal = qr/^ERROR:  55000: clock is [\d.]+ s behind the last ID\nDETAIL:  .+\.\nHINT:  .+\./;
my $last_id = 0;
my $rises = 1;

# Takes an ID or a refusal, waits measured on a clock that nobody steps. Every ID
# of this file comes through here, and must be above the one before.
sub take
{
    my ($sql) = @_;
    my $start = monotonic();
    my ($out, $err) = $session->ask($sql // 'SELECT timeshard_next_id()');
    my $lasted = monotonic() - $start;
    if ($err eq '')
    {
        $rises = 0 unless $out =~ /^\d+$/ && $out > $last_id;
        $last_id = $out;
    }
    return ($err, $lasted);
}

# What a refusal says of its wait, in ms.
sub waited
{
    my ($err) = @_;
    my ($waited) = $err =~ /this call has waited ([\d.]+) s/;
    return defined $waited ? 1000 * $waited : -1;
}

sub max_clock_wait
{
    my ($setting) = @_;
    $node->append_conf('postgresql.conf', "timeshard.max_clock_wait = $setting");
    $node->reload;
    eventually(sub { $session->ask_ok('SHOW timeshard.max_clock_wait') eq $setting })
      or die 'the setting does not arrive';
    return;
}

# Stands the clock still so many seconds after $instant.
my $instant;

sub stand_clock
{
    my ($seconds) = @_;
    my $us = sprintf('%.0f', ($instant + $seconds) * 1e6);
    set_clock($node, strftime('%Y-%m-%d %H:%M:%S', localtime(int($us / 1e6))) . sprintf('.%06d', $us % 1e6));
    return;
}

# Steps of a clock that goes on: the length of the step, the setting, and what
# happens while the clock is wrong.
for my $case (
    [ '-0.05', '100ms', 'waits' ],
    [ '-1', '100ms', 'refuses' ],
    [ '-3600', '100ms', 'refuses' ],
    [ '-1', '0', 'refuses' ],
    [ '-3600', '0', 'refuses' ],
    [ '-1', '5s', 'waits' ],
    [ '-3600', '5s', 'refuses' ])
{
    my ($step, $setting, $expected) = @$case;
    my $name = "a step of $step s, max_clock_wait $setting";

    max_clock_wait($setting);
    my $start = monotonic();
    is((take())[0], '', "$name: healthy before");
    set_clock($node, $step);
    my ($err, $lasted) = take();

    if ($expected eq 'waits')
    {
        # The gap closes when the clock has run through the step again; the last
        # ID is at most a millisecond older than its millisecond's start.
        my $passed = monotonic() - $start;
        is($err, '', "$name: an ID");
        cmp_ok($passed, '>', -$step - 0.001, "$name: not before the clock has caught up");
        cmp_ok($passed, '<', -$step + 2, "$name: soon after");
    }
    else
    {
        like($err, $refusal, "$name: refused");
        is(waited($err), 0, "$name: at once");
    }
    if ($step eq '-1' && $setting eq '100ms')
    {
        ok(eventually(sub { (take())[0] eq '' }), "$name: resumes when the clock has caught up");
        cmp_ok(monotonic() - $start, '>', -$step - 0.001, "$name: and no sooner");
        set_clock($node, '+0');
    }
    else
    {
        set_clock($node, '+0');
        is((take())[0], '', "$name: resumes when the clock is right");
    }
}

# A step of 1 ms in the middle of work: the gap to the last ID is below that, and
# waited out whatever the setting. Three seconds of work: on a busy machine the five
# steps have taken half a second.
max_clock_wait('0');
$session->send('SELECT max(timeshard_next_id()) FROM generate_series(1, 64 * 3000)');
$session->await_active;
my $behind = 0;
for (1 .. 5)
{
    $behind -= 0.001;
    set_clock($node, $behind);
    usleep(20_000);
}
is($node->safe_psql('postgres', 'SELECT state FROM pg_stat_activity WHERE pid = ' . $session->pid),
    'active', 'steps of 1 ms: fall into the work');
my ($out, $err) = $session->receive;
is($err, '', 'steps of 1 ms: nothing is refused');
$rises = 0 unless $out > $last_id;
$last_id = $out;
set_clock($node, '+0');
take();

# The limits to the microsecond either way, on clocks that stand still (ever
# later ones). An ID in the instant's millisecond, then gaps behind the start of
# it; those that are waited for end in a refusal, because the clock never comes.
$instant = time + 3600;
for my $case (
    [ '0', 0.000999, 10 ],
    [ '0', 0.001001, 0 ],
    [ '0', 0.05, 0 ],
    [ '100ms', 0.001001, 122.5 ],
    [ '100ms', 0.099999, 122.5 ],
    [ '100ms', 0.100001, 0 ],
    [ '1s', 0.999999, 1135 ])
{
    my ($setting, $gap, $bound) = @$case;
    my $name = "a clock $gap s behind, max_clock_wait $setting";

    max_clock_wait($setting);
    $instant += 60;
    stand_clock(0.0005);
    take();
    stand_clock(-$gap);
    my ($err, $lasted) = take();
    like($err, $refusal, "$name: refused");
    if ($bound)
    {
        cmp_ok(waited($err), '>=', $bound, "$name: after the wait");
        cmp_ok($lasted, '<', $bound / 1000 + 1, "$name: within the bound");
    }
    else
    {
        is(waited($err), 0, "$name: at once");
    }
}

# A millisecond that is used up and never ends.
for my $case ([ '0', 10 ], [ '200ms', 235 ])
{
    my ($setting, $bound) = @$case;
    for my $within (0, 0.0004)
    {
        my $name = "a clock that stands still, $within s into its millisecond, max_clock_wait $setting";
        max_clock_wait($setting);
        $instant += 60;
        stand_clock($within);
        my ($err, $lasted) = take('SELECT max(timeshard_next_id()) FROM generate_series(1, 64)');
        is($err, '', "$name: all of a millisecond's IDs");
        ($err, $lasted) = take();
        like($err, qr/^ERROR:  55000: clock .+\nDETAIL:  .+\.\nHINT:  .+\./, "$name: refused");
        cmp_ok(waited($err), '>=', $bound, "$name: after the wait");
        cmp_ok($lasted, '<', $bound / 1000 + 1, "$name: within the bound");
    }
}

# While sessions wait, the clock goes back further, again and again, each time
# by a gap within the setting: they refuse at the bound all the same. A step past
# the setting refuses at once.
max_clock_wait('800ms');
my @waiting = map { TimeshardSession->new($node) } 1 .. 4;
for my $case ([ 0.01, 910, 60_000 ], [ 30, 0, 800 ])
{
    my ($back, $at_least, $at_most) = @$case;
    my $name = "stepped back by another $back s during the wait";

    $instant += 60;
    stand_clock(0);
    take();
    stand_clock(-0.3);
    my $start = monotonic();
    $_->send('SELECT timeshard_next_id()') for @waiting;
    $_->await_wait for @waiting;
    for my $step (1 .. ($back < 1 ? 10 : 1))
    {
        stand_clock(-0.3 - $step * $back);
        usleep(20_000);
    }
    for my $waiter (@waiting)
    {
        my ($out, $err) = $waiter->receive;
        like($err, $refusal, "$name: refused");
        cmp_ok(waited($err), '>=', $at_least, "$name: after the wait");
        cmp_ok(waited($err), '<', $at_most, "$name: without another");
    }
    cmp_ok(monotonic() - $start, '<', 0.91 + 3, "$name: within the bound");
}
$_->finish for @waiting;

# An hour ahead and back: refused until the clock is there again.
max_clock_wait('100ms');
$instant += 60;
set_clock($node, '+' . ($instant - time));
is((take())[0], '', 'a clock far ahead: taken as it is');
set_clock($node, '+0');
like((take())[0], $refusal, 'back from there: refused') for 1 .. 2;
stand_clock(-1);
like((take())[0], $refusal, 'just before it: refused');
set_clock($node, '+' . ($instant + 60 - time));
is((take())[0], '', 'past it: resumes in the same session');
is($node->safe_psql('postgres', "SELECT timeshard_next_id() > $last_id"), 't', 'and in a new one');

ok($rises, 'IDs have risen over all of this');
# All of that is counted.
is( $session->ask_ok('SELECT clock_refusals >= 5, clock_waits >= 2, sequence_waits > 0, largest_step_ms >= 3590000 FROM timeshard_stats()'),
    't|t|t|t', 'timeshard_stats() has the refusals, the waits and the largest step');
$session->finish;

# The log: one line for many waits, none per ID.
my $lines = () = log_of($node) =~ /LOG:  clock is .* timeshard waits for it/g;
cmp_ok($lines, '>=', 1, 'the log tells of waits');
cmp_ok($lines, '<=', 1 + (monotonic() - $began) / 10, 'at most once in 10 s');
my $mark = -s $node->logfile;
$node->safe_psql('postgres', 'SELECT count(timeshard_next_id()) FROM generate_series(1, 6400)');
my @logged = grep { !/statement: |connection|autovacuum|checkpoint/ } split /\n/,
  substr(log_of($node), $mark);
is("@logged", '', 'IDs leave nothing in the log');
$node->stop;

# So is what is refused before the first ID of a run.
set_clock($node, '-7200');
start_with_env($node);
fails_with($node, 'SELECT timeshard_next_id()', qr/55000: clock is [\d.]+ s behind/, 'two hours behind the last run');
is($node->safe_psql('postgres', 'SELECT clock_refusals FROM timeshard_stats()'), 1, 'that is a refusal too');
$node->stop;

# P5. With max_clock_wait 0 every gap of a millisecond that is not there would be
# an error, and 32 sessions on fewer processors are put aside in every place.
$node = new_cluster('crowd', conf => <<'CONF');
timeshard.node_id = 1
timeshard.max_clock_wait = 0
max_connections = 50
CONF
for my $bits (10, 1)
{
    $node->append_conf('postgresql.conf', "timeshard.node_id_bits = $bits");
    restart_with_env($node);
    my ($rc, $out, $err) = run_pgbench($node,
        'SELECT count(timeshard_next_id()) FROM generate_series(1, 10000);', '-c', 32, '-j', 2, '-T', 4);
    ok($rc == 0 && $err !~ /ERROR/, "32 sessions on a healthy clock, $bits bits: no refusal") or diag($err);
    like($out, qr/number of failed transactions: 0 /, "32 sessions on a healthy clock, $bits bits: none fails");
}
unlike(log_of($node), qr/clock is/, '32 sessions on a healthy clock: no wait for it either');
$node->stop;

done_testing();
