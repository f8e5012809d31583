# doc/edge.md: a machine that starts with the time of long ago, and is set right while
# the server runs. No ID is made by that clock, and calls work again without a restart.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Manual qw(read_text);
use Timeshard;

my $page = read_text("$FindBin::RealBin/../../doc/edge.md");
my $next = 'SELECT timeshard_next_id()';

sub said_by_page
{
    my ($message) = @_;
    like($page, qr/`\Q$message\E`/, 'the page: ' . $message =~ s/\x{2026}/.../r);
    my $pattern = join '.*', map { quotemeta } split /\x{2026}/, $message;
    return qr/$pattern/;
}

for my $preload (0, 1)
{
    my $mode = $preload ? 'preloaded' : 'loaded by a session';
    my $node = new_cluster("edge_$preload", preload => $preload, clock => 1, conf => "timeshard.node_id = 7\n");
    $node->stop;
    set_clock($node, '-40d');
    start_with_env($node);
    fails_with($node, $next, said_by_page("clock is \x{2026} s behind the server's last checkpoint"), "$mode: no ID was made before");
    set_clock($node, '+0');
    my $first = $node->safe_psql('postgres', $next);
    ok($first, "$mode: the clock is set right: an ID");

    $node->stop;
    set_clock($node, '-40d');
    start_with_env($node);
    fails_with($node, $next, said_by_page("clock is \x{2026} s behind what earlier runs of this server reserved"), "$mode: after a run");
    set_clock($node, '+0');
    cmp_ok($node->safe_psql('postgres', $next), '>', $first, "$mode: the clock is set right: a later ID, without a restart");

    # As where the time was saved some seconds before the power was lost.
    configure($node, 'timeshard.node_id = 7', $page =~ /^(timeshard\.max_clock_wait = '60s')$/m);
    $node->stop;
    set_clock($node, '-5');
    start_with_env($node);
    ok($node->safe_psql('postgres', $next), "$mode: a call waits for what was lost since the time was saved");
    $node->stop;
}

done_testing();
