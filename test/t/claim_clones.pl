# A machine that is cloned with its memory: two hold one claim, and the registry cannot tell
# them apart until both have asked. The test plays the clone, which shows the proof that the
# server has: whoever asks second is refused, stops at once and claims anew, under load.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use Claimants;
use FaultKit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Registry ();
use Test::More;
use Timeshard;
use TimeshardSession;

my $registry = start_registry('registry', numbers => '[100,103]');
my $original = new_claimant('original', $registry);
is(await_claim($original), 100, 'the original has a number');
my $writers = start_writers($original, count => 6);

# The proof that the holder of a number has in its memory.
sub proof_of
{
    my ($number) = @_;
    return $registry->safe_psql('postgres', 'SELECT timeshard_registry_sign(key, number, first_offset, end_offset, run, nonce)'
          . " FROM timeshard_registry, timeshard_registry_numbers WHERE number = $number");
}

sub clone_of { return { proof => proof_of(number_of($_[0])) } }

# The original asks after its clone has done something: it is refused, and goes over.
sub goes_over
{
    my ($from, $to, $name) = @_;
    my $offset = -s $original->logfile;
    ask_again($original);
    ok($original->wait_for_log(qr/timeshard no longer holds node ID $from/, $offset), "$name: the original is refused");
    is(await_claim($original), $to, "$name: and has another number, without a restart");
    ok($writers->await_progress, "$name: with which it goes on");
    return;
}

my $name = injected('the clone asks first');
my $clone = Registry::extend_claim($registry, clone_of($original));
is($clone->{outcome}, 'extended', "$name: nothing shows that it is one");
ok($writers->await_progress, "$name: the original goes on");
goes_over(100, 101, $name);
is(Registry::extend_claim($registry, $clone)->{outcome}, 'extended', "$name: the clone keeps the number");

$name = injected('the original asks first');
$clone = clone_of($original);
my $until = claimed_until($original);
ask_again($original);
ok(eventually(sub { claimed_until($original) > $until }), "$name: it is extended");
is(Registry::extend_claim($registry, $clone)->{outcome}, 'not_yours', "$name: the clone is refused");
is(Registry::end_claim($registry, $clone, 2**40)->{outcome}, 'not_yours', "$name: and ends nothing");
is(fleet_state($registry, 101), 'claimed', "$name: the original holds the number");

$name = injected('the clone gives the number back');
is(Registry::end_claim($registry, clone_of($original), 2**40)->{outcome}, 'ended', "$name: nothing shows that it is one");
goes_over(101, 102, $name);

# A clone that has made the same request asks with the same tag, and both are told the same:
# the one that asks next is the holder.
$name = injected('cloned in the middle of an extension');
$clone = clone_of($original);
my $tag = 'a tag that both have';
my $lost = Registry::extend_claim($registry, $clone, tag => $tag);
is(Registry::extend_claim($registry, $clone, tag => $tag)->{outcome}, 'confirmed', "$name: the request is confirmed to both");
is(Registry::extend_claim($registry, $lost)->{outcome}, 'extended', "$name: one of them goes on");
goes_over(102, 103, $name);

$name = injected('a clone, and no number is free');
$clone = Registry::extend_claim($registry, clone_of($original));
my $offset = -s $original->logfile;
ask_again($original);
ok($writers->await_error(qr/^55000 this server holds no claim/), "$name: the original issues no IDs");
my ($refused) = slurp_file($original->logfile, $offset) =~ /^(\S+ \S+ \S+) .*timeshard no longer holds node ID 103/m;
my $late = $original->safe_psql('postgres', "SELECT extract(epoch FROM last_id_at - '$refused') FROM timeshard_stats()");
cmp_ok($late, '<', 0.25, "$name: from when it is refused, not from the end of what it has reserved");
is(Registry::end_claim($registry, $clone, Registry::now_ms() - Registry::EPOCH)->{outcome}, 'ended', "$name: the clone stops");
ok($writers->await_progress, "$name: the original goes on");

$writers->stop;
check_ids($original, $writers, { name => 'the original' });
is_deeply([ check_claims($registry, ['original'], $writers) ], [ 100 .. 103 ], 'and it used four numbers');
check_intervals($registry);
$_->stop for $original, $registry;
report_figures();
done_testing();
