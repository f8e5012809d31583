# Syncs of the mark that are slow or fail, and how many there are.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use FaultKit;
use MarkFile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;
use Time::HiRes qw(time usleep);
use TimeshardSession;

my $next = 'SELECT timeshard_next_id()';
my $node = fault_cluster('syncs', conf => <<'CONF');
timeshard.node_id = 35
autovacuum = off
max_connections = 120
CONF
my $path = mark_path($node);
my $session = TimeshardSession->new($node);

sub syncs
{
    return scalar grep { $_->{call} =~ /^f(?:data)?sync$/ } shim_log($node);
}

# The calls on the file that were logged, as "write 0", "fdatasync", with "failed".
sub calls
{
    return map { ($_->{call} eq 'write' ? "write $_->{offset}" : $_->{call}) . ($_->{result} < 0 ? ' failed' : '') }
      grep { $_->{call} =~ /^(?:write|fdatasync|fsync|rename|fsyncdir)$/ } shim_log($node);
}

# Waits until an ID must extend what is reserved.
sub await_renewal
{
    my $end = mark_of($node)->{end} + $MarkFile::epoch;
    eventually(sub { time * 1000 > $end }) or die 'time stands still';
    return;
}

# A single session, so that each call is known. A failed write or sync is an
# error, issues nothing, and the next call writes the same slot again.
$session->ask_ok($next);
for my $case (
    [ 'a failed sync', 'fail fdatasync EIO once', '58030', 'Input/output error', 'write N', 'fdatasync failed' ],
    [ 'a full disk', 'fail write ENOSPC once', '53100', 'No space left on device', 'write N failed' ],
    [ 'a failed write', 'fail write EIO once', '58030', 'Input/output error', 'write N failed' ],
    [ 'a short write', 'short write 40 once', '53100', 'No space left on device', 'write N' ],
    [ 'a file that cannot be opened', 'fail open EACCES once', '42501', 'Permission denied' ])
{
    my ($name, $order, $sqlstate, $reason, @failed) = @$case;
    injected($name);
    await_renewal();
    my $slot = ((mark_of($node)->{generation} + 1) % 2) * 4096;
    my $other = 4096 - $slot;
    my $last = $session->ask_ok('SELECT last_id FROM timeshard_stats()');
    shim_log_clear($node);
    shim($node, 'log', $order);
    my ($out, $err) = $session->ask($next);
    like($err, qr/^ERROR:  $sqlstate: could not write file "timeshard.mark": $reason\nDETAIL:  No ID was issued/,
        "$name: an error");
    is($session->ask_ok('SELECT last_id FROM timeshard_stats()'), $last, "$name: nothing is issued");
    cmp_ok($session->ask_ok($next), '>', $last, "$name: the next call has an ID");
    is(join(', ', calls()),
        join(', ', (map { s/N/$slot/r } @failed), "write $slot", 'fdatasync', "write $other"),
        "$name: the same slot is written again, then synced, then copied");
    my @slots = mark_slots(mark_bytes($node));
    is($slots[0]{generation}, $slots[1]{generation}, "$name: both slots agree");
}

# The same where the file is made: nothing is left half done.
for my $case (
    [ 'a full disk', 'fail write@tmp ENOSPC once', '53100' ],
    [ 'a failed sync', 'fail fsync@tmp EIO once', '58030' ],
    [ 'a failed rename', 'fail rename EIO once', '58030' ],
    [ 'a read-only disk', 'fail open@tmp EROFS once', '' ])
{
    my ($name, $order, $sqlstate) = ("$case->[0], making the file anew", @$case[ 1, 2 ]);
    injected($name);
    await_renewal();
    unlink $path;
    my $last = $session->ask_ok('SELECT last_id FROM timeshard_stats()');
    shim($node, $order);
    my ($out, $err) = $session->ask($next);
    like($err, qr/^ERROR:  $sqlstate.*: could not \w+ file "timeshard.mark(?:\.tmp)?"/, "$name: an error");
    is($session->ask_ok('SELECT last_id FROM timeshard_stats()'), $last, "$name: nothing is issued");
    ok(!-e $path, "$name: no file yet");
    cmp_ok($session->ask_ok($next), '>', $last, "$name: the next call has an ID");
    ok(await_mark($node), "$name: the file is whole");
}

# A floor that could not be synced is not believed because it can be read: not
# the record, and not the name of a file that had to be made.
for my $case ([ 'fdatasync', 0 ], [ 'fsyncdir', 1 ])
{
    my ($call, $missing) = @$case;
    my $name = injected("timeshard_raise_floor before the first ID, a failed $call");
    $session->finish;
    $node->stop;
    unlink $path if $missing;
    shim($node, 'log', 'record', "fail $call EIO once");
    start_with_env($node);
    $session = TimeshardSession->new($node);
    my $id = (int(time * 1000) - $MarkFile::epoch + 2500) << 22;
    like(($session->ask("SELECT timeshard_raise_floor($id)"))[1], qr/^ERROR:  58030: could not \w+ file/,
        "$name: an error");
    is(($session->ask("SELECT timeshard_raise_floor($id)"))[1], '', "$name: done the second time");
    my ($sound) = sort { $b->{end} <=> $a->{end} } grep { $_ } mark_slots(durable_mark($node) // '');
    cmp_ok($sound ? $sound->{end} : 0, '>=', offset_of($id), "$name: and durable then");
    shim_clear($node);
}

# With several sessions at work: a slow sync keeps nobody waiting while what is
# reserved lasts; the waits are seen where it does not.
my $writers = start_writers($node, count => 4, pause => 2000);

# The longest time, in ms, in which nobody was given an ID while $order held for
# two syncs.
sub longest_pause
{
    my ($order) = @_;
    my $follow = $writers->follow;
    shim($node, 'log', $order);
    shim_log_clear($node);
    eventually(sub { syncs() >= 2 }) or die 'no syncs';
    shim_clear($node);
    $writers->await_progress;
    my @given = sort { $a <=> $b } map { $$_ =~ /^I \S+ \S+ \d+ (\d+) /mg } $follow->();
    my ($pause) = sort { $b <=> $a } map { $given[$_] - $given[ $_ - 1 ] } 1 .. $#given;
    return $pause / 1e6;
}

injected('slow syncs of 300 ms');
cmp_ok(longest_pause('slow fdatasync 300'), '<', 300, 'syncs of 300 ms: the others do not wait for them');
injected('a sync of 2 s');
shim($node, 'slow fdatasync 2000 once');
ok($node->poll_query_until('postgres', <<'SQL'), 'a sync of 2 s: the others wait, and it shows');
SELECT count(*) >= 3 FROM pg_stat_activity WHERE application_name = 'fault_writer' AND wait_event_type = 'Extension'
SQL
ok($writers->await_progress, 'a sync of 2 s: they go on after it');

injected('syncs that fail all the time, then heal');
shim($node, 'fail fdatasync EIO always');
ok($writers->await_error(qr/^58030 could not write file "timeshard.mark"/), 'syncs that fail: an error') for 1 .. 3;
my $reserved = $node->safe_psql('postgres', 'SELECT reserved_until FROM timeshard_stats()');
ok($node->poll_query_until('postgres', "SELECT clock_timestamp() > '$reserved'::timestamptz + interval '300 ms'"), 'for long');
is($node->safe_psql('postgres', 'SELECT reserved_until FROM timeshard_stats()'), $reserved, 'nothing is reserved');
cmp_ok($node->safe_psql('postgres', 'SELECT last_id_at FROM timeshard_stats()'), 'lt', $reserved,
    'and nothing issued past it');
shim_clear($node);
ok($writers->await_progress, 'healed: all sessions are served again');
check_ids($node, $writers);

# Two syncs a second of use, whoever uses it; none when idle.
shim($node, 'log');
for my $load ([ '1,000 connections in a row', 1, 1000 ], [ '100 clients that connect 10 times', 100, 10 ])
{
    my ($name, $clients, $calls) = @$load;
    shim_log_clear($node);
    my $start = monotonic();
    my ($rc, $out, $err) = run_pgbench($node, "$next;", '-C', '-c', $clients, '-j', 2, '-t', $calls);
    my $lasted = monotonic() - $start;
    like($out, qr{actually processed: 1000/1000}, "$name: each has its ID") or diag($err);
    my $count = syncs();
    note(sprintf '%s: %d syncs in %.1f s', $name, $count, $lasted);
    cmp_ok($count, '<=', 2 * $lasted + 2, "$name: about two syncs a second");
    cmp_ok($count, '>=', 1, "$name: but some");
}
shim_log_clear($node);
$session->ask_ok('SELECT timeshard_parse(1), timeshard_stats(), timeshard_config()');
usleep(1_200_000); # twice as long as a reservation is left alone
is(scalar(shim_log($node)), 0, 'idle: the file is left alone');
$session->finish;
$node->stop;

# With fsync off nothing is synced, as with PostgreSQL's own files.
$node->append_conf('postgresql.conf', 'fsync = off');
start_with_env($node);
unlink $path;
shim_log_clear($node);
for (1 .. 3)
{
    $node->safe_psql('postgres', $next);
    await_renewal();
}
is(join(' ', grep { /sync/ } calls()), '', 'fsync = off: no sync');
cmp_ok(scalar(grep { /write/ } calls()), '>=', 5, 'fsync = off: the file is written all the same');
is(sprintf('%o', (stat $path)[2] & 07777), '600', 'the mode of the file');
$node->stop;
report_figures();

$node = new_cluster('group', init => [ extra => ['--allow-group-access'] ]);
$node->safe_psql('postgres', $next);
is(sprintf('%o', (stat mark_path($node))[2] & 07777), '640', 'the mode of the file where the group may read');
$node->stop;

# A run that is cut off between a write and its sync leaves a record that may be on no
# disk. The next start commits it, once, also if it is refused again and again.
$node = fault_cluster('cut', clock => 1);
$node->safe_psql('postgres', $next);
$path = mark_path($node);
await_renewal();
shim($node, 'kill fdatasync@mark before');
$node->psql('postgres', $next);
await_ready($node);
$node->stop('immediate');
my @left = mark_slots(mark_bytes($node));
isnt($left[0]{generation}, $left[1]{generation}, 'cut off: one slot alone has the last record');
shim($node, 'log');
set_clock($node, '-1h');
start_with_env($node);
shim_log_clear($node);
$session = TimeshardSession->new($node);
like(($session->ask($next))[1], qr/^ERROR:  55000: clock is 3[56]\d\d\.\d+ s behind what earlier runs of this server reserved/, 'cut off: the start is refused') for 1 .. 40;
is(syncs(), 1, 'cut off: 40 refused calls sync the mark once');
$session->finish;
$node->stop;

done_testing();
