# doc/runbook.md, a disk that is full, read-only or slow, and inserts that hang.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";

use SmallDisk;

use FaultKit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Runbook;
use Test::More;
use Timeshard;
use TimeshardSession;

my $next = 'SELECT timeshard_next_id()';
my $node = fault_cluster('disk', clock => 1, start => 0, conf => "timeshard.node_id = 24\nautovacuum = off\nwal_level = replica\n");
move_to_disk($node) unless $no_disk;
start_with_env($node);
$node->safe_psql('postgres', 'CREATE EXTENSION timeshard');
$node->safe_psql('postgres', "SELECT pg_create_physical_replication_slot('gone', true)");
my $book = Runbook->new->at($node);

SKIP:
{
    if ($no_disk)
    {
        diag("runbook_disk: a full and a read-only disk are skipped: $no_disk");
        skip "no mount namespace of its own: $no_disk", 1;
    }
    fill_disk();
    fails_with($node, $next, qr/could not write file "timeshard.mark.tmp": No space left on device/, 'full');
    my $shown = $book->run('disk');
    like($shown, qr/100%/, 'full: the commands show it');
    like($shown, qr{^\S+\s+\S*/filler$}m, 'and what fills it');
    like($shown, qr/^gone\|f\|\d+ \w+$/m, 'and a slot that nobody reads');
    free_disk();
    $book->run('disk-works');

    # Writes come back as an error when the reservation is used up.
    remount('ro');
    ok(eventually(sub { ($node->psql('postgres', $next))[2] =~ /could not write file "timeshard.mark": Read-only file system/ }), 'read-only');
    like($book->run('disk'), qr/^\S+ ro,/m, 'read-only: the commands show it');
    my ($order, $done) = SmallDisk::remount_order('rw');
    $book->stand_in(mount => qq([ "\$*" = "-o remount,rw \$(readlink -f "\$PGDATA")" ] || exit 1; until [ -e '$done' ]; do $order; sleep 0.1; done));
    $book->run('disk-remount');
    $book->run('disk-works');
}

# A sync that takes its time.
shim($node, 'slow fdatasync 600000');
my $session = TimeshardSession->new($node);
ok($node->poll_query_until('postgres', 'SELECT reserved_until < clock_timestamp() FROM timeshard_stats()'), 'slow: the reservation is used up');
$session->send($next);
$session->await_active;
my $waits = $server_major < 17 ? 'Extension' : 'TimeshardMark';
ok(eventually(sub { $book->try('hang') =~ /\| $waits +\|/ }), 'slow: sessions are seen to wait for the mark');
like($book->run('hang'), qr/^ \w? +\| t$/m, 'slow: the mark is late, not the clock');
shim_clear($node);
kill 'KILL', $session->pid;
await_ready($node);
$book->run('disk-works');

# A clock that went back, and sessions that wait for it.
$node->append_conf('postgresql.conf', "timeshard.max_clock_wait = '60s'");
$node->reload;
$node->safe_psql('postgres', $next);
set_clock($node, '-40');
$session = TimeshardSession->new($node);
$session->send($next);
$session->await_active;
$waits = $server_major < 17 ? 'Extension' : 'TimeshardClock';
ok(eventually(sub { $book->try('hang') =~ /\| $waits +\|/ }), 'clock: sessions are seen to wait for it');
like($book->run('hang'), qr/^ t +\| f$/m, 'clock: it is behind, and the mark is not late');
$book->ends_in('clock-back', 'works|t');
is(($session->receive)[1], '', 'clock: the session goes on');

# A lock of another session.
$node->safe_psql('postgres', 'CREATE TABLE orders (id bigint PRIMARY KEY DEFAULT timeshard_next_id())');
my $holder = TimeshardSession->new($node);
$holder->ask_ok('BEGIN; LOCK TABLE orders');
$session->send('INSERT INTO orders DEFAULT VALUES');
$session->await("wait_event_type = 'Lock'");
like($book->run('hang'), qr/^ *\d+ \| Lock +\| relation +\| \{@{[$holder->pid]}\} +\| INSERT/m, 'lock: who holds it');
like($book->run('hang-lock'), qr/^ +@{[$holder->pid]} \| t$/m, 'lock: ended');
is(($session->receive)[1], '', 'lock: the session goes on');

$book->finish;
$node->stop('immediate');
done_testing();
