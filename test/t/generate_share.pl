# Batches leave the last eighth of each millisecond to calls for one ID. The clock
# stands still, so that a millisecond lasts as long as the test needs it.
use strict;
use warnings FATAL => 'all';

use POSIX qw(strftime);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;
use TimeshardSession;

my $node = new_cluster('share', clock => 1, conf => <<'CONF');
timeshard.node_id = 3
timeshard.max_clock_wait = '20s'
CONF
my @single = (
    'timeshard_next_id()', q{(timeshard_parse(timeshard_next_id_with_prefix('A_'))).id},
    q{(timeshard_parse(timeshard_prefix_at('-', 4), '-')).id}, 'timeshard_next_ids(1)');
my $hours = 0;

for my $layout ([ 10, 4096 ], [ 16, 64 ])
{
    my ($bits, $room) = @$layout;
    my ($share, $name) = ($room / 8 * 7, "$bits node bits");
    $node->append_conf('postgresql.conf', "timeshard.node_id_bits = $bits");
    restart_with_env($node);
    $node->safe_psql('postgres', 'SELECT timeshard_next_id()');

    # Two batches, each of more than a millisecond has.
    $hours++;
    set_clock($node, strftime('%Y-%m-%d %H:%M:%S', localtime(time + $hours * 3600)));
    my @batches = map { TimeshardSession->new($node) } 1, 2;
    $_->send("SELECT count(*), count(DISTINCT id) FROM (SELECT timeshard_next_ids(2 * $room) AS id) AS b") for @batches;
    $_->await_wait for @batches;

    # All single calls that are left, which are new ones of that millisecond, then one that waits.
    my @ids;
    for my $call (@single)
    {
        my ($rc, $out) = $node->psql('postgres', "SELECT $call FROM generate_series(1, $room / 32)");
        push @ids, split /\n/, $out;
        last if $rc != 0;    # it has waited as long as it may
    }
    is(join(' ', map { $_ & $room - 1 } @ids), join(' ', $share .. $room - 1), "$name: single calls have the last eighth at once");
    is(scalar(grep { $_ >> 22 == $ids[0] >> 22 } @ids), $room / 8, "$name: of one millisecond");
    is(join(' ', map { $_->{out} } @batches), ' ', "$name: the batches wait meanwhile");
    my $late = TimeshardSession->new($node);
    $late->send('SELECT timeshard_next_id()');
    $late->await_wait;

    # The clock goes on.
    set_clock($node, '+' . ($hours * 3600 + 2));
    is(($_->receive)[0], join('|', (2 * $room) x 2), "$name: a batch comes whole") for @batches;
    cmp_ok(($late->receive)[0], '>', $ids[-1] // 0, "$name: and so does the single call");
    $_->finish for @batches, $late;
}

$node->stop;
done_testing();
