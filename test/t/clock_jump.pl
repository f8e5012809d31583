# A clock that jumps far ahead while the server runs burns no node ID: the reservation is
# not extended, so no ID is made by that clock, and once it is right calls work as before.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";

use Test::More;
use Timeshard;
use TimeshardSession;

my $next = 'SELECT timeshard_next_id()';
my $jumped = qr/ERROR:  55000: clock has jumped ahead by \d+\.\d+ s\nDETAIL:  .*timeshard.max_clock_jump is 86400 s\.\nHINT:  .*timeshard_accept_clock\(\)/;

# How far the time of a new ID is ahead of the machine's clock, which the test has.
sub ahead
{
    my ($node) = @_;
    return $node->safe_psql('postgres', 'SELECT timestamp / 1000.0 FROM timeshard_parse(timeshard_next_id())') - time;
}

for my $preload (0, 1)
{
    my $mode = $preload ? 'preloaded' : 'loaded by a session';
    my $node = new_cluster("jump_$preload", preload => $preload, clock => 1, conf => "timeshard.node_id = 7\n");
    my $first = $node->safe_psql('postgres', $next);

    set_clock($node, '+23h');
    cmp_ok(ahead($node), '>', 80000, "$mode: less than a day ahead: an ID of that time");
    set_clock($node, '+40d');
    fails_with($node, $next, $jumped, "$mode: weeks ahead") for 1 .. 2;
    fails_with($node, 'SELECT timeshard_horizon()', $jumped, "$mode: weeks ahead, the horizon");
    cmp_ok($node->safe_psql('postgres', 'SELECT clock_refusals FROM timeshard_stats()'), '>=', 3, "$mode: refusals are counted");
    set_clock($node, '+23h');
    cmp_ok(ahead($node), '<', 90000, "$mode: set right, calls work at once and no ID is of the wrong time");

    set_clock($node, '+40d');
    $node->safe_psql('postgres', 'CREATE ROLE plain LOGIN');
    fails_with($node, 'SET ROLE plain; SELECT timeshard_accept_clock()', qr/42501: permission denied/, "$mode: not for everybody");
    fails_with($node, $next, $jumped, "$mode: still refused");
    $node->safe_psql('postgres', 'SELECT timeshard_accept_clock()');
    cmp_ok(ahead($node), '>', 39 * 86400, "$mode: accepted, IDs are of the clock's time");

    set_clock($node, '+100d');
    fails_with($node, $next, $jumped, "$mode: the next jump is judged anew");
    restart_with_env($node);
    cmp_ok(ahead($node), '>', 99 * 86400, "$mode: a restart accepts the clock");

    set_clock($node, '+200d');
    fails_with($node, $next, $jumped, "$mode: the setting is on");
    configure($node, 'timeshard.node_id = 7', 'timeshard.max_clock_jump = 0');
    $node->reload;
    $node->poll_query_until('postgres', "SELECT setting = '0' FROM timeshard_config(), pg_settings WHERE name = 'timeshard.max_clock_jump'", 't') or die 'no reload';
    cmp_ok(ahead($node), '>', 199 * 86400, "$mode: and can be turned off");

    # Time that passes while nobody makes IDs is no jump.
    configure($node, 'timeshard.node_id = 7', "timeshard.max_clock_jump = '1s'");
    $node->reload;
    $node->poll_query_until('postgres', "SELECT setting = '1' FROM timeshard_config(), pg_settings WHERE name = 'timeshard.max_clock_jump'") or die 'no reload';
    $node->safe_psql('postgres', $next);
    $node->poll_query_until('postgres', "SELECT clock_timestamp() > reserved_until + interval '2 s' FROM timeshard_stats()") or die 'the server does not rest';
    my ($rc, undef, $err) = $node->psql('postgres', $next);
    ok($rc == 0, "$mode: idle for longer than the largest jump, it issues IDs") or diag $err;
    $node->stop;
}

done_testing();
