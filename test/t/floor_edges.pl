# The floor to the millisecond, on clocks that stand still, and what else only a
# moment's odd state shows: a newer version's record beside an older one, a floor
# that is in memory only.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use MarkFile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use POSIX qw(strftime);
use Test::More;
use Timeshard;

my $next = 'SELECT timeshard_next_id()';
my $node = new_cluster('edges', clock => 1, conf => "timeshard.node_id = 3\nautovacuum = off\n");

# Stands the server's clock still in this millisecond since the epoch.
sub stand_at
{
    my ($offset, $us) = @_;
    my $ms = $MarkFile::epoch + $offset;
    set_clock($node, strftime('%F %T', localtime(int $ms / 1000)) . sprintf('.%03d%03d', $ms % 1000, $us));
    return;
}

# A crash, and a start in that millisecond: its recovery makes the checkpoint, so
# that the mark is the greater floor.
$node->safe_psql('postgres', $next);
$node->stop('immediate');
my $end = mark_of($node)->{end};
for my $us (1, 999)
{
    stand_at($end, $us);
    start_with_env($node);
    is($node->safe_psql('postgres', 'SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)'),
        $MarkFile::epoch + $end, "the clock stands in the floor's millisecond, $us us into it");
    fails_with($node, $next, qr/ERROR:  55000: clock is 0\.00[012] s behind the floor/, 'no ID is made in it');
    $node->stop('immediate');
    is(mark_of($node)->{end}, $end, 'and nothing is reserved');
}
stand_at($end + 1, 1);
start_with_env($node);
is(offset_of($node->safe_psql('postgres', $next)), $end + 1, "the first ID is of the next millisecond");
set_clock($node, '+0');
$node->stop('immediate');

# A record of a newer version in one slot, of either generation, is not read past.
my $good = mark_bytes($node);
for my $slot (0, 1)
{
    for my $generation (0, 1)
    {
        my $bytes = $good;
        my $newer = sealed_slot(substr($bytes, $slot * 4096, 4096), 'version', 3);
        $newer = sealed_slot($newer, 'generation', mark_of($node)->{generation} + $generation);
        substr($bytes, $slot * 4096, 4096) = $newer;
        write_mark($node, $bytes);
        start_with_env($node);
        fails_with($node, $next, qr/ERROR:  55000: file "timeshard.mark" was written by a newer version of timeshard\nDETAIL:  The file has version 3,/,
            "a newer version in slot $slot, $generation generations on, is refused");
        $node->stop('immediate');
        write_mark($node, $good);
    }
}

# The mark is gone and the clock behind, so the floor is the checkpoint's, in
# memory only; whoever raises it then, by less, still finds it on disk.
$node->append_conf('postgresql.conf', 'timeshard.max_clock_wait = 60s');
start_with_env($node);
$node->safe_psql('postgres', $next);
$node->stop;
unlink mark_path($node) or die "cannot remove the mark: $!";
set_clock($node, '-30');
start_with_env($node);
fails_with($node, "SET statement_timeout = '100ms'; $next", qr/ERROR:  57014: canceling statement due to statement timeout/,
    'the first call waits for the checkpoint');
ok(!-e mark_path($node), 'and nothing is on disk yet');
my $asked = int(time * 1000) - $MarkFile::epoch - 20_000;
$node->safe_psql('postgres', 'SELECT timeshard_raise_floor(' . ($asked << 22) . ')');
cmp_ok(mark_of($node)->{end} // 0, '>=', $asked, 'a raised floor is on disk, also below the one in memory');
set_clock($node, '+0');
is($node->psql('postgres', $next), 0, 'with the clock right, IDs are made again');
$node->stop;

done_testing();
