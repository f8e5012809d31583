# What a standby with its primary's node ID cannot know, the limits of that
# set-up: commits that it never replayed, an ID that is newer than its commit
# because the primary's clock was stepped back between the two, a commit exactly
# at an inclusive recovery_target_lsn. With its clock right it repeats nothing, for
# time has passed; with its clock behind it makes IDs of the past.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use FaultKit;
use Standbys;
use Test::More;
use Time::HiRes qw(time);
use Timeshard;
use TimeshardSession;

my $primary = new_primary('primary', clock => 1);
my @modes = ([ 'preloaded', preload => 1 ], [ 'lazy', preload => 0 ]);

# Promotes, shows that an ID is made at that moment and that it is below $largest,
# then brings the clock right.
sub shows_limit
{
    my ($node, $name, $moment, $largest, @old) = @_;
    injected($name);
    set_clock($node, '-10m');
    promote_to($node);
    fails_with($node, 'SELECT timeshard_next_id()', qr/55000: clock is \d+\.\d{3} s behind/, "$name: refused far behind");
    clock_at($node, $moment);
    cmp_ok(next_id($node), '<', $largest, "$name: with the clock behind, IDs of the past are made, the documented limit");
    my $new = go_on_right_at($node);
    check_ids($node, @old, $new, { name => "$name, the clock right", committed => 0 });
    $node->stop;
    return;
}

my @old = start_writers($primary, pause => 2000);
$primary->backup('base', backup_options => ['--checkpoint=fast']);

# A commit at an inclusive target: the row is there, its time is not counted.
# Recovery stops after the first record that starts there, which is the commit.
$old[0]->stop;
$primary->safe_psql('postgres', 'SELECT pg_sleep(4)');
my ($at_target, $target) = split /\|/, $primary->safe_psql('postgres', <<'SQL');
BEGIN;
INSERT INTO fault_rows DEFAULT VALUES;
SELECT max(id), pg_current_wal_insert_lsn() FROM fault_rows;
COMMIT;
SQL
for (@modes)
{
    my ($mode, %load) = @$_;
    my $node = new_standby($primary, "target_$mode", backup => 'base', %load,
        conf => "recovery_target_lsn = '$target'\nrecovery_target_inclusive = on\nrecovery_target_action = pause\n");
    $node->poll_query_until('postgres', "SELECT pg_get_wal_replay_pause_state() = 'paused'") or die 'the target is not reached';
    my $last = last_replayed($node);
    cmp_ok(ms_of($at_target), '>', $last * 1000 + 1000, "inclusive target, $mode: its commit is not the last one that counts");
    is($node->safe_psql('postgres', "SELECT count(*) FROM fault_rows WHERE id = $at_target"), 1,
        "inclusive target, $mode: but it is there");
    shows_limit($node, "inclusive target, $mode", $last + 0.5, $at_target, @old);
}

# Commits that are never replayed: the standbys are cut off while writers go on.
push @old, start_writers($primary, pause => 2000);
my %standby;
for (@modes)
{
    my ($mode, %load) = @$_;
    $standby{$mode} = new_standby($primary, "cut_$mode", backup => 'base', %load);
}
$old[-1]->await_progress or die 'the writers do not get on';
await_replay($primary, values %standby);
for my $node (values %standby)
{
    $node->append_conf('postgresql.conf', "primary_conninfo = ''");
    $node->reload;
    $primary->poll_query_until('postgres', q(SELECT count(*) = 0 FROM pg_stat_replication WHERE application_name = ') . $node->name . q('))
      or die 'the standby is not cut off';
}
$primary->safe_psql('postgres', 'SELECT pg_sleep(4)');
$old[-1]->await_progress or die 'the writers do not get on';
kill9_all($primary);
$_->stop for @old;
my $largest = read_logs([ map { $_->logs } @old ])->{greatest};
for my $mode (sort keys %standby)
{
    my $node = $standby{$mode};
    cmp_ok(last_replayed($node) + 1.1, '<', ms_of($largest) / 1000, "never replayed, $mode: much is missing");
    shows_limit($node, "never replayed, $mode", last_replayed($node) + 0.5, $largest, @old);
}

# The primary's clock goes back an hour between an ID and its commit, which then
# is of the past, and nothing is committed after it.
restart_now($primary);
my $more = start_writers($primary, pause => 2000);
$more->stop;
push @old, $more;
my @stepped = map {
    my ($mode, %load) = @$_;
    [ $mode, new_standby($primary, "stepped_$mode", %load) ]
} @modes;
$primary->safe_psql('postgres', 'SELECT pg_sleep(4)');
my $session = TimeshardSession->new($primary);
my $stepped_id = $session->ask_ok("BEGIN;\nINSERT INTO fault_rows DEFAULT VALUES RETURNING id");
set_clock($primary, '-30m');
$session->ask_ok('COMMIT');
$session->finish;
await_replay($primary, map { $_->[1] } @stepped);
kill9_all($primary);
for (@stepped)
{
    my ($mode, $node) = @$_;
    is($node->safe_psql('postgres', "SELECT count(*) FROM fault_rows WHERE id = $stepped_id"), 1,
        "stepped on the primary, $mode: the row is there");
    cmp_ok(last_replayed($node), '<', time - 1500, "stepped on the primary, $mode: its commit is of the past");
    shows_limit($node, "stepped on the primary, $mode", mark_end($node) / 1000 - 0.5, $stepped_id, @old);
}

report_figures();
done_testing();
