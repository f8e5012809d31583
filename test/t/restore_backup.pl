# Data that comes back on another server with the same node ID: a base backup,
# restored to a point in time or started as it is, and a dump, its clock right and
# behind; and timeshard_raise_floor, for a dump brings no mark along.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use FaultKit;
use File::Copy qw(copy);
use PostgreSQL::Test::Utils;
use Standbys;
use Test::More;
use Timeshard;
use TimeshardSession;

my $replayed = 'the last commit that was replayed';
my $reserved = 'what earlier runs of this server reserved';
my @modes = ([ 'preloaded', preload => 1 ], [ 'lazy', preload => 0 ]);

my $primary = new_primary('primary', init => [ allows_streaming => 1, has_archiving => 1 ]);
my $old = start_writers($primary, pause => 2000);

# A backup whose copy of the mark is much older than the end of the backup: a
# backup of a large server takes hours, and may come to this file first.
copy($primary->data_dir . '/timeshard.mark', $primary->basedir . '/early.mark') or die "cannot copy: $!";
my $early_ms = mark_end($primary);
$primary->safe_psql('postgres', 'SELECT pg_sleep(4)');
$primary->backup('base', backup_options => ['--checkpoint=fast']);
copy($primary->basedir . '/early.mark', $primary->backup_dir . '/base/timeshard.mark') or die "cannot copy: $!";

# The moment to go back to, between two transactions; then what is lost.
$old->await_progress or die 'the writers do not get on';
my $target = $primary->safe_psql('postgres', 'SELECT clock_timestamp()');
my $target_s = $primary->safe_psql('postgres', "SELECT extract(epoch FROM timestamptz '$target')");
$primary->safe_psql('postgres', 'SELECT pg_sleep(4)');
$old->await_progress or die 'the writers do not get on';
my $known = $primary->safe_psql('postgres', 'SELECT max(id) FROM fault_rows');
my $wal_file = $primary->safe_psql('postgres', 'SELECT pg_walfile_name(pg_current_wal_lsn())');
$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
$primary->poll_query_until('postgres', "SELECT last_archived_wal >= '$wal_file' FROM pg_stat_archiver") or die 'not archived';
kill9_all($primary);
$old->stop;
my $largest = read_logs([ $old->logs ])->{greatest};

# To a point in time. At the clock that is barely right for what was replayed,
# which is less than what was issued, the limit shows.
for (@modes)
{
    my ($mode, %load) = @$_;
    my $name = "point in time, $mode";
    injected($name);
    my $node = copy_of($primary, "time_$mode", backup => 'base', %load,
        init => [ has_restoring => 1, standby => 0 ],
        conf => "archive_mode = off\nrecovery_target_time = '$target'\nrecovery_target_action = promote\n");
    start_with_env($node);
    $node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'recovery does not end';
    my $last = last_replayed($node);
    cmp_ok($last, '<', $target_s, "$name: what came later is not there");
    cmp_ok($node->safe_psql('postgres', 'SELECT max(id) FROM fault_rows'), '<', $known, "$name: nor its IDs");

    refused_behind($node, $replayed, "$name: the clock 10 minutes behind");
    if ($mode eq 'lazy')
    {
        clock_at($node, $last + 0.5);
        cmp_ok(next_id($node), '<', $largest, "$name: what was lost is not known, the documented limit");
        like(log_of($node), qr/WARNING:  timeshard runs as node 7 on a copy of a data directory/, "$name: it is warned of");
    }
    my $new = go_on_right_at($node);
    check_ids($node, $old, $new, { name => "$name, the clock right", committed => 0 });
    $node->stop;
}

# Started as it is, without recovery.signal: what is in the backup's WAL is
# recovered as after a crash, and leaves no time behind.
for (@modes)
{
    my ($mode, %load) = @$_;
    my $name = "base backup, $mode";
    injected($name);
    my $node = copy_of($primary, "plain_$mode", backup => 'base', %load, init => [], conf => "archive_mode = off\n");
    start_with_env($node);
    my $restored = $node->safe_psql('postgres', 'SELECT max(id) FROM fault_rows');
    cmp_ok(ms_of($restored), '>', $early_ms, "$name: it has IDs that its mark does not know");
    refused_behind($node, $reserved, "$name: the clock 10 minutes behind");
    if ($mode eq 'lazy')
    {
        clock_at($node, $early_ms / 1000 - 0.5);
        cmp_ok(next_id($node), '<', $restored, "$name: the mark is all it knows, a limit");
    }
    $node->safe_psql('postgres', 'SELECT timeshard_raise_floor(max(id)) FROM fault_rows');
    my $new = go_on_right_at($node, ms_of($restored) / 1000 - 1);
    cmp_ok(read_logs([ $new->logs ])->{least}, '>', $restored, "$name: raised, IDs start above what was restored");
    $new = go_on_right_at($node);
    check_ids($node, $old, $new, { name => "$name, the clock right", committed => 0 });
    $node->stop;
}

# A dump, restored on a server that knows nothing: one that has made IDs before,
# and one that has not. The largest ID in the data stands for all only if it is
# the last one that was issued.
restart_now($primary);
$primary->safe_psql('postgres', 'INSERT INTO fault_rows DEFAULT VALUES');
my $dump = $primary->basedir . '/dump.sql';
command_ok([ 'pg_dump', '-d', $primary->connstr('postgres'), '-f', $dump ], 'the dump');
my $dumped = $primary->safe_psql('postgres', 'SELECT max(id) FROM fault_rows');
$primary->stop;
for my $has_issued (0, 1)
{
    my $name = 'dump, to a server ' . ($has_issued ? 'in use' : 'of its own');
    injected($name);
    my $node = new_cluster("dump_$has_issued", clock => 1, start => 0, conf => "timeshard.node_id = 7\n");
    set_clock($node, '-10m');
    start_with_env($node);
    $node->safe_psql('postgres', 'CHECKPOINT'); # by the slow clock, as if it had been set up by it
    if ($has_issued)
    {
        $node->safe_psql('postgres', 'CREATE EXTENSION timeshard; SELECT timeshard_next_id(); DROP EXTENSION timeshard');
    }
    $node->safe_psql('postgres', "\\i $dump");
    is($node->safe_psql('postgres', 'SELECT max(id) FROM fault_rows'), $dumped, "$name: restored");
    cmp_ok(next_id($node), '<', $dumped, "$name: IDs are made in times that the data has used")
      if $has_issued;

    $node->safe_psql('postgres', 'SELECT timeshard_raise_floor(max(id)) FROM fault_rows');
    if ($has_issued)
    {
        fails_with($node, 'SELECT timeshard_next_id()', qr/55000: clock is \d{3}\.\d{3} s behind the floor\n/, "$name: raised");
    }
    else
    {
        refused_behind($node, $reserved, "$name: raised");
    }
    kill9_all($node);
    restart_now($node);
    refused_behind($node, $reserved, "$name: raised, and killed");
    my @new = (go_on_right_at($node, ms_of($dumped) / 1000 - 1), go_on_right_at($node));
    cmp_ok(read_logs([ $new[0]->logs ])->{least}, '>', $dumped, "$name: raised, IDs start above those of the dump");
    check_ids($node, $old, @new, { name => $name });
    $node->stop;
}

report_figures();
done_testing();
