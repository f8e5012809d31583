# What a standby with its primary's node ID knows of the primary's IDs when little
# tells of them, its clock 10 minutes behind: no commit to replay since the
# backup, restarted before its promotion, restarted after it before its first ID;
# and the worker that makes the floor durable, its first write failing.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use FaultKit;
use Standbys;
use Test::More;
use Time::HiRes qw(time usleep);
use Timeshard;
use TimeshardSession;

my $replayed = 'the last commit that was replayed';
my $reserved = 'what earlier runs of this server reserved';
my @modes = ([ 'preloaded', preload => 1 ], [ 'lazy', preload => 0 ]);

my $primary = new_primary('primary');
my @old = start_writers($primary, pause => 2000);
$old[0]->stop;

# Nothing but the mark in the backup tells of IDs.
{
    $primary->backup('idle', backup_options => ['--checkpoint=fast']);
    for (@modes)
    {
        my ($mode, %load) = @$_;
        my $node = new_standby($primary, "idle_$mode", backup => 'idle', %load);
        await_replay($primary, $node);
        is(last_replayed($node), undef, "no commit to replay, $mode: so it is");
        my $end_ms = mark_end($node);
        injected("no commit to replay, $mode");
        promote_to($node);
        refused_behind($node, $reserved, "no commit to replay, $mode: the clock 10 minutes behind");
        my $new = go_on_right_at($node, $end_ms / 1000 - 0.5);
        check_ids($node, @old, $new, { name => "no commit to replay, $mode" });
        cmp_ok(ms_of(read_logs([ $new->logs ])->{least}), '>', $end_ms, "no commit to replay, $mode: IDs start after the mark");
        $node->stop;
    }
}

# Those that follow to the end.
$primary->backup('base', backup_options => ['--checkpoint=fast']);
my %standby;
for (@modes)
{
    my ($mode, %load) = @$_;
    $standby{"$_ $mode"} = new_standby($primary, "${_}_$mode", backup => 'base', %load) for qw(before after);
}
$standby{'failing preloaded'} = new_standby($primary, 'failing', backup => 'base', preload => 1, shim => 1);

# Restarted before the promotion, with a checkpoint as the last thing replayed:
# the commits are behind it and are not replayed again, and the promotion makes a
# checkpoint of its own, by the slow clock. What tells of the primary's IDs is the
# time of the checkpoint before, which a preloaded server has seen. IDs are made
# within a second and the checkpoint in the same one: its time has no fractions.
# All this is some seconds after what the mark in the backup says.
{
    my %node = map { my ($mode, %load) = @$_; $mode => new_standby($primary, "checkpoint_$mode", backup => 'base', %load) } @modes;
    my $marked = mark_end($node{lazy}) / 1000;
    eventually(sub { time > $marked + 6 });
    my $second;
    for my $try (1 .. 20)
    {
        usleep(1e6 * (1.2 - (time - int time)));
        $second = int time;
        push @old, start_writers($primary, count => 2, pause => 1000);
        $old[-1]->stop;
        $primary->safe_psql('postgres', 'CHECKPOINT');
        last if int(time) == $second;
    }
    await_replay($primary, values %node);
    my $largest = read_logs([ $old[-1]->logs ])->{greatest};
    for my $mode (sort keys %node)
    {
        my $node = $node{$mode};
        my $name = "restarted behind the last checkpoint, $mode";
        $node->safe_psql('postgres', 'CHECKPOINT');
        injected($name);
        $node->stop;
        start_with_env($node);
        await_replay($primary, $node);
        is(last_replayed($node), undef, "$name: nothing is replayed again");
        promote_to($node);
        eventually(sub { $node->safe_psql('postgres', 'SELECT timeline_id FROM pg_control_checkpoint()') > 1 }) or die 'no checkpoint';
        clock_at($node, $second - 4);
        if ($mode eq 'lazy')
        {
            # The limit: nobody was there to see the checkpoint.
            cmp_ok(next_id($node), '<', $largest, "$name: IDs of the past are made, the documented limit");
        }
        else
        {
            fails_with($node, 'SELECT timeshard_next_id()',
                qr/55000: clock is \d+\.\d{3} s behind (?:the server's last checkpoint|what earlier runs of this server reserved)\n/,
                "$name: the clock seconds behind");
        }
        my $new = go_on_right_at($node, $mode eq 'lazy' ? undef : $second - 0.5);
        check_ids($node, @old, $new, { name => $name });
        $node->stop;
    }
}

push @old, start_writers($primary, pause => 2000);
for my $mode (map { $_->[0] } @modes)
{
    my $node = $standby{"before $mode"};
    injected("restarted before the promotion, $mode");
    $node->stop;
    start_with_env($node);
}
$old[-1]->await_progress or die 'the writers do not get on';
kill_in_step($primary, values %standby);
$_->stop for @old;

shim($standby{'failing preloaded'}, 'fail fdatasync@mark EIO once');
for my $kind (sort keys %standby)
{
    my $node = $standby{$kind};
    my $marked = mark_end($node);
    my $last = last_replayed($node);
    my $floor_ms = int($last * 1000) + 1000;
    promote_to($node);
    my $limit = 0;

    if ($kind =~ /^failing/)
    {
        injected('the first write of the worker fails');
        $node->wait_for_log(qr/ERROR:  could not write file "timeshard.mark": Input\/output error/);
        ok(1, "$kind: the worker's first write fails");
        refused_behind($node, $replayed, "$kind: while nothing has been written");
    }
    if ($kind =~ /preloaded/)
    {
        ok(mark_becomes($node, $floor_ms), "$kind: the worker makes the floor durable");
    }
    if ($kind =~ /^after/)
    {
        injected("restarted after the promotion, $kind");
        kill9_all($node);
        restart_now($node);
    }
    if ($kind eq 'after lazy')
    {
        # The limit: nobody has made the floor durable, and the restart forgets it.
        is(mark_end($node), $marked, "$kind: the mark is that of the backup");
        clock_at($node, $last - 3);
        cmp_ok(ms_of(next_id($node)), '<', $last * 1000, "$kind: IDs of the past are made, the documented limit");
        my $new = go_on_right_at($node);
        check_ids($node, @old, $new, { name => "$kind, the clock right", committed => 0 });
    }
    else
    {
        refused_behind($node, $kind =~ /^after/ ? $reserved : $replayed, "$kind: the clock 10 minutes behind");
        my $new = go_on_right_at($node, $last - 1);
        check_ids($node, @old, $new, { name => $kind, committed => 0 });
        cmp_ok(ms_of(read_logs([ $new->logs ])->{least}), '>', $floor_ms, "$kind: IDs start after the floor");
    }
    $node->stop;
}

report_figures();
done_testing();
