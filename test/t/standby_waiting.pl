# A promoted standby with its primary's node ID, whose clock is 30 seconds behind:
# within timeshard.max_clock_wait, so that the first session takes the floor and
# waits. What it has in memory alone, the worker of a preloaded server makes durable
# all the same: a crash during the wait forgets nothing.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use FaultKit;
use Standbys;
use Test::More;
use Timeshard;
use TimeshardSession;

# The primary's clock is the one that is wrong: the postmaster of 15, which works in
# signal handlers, would not see a wrong one of its own when it restarts the worker.
my $primary = new_primary('primary', clock => 1);
set_clock($primary, '+30');
my $writers = start_writers($primary, pause => 2000);
my $node = new_standby($primary, 'standby', preload => 1, shim => 1, clock => '+0', conf => "timeshard.max_clock_wait = '60s'\n");
$writers->await_progress or die 'the writers do not get on';
await_replay($primary, $node);
my $before = last_replayed($node) // 0;
eventually(sub { (last_replayed($node) // 0) > $before }) or die 'nothing is replayed';
kill9_all($primary);
$writers->stop;

injected('a session takes the floor before the worker, and waits');
shim($node, 'fail write@mark EIO once');
my $marked = mark_end($node);
my $floor_ms = int(last_replayed($node) * 1000) + 1000;
promote_to($node);
$node->wait_for_log(qr/ERROR:  could not write file "timeshard.mark": Input\/output error/);
my $session = TimeshardSession->new($node);
$session->send('SELECT timeshard_next_id()');
$session->await_wait;
is(mark_end($node), $marked, 'the worker fails, a session waits for the clock, and nothing is on disk');
ok(mark_becomes($node, $floor_ms), 'the worker comes again, and makes the floor durable');

injected('the server crashes while the session waits');
kill9_all($node);
restart_now($node);
set_clock($node, '-10m');
refused_behind($node, 'what earlier runs of this server reserved', 'restarted with its clock 10 minutes behind');
my $new = go_on_right_at($node, $floor_ms / 1000 - 1);
check_ids($node, $writers, $new, { name => 'with its clock right', committed => 0 });
cmp_ok(ms_of(read_logs([ $new->logs ])->{least}), '>', $floor_ms, 'IDs start after the floor');
$node->stop;
report_figures();
done_testing();
