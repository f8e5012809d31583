# The mark damaged while the server is down: what one sound record is enough for,
# what is refused until the floor is raised, what a missing file means. Writers
# take IDs up to the fault and go on by themselves after it.
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

my $next = 'SELECT timeshard_next_id()';
my $node = fault_cluster('damaged', clock => 1, shim => 0, conf => "timeshard.node_id = 21\ntimezone = 'UTC'\n");
my $path = mark_path($node);
my $greatest = 0;

# Writers at work, then the server down, at $how; returns them.
sub down_under_load
{
    my ($how) = @_;
    my $writers = start_writers($node, count => 3, pause => 500);
    $node->stop($how);
    return $writers;
}

# All sessions are served again, and nothing repeats, by what this set of
# writers saw and by what came before.
sub finish
{
    my ($writers, $name) = @_;
    ok($writers->await_progress, "$name: all sessions are served");
    my $figures = check_ids($node, $writers, { name => $name });
    cmp_ok($figures->{least}, '>', $greatest, "$name: above all IDs of before");
    $greatest = $figures->{greatest};
    ok(await_mark($node), "$name: both records are sound again");
    return $figures;
}

sub greatest_so_far
{
    my ($writers) = @_;
    return read_logs([ $writers->logs ])->{greatest};
}

sub flip
{
    my ($bytes, $at) = @_;
    substr($bytes, $at, 1) ^= "\x10";
    return $bytes;
}

# One record is enough, and it says the same.
my $zeros = "\0" x 4096;
for my $case (
    [ 'one slot left', sub { substr $_[0], 0, 4096 } ],
    [ 'one slot and a half left', sub { substr $_[0], 0, 4096 + 40 } ],
    [ 'slot 0 torn', sub { substr($_[0], 0, 40) . substr($zeros, 0, 4096 - 40) . substr($_[0], 4096) } ],
    [ 'slot 1 damaged in its end', sub { flip($_[0], 4096 + 16) } ],
    [ 'slot 0 damaged in its generation', sub { flip($_[0], 8 + 7) } ],
    [ 'slot 1 damaged in its checksum', sub { flip($_[0], 4096 + 156) } ])
{
    my ($name, $damage) = @$case;
    injected($name);
    my $writers = start_writers($node, count => 3, pause => 500);
    # Back already here, so that the checkpoint of the shutdown is no floor.
    set_clock($node, '-1h');
    $node->stop;
    my @slots = mark_slots(mark_bytes($node));
    is($slots[0]{generation}, $slots[1]{generation}, "$name: both records agree at rest");
    my $end = mark_of($node)->{end};
    write_mark($node, $damage->(mark_bytes($node)));
    start_with_env($node);
    fails_with($node, $next,
        qr/ERROR:  55000: clock is \d+\.\d+ s behind what earlier runs of this server reserved\nDETAIL:  IDs of up to \Q@{[ time_text($end) ]}\E may/,
        "$name: the clock an hour back is seen");
    is(mark_of($node)->{end}, $end, "$name: a refusal reserves nothing");
    set_clock($node, '+0');
    finish($writers, $name);
}

# Neither record is sound. Nothing is issued or reset, however often it is asked
# for; the way out is the floor, or the file.
my $refused = sub { qr/ERROR:  55000: file "timeshard.mark" is damaged\nDETAIL:  $_[0].*\nHINT:  .*timeshard_raise_floor\(id\)/ };
my $unsound = 'Neither of its two records is sound\.';
my $random = join '', map { chr int rand 256 } 1 .. 8192;
for my $case (
    [ 'truncated to nothing', $unsound, sub { write_mark($node, '') } ],
    [ 'truncated to 40 bytes', $unsound, sub { write_mark($node, substr $_[0], 0, 40) } ],
    [ 'one slot left, and torn', $unsound, sub { write_mark($node, flip(substr($_[0], 0, 4096), 20)) } ],
    [ 'both records damaged', $unsound, sub { write_mark($node, flip(flip($_[0], 20), 4096 + 60)) } ],
    [ 'all zeros', $unsound, sub { write_mark($node, $zeros x 2) } ],
    [ 'random bytes', $unsound, sub { write_mark($node, $random) } ],
    [ 'an end past 41 bits', $unsound, sub { write_mark($node, set_field($_[0], 'end', (1 << 41) + 1)) } ],
    [ 'of the other byte order', $unsound, sub { write_mark($node, other_byte_order($_[0])) } ],
    [ 'unreadable', 'It could not be read: Permission denied\.', sub { chmod 0, $path } ],
    [ 'a directory in its place', 'It could not be read: Is a directory\.', sub { rename $path, "$path.old"; mkdir $path } ])
{
    my ($name, $detail, $damage) = @$case;
    injected($name);
    my $writers = down_under_load('immediate');
    my $good = mark_bytes($node);
    $damage->($good);
    my $bytes = -f $path && -r $path ? mark_bytes($node) : undef;
    my $asked = greatest_so_far($writers);
    set_clock($node, '-1h');
    start_with_env($node);
    fails_with($node, $next, $refused->($detail), "$name: refused");
    ok($writers->await_error(qr/^55000 file "timeshard.mark" is damaged/), "$name: the writers are refused too");
    fails_with($node, 'SELECT * FROM timeshard_layout_change()', $refused->($detail), "$name: nor is it said that the layout never changed");
    set_clock($node, '+0');
    fails_with($node, $next, $refused->($detail), "$name: also with the clock right");
    set_clock($node, '-1h');
    if ($name eq 'random bytes')
    {
        $node->stop('immediate');
        start_with_env($node);
        fails_with($node, $next, $refused->($detail), "$name: also after another restart");
    }
    is(mark_bytes($node), $bytes, "$name: nothing is reset") if -f $path && -r $path;

    if ($name =~ /directory/)
    {
        fails_with($node, "SELECT timeshard_raise_floor($asked)", qr/ERROR: .*"timeshard.mark": Is a directory/,
            "$name: nor can the floor be raised");
        $node->stop('immediate');
        rmdir $path && rename "$path.old", $path or die "cannot restore $path: $!";
        start_with_env($node);
    }
    is($node->safe_psql('postgres', 'SELECT max(largest) = (SELECT max(id) FROM fault_rows) FROM timeshard_largest_ids()'), 't',
        "$name: the largest ID can be told");
    $node->safe_psql('postgres', "SELECT timeshard_raise_floor($asked)");
    is((stat $path)[2] & 07777, 0600, "$name: the floor raised: the file is the server's alone");
    cmp_ok(mark_of($node)->{end}, '>=', offset_of($asked), "$name: the floor raised: on disk");
    fails_with($node, $next, qr/ERROR:  55000: clock is 3[56]\d\d\.\d+ s behind what earlier runs of this server reserved/,
        "$name: the floor raised: held, the clock is still behind");
    set_clock($node, '+0');
    finish($writers, $name);
}

# Written by a newer version: the file is sound, and only that version can read it. So
# nothing replaces it, not even a floor that is raised.
injected('of a newer version');
my $newer_writers = down_under_load('immediate');
my $old_mark = mark_bytes($node);
write_mark($node, set_field($old_mark, 'version', 3));
my $newer_mark = mark_bytes($node);
start_with_env($node);
for my $sql ($next, 'SELECT * FROM timeshard_layout_change()', 'SELECT timeshard_raise_floor(1)')
{
    fails_with($node, $sql,
        qr/ERROR:  55000: file "timeshard.mark" was written by a newer version of timeshard
DETAIL:  The file has version 3, and this library reads versions up to 2\. .*
HINT:  Install that version of timeshard or a later one, and restart the server\./, "of a newer version: $sql");
}
is(mark_bytes($node), $newer_mark, 'of a newer version: nothing is overwritten');
$node->stop('immediate');
write_mark($node, $old_mark);
start_with_env($node);
finish($newer_writers, 'of a newer version, and read by that version');

injected('damaged, and restored');
my $writers = down_under_load('immediate');
my $good = mark_bytes($node);
write_mark($node, '');
start_with_env($node);
fails_with($node, $next, $refused->($unsound), 'damaged, and restored: refused');
write_mark($node, $good);
finish($writers, 'damaged, and restored');

# Missing. The last checkpoint is the floor, and the rest of its second.
for my $case ([ 'missing, clock right', '+0' ], [ 'missing, clock 15 s behind', '-15', 15 ], [ 'missing, clock 1 h behind', '-1h', 3600 ])
{
    my ($name, $clock, $behind) = @$case;
    injected($name);
    my $writers = down_under_load('fast');
    unlink $path or die "cannot remove $path: $!";
    set_clock($node, $clock);
    start_with_env($node);
    fails_with($node, $next, qr/ERROR:  55000: clock is \d+\.\d+ s behind the server's last checkpoint\nDETAIL: .*\nHINT:  .*run CHECKPOINT\./,
        "$name: refused") if $behind;
    set_clock($node, '+0') if ($behind // 0) > 60;
    finish($writers, $name);
    set_clock($node, '+0');
}

# What a missing file costs: a crash, and its recovery makes a checkpoint by a
# clock that is behind. This is the limit that the manual states.
injected('missing after a crash, clock 1 h behind');
$node->stop('immediate');
unlink $path or die "cannot remove $path: $!";
set_clock($node, '-1h');
start_with_env($node);
my $id = $node->safe_psql('postgres', $next);
cmp_ok($id, '<', $greatest, 'missing after a crash, clock 1 h behind: nothing is left that could tell');
set_clock($node, '+0');
finish(start_writers($node, count => 3, pause => 500), 'and with the clock right');

$node->stop;
report_figures();
done_testing();
