# The mark that 1.1.0 and 1.0.0 wrote, which does not tell the run: it counts, in both
# slots or in one, and becomes one of today.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";

use MarkFile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;
use TimeshardSession;

my $next = 'SELECT timeshard_next_id()';
my $node = new_cluster('main', conf => "timeshard.node_id = 7\ntimeshard.max_clock_wait = '10s'");
my $last = $node->safe_psql('postgres', $next);

# A slot of the next generation, with an end so much later.
sub later
{
    my ($slot, $ms) = @_;
    my ($record) = mark_slots($slot . $slot);
    return sealed_slot(sealed_slot($slot, 'generation', $record->{generation} + 1), 'end', $record->{end} + $ms);
}

for my $case (
    [ 'both', sub { (slot_of_1_1($_[0]), slot_of_1_1($_[0])) } ],
    [ 'both, and different', sub { (slot_of_1_1($_[0]), slot_of_1_1(later($_[0], 700))) } ],
    [ 'the older', sub { (slot_of_1_1($_[0]), later($_[0], 700)) } ],
    [ 'the newer', sub { ($_[0], slot_of_1_1(later($_[0], 700))) } ],
    [ 'one, of the same generation', sub { ($_[0], slot_of_1_1($_[0])) } ],
    [ 'the only sound one', sub { ("\0" x 4096, slot_of_1_1(later($_[0], 700))) } ],
    [ 'one, the other damaged', sub { my $bad = slot_of_1_1(later($_[0], 700)); substr($bad, 92, 1) ^= "\x10"; (slot_of_1_1($_[0]), $bad) } ])
{
    my ($name, $slots) = @$case;
    $node->stop;
    my $record = mark_of($node);
    is($record->{version}, 2, "$name: written before by this version");
    my $slot = substr(mark_bytes($node), 4096 * $record->{slot}, 4096);
    # The newer generation has its own slot.
    my ($older, $newer) = $slots->($slot);
    my $bytes = $record->{slot} == 0 ? $older . $newer : $newer . $older;
    write_mark($node, $bytes);
    my $end = $record->{end} + ($name =~ /different|older|newer|only/ ? 700 : 0);
    is(mark_of($node)->{end}, $end, "$name: as damaged or not as meant");
    my $from = -s $node->logfile;
    $node->start;
    my $id = $node->safe_psql('postgres', $next);
    cmp_ok(offset_of($id), '>=', $end, "$name: IDs start above it");
    cmp_ok($id, '>', $last, "$name: and above the last");
    $last = $id;
    ok(await_mark($node, $record->{generation}), "$name: both slots are written again");
    my @now = mark_slots(mark_bytes($node));
    is("$now[0]{version} $now[1]{version} $now[0]{node_id}", '2 2 7', "$name: by this version");
    unlike(slurp_file($node->logfile, $from), qr/WARNING|ERROR|has changed/, "$name: without complaint");
}

# Both damaged where only that version has its checksum.
$node->stop;
my $bad = slot_of_1_1(substr(mark_bytes($node), 0, 4096));
substr($bad, 92, 1) ^= "\x10";
write_mark($node, $bad . $bad);
$node->start;
fails_with($node, $next, qr/ERROR: +55000: +file "timeshard\.mark" is damaged\nDETAIL: +Neither of its two records is sound\./, 'both damaged');
$node->stop;

done_testing();
