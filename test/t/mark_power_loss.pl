# The power goes while the mark is being written, at each step of that. What was
# not synced is undone, torn or kept; the clock comes back 10 s behind, so that
# the mark alone keeps the IDs from repeating.
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
use TimeshardSession;

my $refused = qr/^55000 clock is [\d.]+ s behind what earlier runs of this server reserved$/;
my $node = fault_cluster('power', clock => 1, preload => 1, conf => <<'CONF');
timeshard.node_id = 33
autovacuum = off
checkpoint_timeout = 1d
CONF
my $path = mark_path($node);
my $writers = start_writers($node, count => 4, pause => 2000, kinds => [qw(rows row commit rollback one)]);

# The record that counts in a file's content; undefined if there is none.
sub sound
{
    my ($bytes) = @_;
    my ($newest) = sort { $b->{generation} <=> $a->{generation} } grep { $_ } mark_slots($bytes // '');
    return $newest;
}

# The greatest ID that anybody was given, as an offset: each session's last call
# has its largest.
sub greatest_offset
{
    my ($greatest) = sort { $b <=> $a } map {
        open my $in, '<', $_ or die "cannot open $_: $!";
        seek $in, -20_000, 2;
        my ($line) = do { local $/; <$in> } =~ /.*^I ([^\n]+)\n/ms;
        (split / /, $line // '')[-1] // 0
    } $writers->logs;
    return offset_of($greatest);
}

# Waits until nobody is served any more: the end of what is reserved is reached.
sub await_end
{
    my $last = -1;
    my $since = monotonic();
    return eventually(sub {
        my $now = greatest_offset();
        ($last, $since) = ($now, monotonic()) if $now != $last;
        return monotonic() - $since > 0.3;
    });
}

# Lets a session stop at a step. A step is a list of orders, each of which is
# given while the session stands where the one before has brought it; the mark is
# removed first where a step is one of making it anew.
sub stand_at
{
    my (@orders) = @_;
    my $pid;
    for my $order (@orders)
    {
        if ($order eq 'remove')
        {
            shim($node, 'record', 'stop open@tmp before');
            unlink $path;
            $pid = stopped_pid($node);
            next;
        }
        shim($node, 'record', $order);
        resume($pid) if $pid;
        $pid = stopped_pid($node);
    }
    return $pid;
}

# In place: the slot is written, synced, then copied into the other one. Anew:
# written and synced under another name, renamed, and the directory synced.
for my $case (
    [ 'before the sync, the write lost', [ 'stop fdatasync before' ], lost => 1 ],
    [ 'before the sync, the write torn', [ 'stop fdatasync before' ], torn => 1 ],
    [ 'before the sync, the end of the write kept', [ 'stop fdatasync before' ], fate => 'torn_tail' ],
    [ 'before the sync, the write kept', [ 'stop fdatasync before' ], kept => 1 ],
    [ 'after the sync', [ 'stop fdatasync after' ] ],
    [ 'after the copy, which is torn', [ 'stop fdatasync after', 'stop write after' ], torn => 1 ],
    [ 'after the copy, which is kept', [ 'stop fdatasync after', 'stop write after' ], kept => 1 ],
    [ 'in the next write, the copy lost and that one torn',
        [ 'stop fdatasync after', 'stop write after', 'stop fdatasync before' ], fate => 'torn' ],
    [ 'making it anew, before its sync', [ 'remove', 'stop fsync@tmp before' ], torn => 1 ],
    [ 'making it anew, before the rename', [ 'remove', 'stop rename before' ], lost => 1 ],
    [ 'making it anew, before the sync of the directory', [ 'remove', 'stop fsyncdir before' ], lost => 1 ],
    [ 'making it anew, the directory kept', [ 'remove', 'stop fsyncdir before' ], directory => 'kept' ])
{
    my ($name, $orders, %loss) = @$case;
    injected("power loss: $name");
    shim($node, 'record');
    stand_at(@$orders);
    ok(await_end(), "$name: the others come to an end");
    my $greatest = greatest_offset();
    my $durable = sound(durable_mark($node));
    ok($durable, "$name: a record is durable") or next;
    cmp_ok($greatest, '<', $durable->{end}, "$name: nobody was given an ID past its end");
    cmp_ok($greatest, '>', $durable->{end} - 200, "$name: up to there they were")
      unless $orders->[-1] =~ /^stop (?:fdatasync|write) after$/;    # before the end is published

    my $fate = delete $loss{fate};
    my @unsynced = unsynced($node);
    # Older writes are lost, the last one has the fate that is named.
    $loss{writes} = [ ('lost') x $#unsynced, $fate ] if $fate;
    my $left = sound(power_loss($node, %loss));
    ok($left, "$name: a sound record is left") or next;
    cmp_ok($left->{end}, '>=', $durable->{end}, "$name: it says no less");

    set_clock($node, '-10');
    ok($writers->await_error($refused, sub { restart_now($node) }), "$name: the clock 10 s behind is seen");
    set_clock($node, '+0');
    ok($writers->await_progress, "$name: all sessions are served again");
}

# A sync that has failed leaves a record that can be read and is on no disk. The
# next run must not take it for one that is: overwriting the other slot, which is
# the only one on disk, would leave nothing if it is torn.
injected('power loss in the first extension after a failed sync and a restart');
my $name = 'after a failed sync and a restart';
# A sync that lasts until its reservation is over: the next one then begins past
# the end of this one, and IDs are given that only the next one covers.
my $pid = stand_at('stop fdatasync before');
my $over = $MarkFile::epoch + sound(mark_bytes($node))->{end} + 100;
ok(eventually(sub { time * 1000 > $over }), "$name: an extension lasts long");
shim($node, 'record', 'stop fdatasync after');
resume($pid);
$pid = stopped_pid($node);
shim($node, 'record', 'fail fdatasync EIO always');
ok($writers->await_error(qr/^58030 could not write file "timeshard.mark": Input\/output error/, sub { resume($pid) }),
    "$name: the sessions are told");
ok(await_end(), "$name: nobody goes on");
my $greatest = greatest_offset();
$node->stop;
shim($node, 'record', 'stop fdatasync before');
start_with_env($node);
stopped_pid($node);
my @unsynced = unsynced($node);
my $left = sound(power_loss($node, writes => [ ('lost') x $#unsynced, 'torn' ]));
ok($left, "$name: a sound record is left");
cmp_ok($left ? $left->{end} : 0, '>', $greatest, "$name: it covers what was given before");
restart_now($node);
ok($writers->await_progress, "$name: all sessions are served again");

# The same of the directory: a name that it has failed to sync is not durable,
# whatever is synced in the file afterwards.
injected('power loss after a failed sync of the directory');
$name = 'after a failed sync of the directory';
shim($node, 'record', 'fail fsyncdir EIO once');
my $old = mark_of($node)->{end};
my $log = -s $node->logfile;
unlink $path;
ok($node->wait_for_log(qr/could not fsync file ".*": Input\/output error/, $log), "$name: a session or the worker is told");
ok(eventually(sub { greatest_offset() > $old + 200 }), "$name: the sessions go on");
kill9_all($node);
$greatest = greatest_offset();
# Had the name not been synced, the file that the test has removed would be back.
$left = sound(power_loss($node));
ok($left && $left->{end} > $greatest, "$name: the file is there, and covers what was given");
restart_now($node);
ok($writers->await_progress, "$name: all sessions are served again");

my $figures = check_ids($node, $writers);
is(join(' ', grep { !/^(?:08006|55000|57P0[123]|58030)$/ } keys %{ $figures->{errors} }), '',
    'the sessions saw no errors but those');
report_figures();
$node->stop;

done_testing();
