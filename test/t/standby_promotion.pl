# A standby with its primary's node ID is promoted, its clock 10 minutes behind:
# it refuses until its clock has passed what it knows of the primary's IDs, and
# then repeats none of them. Both load modes; also with the shared state made by a
# parse before the promotion; also with another node ID, which needs no floor.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use FaultKit;
use Standbys;
use Test::More;
use Timeshard;
use TimeshardSession;

my $replayed = 'the last commit that was replayed';

my $primary = new_primary('primary');
my $old = start_writers($primary, pause => 2000);

# All of them from one backup, made while IDs are issued.
my %standby;
$primary->backup('base', backup_options => ['--checkpoint=fast']);
for my $kind (qw(preloaded lazy parsed other))
{
    $standby{$kind} = new_standby($primary, $kind, backup => 'base', preload => $kind eq 'preloaded',
        conf => $kind eq 'other' ? "timeshard.node_id = 8\n" : '');
}
my $marked = mark_end($standby{lazy});

# The shared state, made during recovery; the session stays.
my $parsed = TimeshardSession->new($standby{parsed});
is($parsed->ask_ok('SELECT node_id FROM timeshard_config()'), 7, 'parsed: the state is attached to in recovery');
is($parsed->ask_ok('SELECT node_id FROM timeshard_parse(7::bigint << 12)'), 7, 'parsed: an ID is parsed in recovery');

# What was committed must be there: a commit returns when all have it.
$primary->safe_psql('postgres', "ALTER SYSTEM SET synchronous_standby_names = 'FIRST 4 (*)'");
$primary->reload;
$old->await_progress or die 'no commits with synchronous standbys: ' . join ' ', $old->errors;

kill_in_step($primary, values %standby);
$old->stop;
my $largest = (read_logs([ $old->logs ]))->{greatest};

for my $kind (sort keys %standby)
{
    injected("$kind: promoted with the clock 10 minutes behind");
    promote_to($standby{$kind});
}

for my $kind (qw(preloaded lazy parsed))
{
    my $node = $standby{$kind};
    my $last = last_replayed($node);
    my $floor_ms = int($last * 1000) + 1000;
    cmp_ok($floor_ms, '>', ms_of($largest), "$kind: the floor is above every ID of the old primary");

    if ($kind eq 'preloaded')
    {
        ok(mark_becomes($node, $floor_ms), "$kind: the floor is durable before the first call");
    }
    else
    {
        is(mark_end($node), $marked, "$kind: nothing has been written before the first call");
    }

    refused_behind($node, $replayed, "$kind: the clock 10 minutes behind");
    refused_behind($node, $replayed, "$kind: asked again");
    like(($parsed->ask('SELECT timeshard_next_id()'))[1], qr/55000: clock is \d{3}\.\d{3} s behind \Q$replayed\E/,
        "$kind: the session that has parsed before")
      if $kind eq 'parsed';
    clock_at($node, $last - 60);
    refused_behind($node, $replayed, "$kind: the clock a minute behind");

    # Barely right: the clock comes to the floor while the first calls are refused
    # or wait. A lower floor would let IDs of the old primary be made again.
    my @new = (go_on_right_at($node, $last - 1), go_on_right_at($node));
    check_ids($node, $old, @new, { name => "$kind, the clock brought to the floor, then right" });
    cmp_ok(ms_of(read_logs([ $new[0]->logs ])->{least}), '>', $floor_ms, "$kind: IDs start after the floor");
    cmp_ok(ms_of(read_logs([ $new[0]->logs ])->{least}), '<', $floor_ms + 5000, "$kind: as soon as the clock has passed it");

    unlike(log_of($node), qr/on a copy of a data directory/, "$kind: an ordinary promotion is no copy to warn of");
}

# With a number of its own nothing can repeat: not even where the server has lost
# what it knew of the commits, and makes its IDs in the very same milliseconds.
{
    my $node = $standby{other};
    refused_behind($node, $replayed, 'other node ID: the clock 10 minutes behind');
    $node->stop;
    clock_at($node, $marked / 1000 - 0.2);
    start_with_env($node);
    my $new = go_on_right_at($node, $marked / 1000 - 0.1);
    my ($old_figures, $new_figures) = map { read_logs([ $_->logs ]) } $old, $new;
    cmp_ok(ms_of($new_figures->{least}), '<', ms_of($old_figures->{greatest}),
        'other node ID: IDs are made in times that the old primary has used');
    check_ids($node, $old, $new, { order => 0, name => 'other node ID, the clock behind' });
}

$parsed->finish;
$_->stop for values %standby;
report_figures();
done_testing();
