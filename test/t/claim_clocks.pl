# Clocks that differ from the registry's by an hour or a year: neither a claim nor an
# extension, a warning, and nothing to repair once the clock is right. No number left is
# an error that says when one will be free.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use Claimants;
use FaultKit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;
use TimeshardSession;

my $next = 'SELECT node_id FROM timeshard_parse(timeshard_next_id())';
my $conf = "timeshard.max_clock_jump = 0\n";
my $registry = start_registry('registry', numbers => '[100,101]');

# At a start. (A clock that is behind is refused for its past first.)
my $servers = 0;
for my $clock ('-1h', '+1h', '+365d')
{
    my $name = injected("the clock is off by $clock at a start");
    my $node = new_claimant('off_' . ++$servers, $registry, clock => 1, conf => $conf, start => 0);
    set_clock($node, $clock);
    start_with_env($node);
    $node->safe_psql('postgres', 'CREATE EXTENSION timeshard');
    fails_with($node, $next, qr/clock is \d+\.\d+ s (?:ahead of the registry's|behind the server's last checkpoint)/, "$name: an error that says why");
    like(registry_error($node), qr/^clock is \d+\.\d+ s (?:ahead of|behind) the registry's$/, "$name: no claim");
    ok($node->log_contains(qr/WARNING: +trouble with timeshard's registry: clock is/), "$name: and a warning");
    set_clock($node, '+0');
    ok(eventually(sub { ($node->psql('postgres', $next))[0] == 0 }), "$name: set right, the server claims");
    $node->stop;
}

# While a claim is held.
my $node = new_claimant('held', $registry, clock => 1, conf => $conf);
like(my $number = $node->safe_psql('postgres', $next), qr/^10[01]$/, 'numbers that were given back are used again');
my $writers = start_writers($node, count => 4);
for my $clock ('+1h', '+365d')
{
    my $name = injected("the clock steps by $clock while a claim is held");
    set_clock($node, $clock);
    fails_with($node, $next, qr/this server holds no claim of a node ID, and issues no IDs\nDETAIL:  .*clock is \d+\.\d+ s ahead/, "$name: refused past the claim's end");
    set_clock($node, '+0');
    ok($writers->await_progress, "$name: set right, IDs go on");
    is(number_of($node), $number, "$name: with the same number");
}
$writers->stop;
check_ids($node, $writers, { name => 'steps of the clock' });
check_claims($registry, ['held'], $writers);

# No number is left.
my $second = new_claimant('second', $registry);
is(my $last = await_claim($second), 201 - $number, 'the last number');
my $third = new_claimant('third', $registry);
fails_with($third, $next, qr/none of the registry's numbers is free until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/, 'then an error says when one will be free');
$second->stop;
ok(eventually(sub { ($third->psql('postgres', $next))[0] == 0 }), 'one that is given back is taken');
is(number_of($third), $last, 'which is that one');
$_->stop for $third, $node, $registry;

# A server that claims from itself.
my $name = 'a server that claims from itself';
my $own = fault_cluster('own', shim => 0);
$own->safe_psql('postgres', "SELECT timeshard_create_registry('[100,199]')");
$own->append_conf('postgresql.conf', "shared_preload_libraries = 'timeshard'\n" . registry_settings($own));
$own->restart;
is(await_claim($own), 100, "$name: it has a number once it is up");
my $before = start_writers($own, count => 2);
$own->restart;
like(log_of($own), qr/could not give node ID 100 back: .*shutting down/, "$name: nothing can be given back");
is(await_claim($own), 101, "$name: a restart takes another number");
my $after = start_writers($own, count => 2);
check_ids($own, $before, $after, { name => $name });
$own->stop;
report_figures();
done_testing();
