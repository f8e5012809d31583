# The mark damaged, removed or out of reach while the server runs: the next
# extension writes it anew, or fails, issues nothing and works once it can. Also on a
# disk that is full or read-only.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";

use SmallDisk;

use FaultKit;
use MarkFile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;
use TimeshardSession;

my $next = 'SELECT timeshard_next_id()';
my $node = fault_cluster('in_use', clock => 1, shim => 0, conf => "timeshard.node_id = 23\ntimezone = 'UTC'\n");
my $path = mark_path($node);

# The generation that the mark has come to, when it is sound.
sub generation
{
    return (mark_of($node) // { generation => 0 })->{generation};
}

# Overwritten, cut or gone under load: nobody notices, and it is whole again within
# an extension or two. What it says then holds through a crash.
sub overwrite
{
    my ($bytes) = @_;
    open my $out, '+<:raw', $path or die "cannot open $path: $!";
    print $out $bytes;
    close $out or die "cannot write $path: $!";
    return;
}

for my $case (
    [ 'removed', sub { unlink $path or die "cannot remove $path: $!" } ],
    [ 'truncated to nothing', sub { truncate $path, 0 } ],
    [ 'truncated to 40 bytes', sub { truncate $path, 40 } ],
    [ 'overwritten', sub { overwrite(join '', map { chr int rand 256 } 1 .. 8192) } ])
{
    my ($name, $damage) = @$case;
    $name = injected("$name while in use");
    my $writers = start_writers($node, count => 3, pause => 500);
    my $generation = generation();
    $damage->();
    ok(await_mark($node, $generation + 2), "$name: whole again, and the generations go on");
    ok($writers->await_progress, "$name: all sessions are served");
    is((stat $path)[2] & 07777, 0600, "$name: the server's alone");
    is_deeply(read_logs([ $writers->logs ])->{errors}, {}, "$name: no session has noticed");
    kill9_all($node);
    set_clock($node, '-1h');
    restart_now($node);
    fails_with($node, $next, qr/ERROR:  55000: clock is \d+\.\d+ s behind what earlier runs of this server reserved/,
        "$name, then killed: the clock an hour back is seen");
    set_clock($node, '+0');
    ok($writers->await_progress, "$name, then killed: all sessions are served");
    check_ids($node, $writers, { name => $name });
    unlike(log_of($node), qr/WARNING/, "$name: no warning");
}

# Out of reach: refused with the error of the file, never past what is on disk, until
# it can be written.
sub out_of_reach
{
    my ($name, $error, $take_away, $give_back) = @_;
    injected($name);
    my $writers = start_writers($node, count => 3, pause => 500);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok($writers->await_error($error, $take_away), "$name: sessions are refused");
    ok($node->poll_query_until('postgres', 'SELECT reserved_until <= clock_timestamp() FROM timeshard_stats()'),
        "$name: what was reserved is used up");
    fails_with($node, $next, qr/ERROR:  \S+: could not write file "timeshard.mark(?:\.tmp)?": .*\nDETAIL:  No ID was issued, .* The next call tries again\./,
        "$name: the error says what that means");
    my $asked = $node->safe_psql('postgres', 'SELECT ids_issued FROM timeshard_stats()');
    $node->psql('postgres', $next) for 1 .. 3;
    is($node->safe_psql('postgres', 'SELECT ids_issued FROM timeshard_stats()'), $asked, "$name: nothing is issued");
    $give_back->();
    ok($writers->await_progress, "$name: given back, all sessions are served");
    my $figures = check_ids($node, $writers, { name => $name });
    is(scalar(grep { !/^(?:42501|42809|53100)$/ } keys %{ $figures->{errors} }), 0, "$name: no other errors");
    ok(await_mark($node), "$name: both records are sound");
    return;
}

out_of_reach('unreadable while in use', qr/^42501 could not write file "timeshard.mark": Permission denied/,
    sub { chmod 0, $path }, sub { chmod 0600, $path });
out_of_reach('a directory in its place while in use', qr/^42809 could not write file "timeshard.mark": Is a directory/,
    sub { rename $path, "$path.old"; mkdir $path }, sub { rmdir $path });
out_of_reach('a directory that takes no files, the mark removed', qr/^42501 could not write file "timeshard.mark.tmp": Permission denied/,
    sub { unlink $path; chmod 0500, $node->data_dir }, sub { chmod 0700, $node->data_dir });
$node->stop;

SKIP:
{
    if ($no_disk)
    {
        diag("mark_in_use: a full and a read-only disk are skipped: $no_disk");
        skip "no mount namespace of its own: $no_disk", 1;
    }
    $node = fault_cluster('disk', clock => 1, shim => 0, start => 0, conf => "timeshard.node_id = 24\ntimezone = 'UTC'\n");
    move_to_disk($node);
    start_with_env($node);
    $node->safe_psql('postgres', 'CREATE EXTENSION timeshard');
    prepare_table($node);
    $path = mark_path($node);

    my $name = injected('the first mark on a full disk');
    fill_disk();
    my $full = qr/ERROR:  53100: could not write file "timeshard.mark.tmp": No space left on device\nDETAIL:  No ID was issued, .* The next call tries again\./;
    fails_with($node, $next, $full, "$name: refused") for 1 .. 2;
    ok(!-e $path, "$name: there is no mark");
    is($node->safe_psql('postgres', 'SELECT ids_issued, last_id IS NULL, reserved_until IS NULL FROM timeshard_stats()'), '0|t|t',
        "$name: nothing is issued");
    # Below what the last checkpoint gives, which is held but not on disk either.
    my $past = (time - 60) * 1000 - $MarkFile::epoch << 22;
    fails_with($node, "SELECT timeshard_raise_floor($past)", $full, "$name: nor can the floor be raised, not even to the past");
    free_disk();
    like($node->safe_psql('postgres', $next), qr/^\d+$/, "$name: works once there is room");
    ok(!-e "$path.tmp", "$name: nothing is left behind");

    $name = injected('a disk that fills up under load');
    my $writers = start_writers($node, count => 3, pause => 500);
    fill_disk();
    my $generation = generation();
    ok(await_mark($node, $generation + 3), "$name: the mark goes on");
    ok($writers->await_progress, "$name: all sessions are served");
    is_deeply(read_logs([ $writers->logs ])->{errors}, {}, "$name: no session has noticed");
    kill9_all($node);
    unlink "$disk/postmaster.pid"; # its page is what the next one takes
    set_clock($node, '-1h');
    restart_now($node);
    fails_with($node, $next, qr/ERROR:  55000: clock is \d+\.\d+ s behind what earlier runs of this server reserved/,
        "$name, then killed: the clock an hour back is seen");
    set_clock($node, '+0');
    ok($writers->await_progress, "$name, then killed: all sessions are served");
    check_ids($node, $writers, { name => $name });
    free_disk();

    out_of_reach('a disk that becomes read-only', qr/^42501 could not write file "timeshard.mark": Read-only file system/,
        sub { remount('ro') }, sub { remount('rw') });

    $name = injected('a read-only disk before the first ID');
    $node->stop;
    unlink $path or die "cannot remove $path: $!";
    start_with_env($node);
    remount('ro');
    fails_with($node, $next, qr/ERROR:  42501: could not write file "timeshard.mark.tmp": Read-only file system\nDETAIL:  No ID was issued/,
        "$name: refused") for 1 .. 2;
    remount('rw');
    like($node->safe_psql('postgres', $next), qr/^\d+$/, "$name: works once it can be written");
    $node->stop;
}

report_figures();
done_testing();
