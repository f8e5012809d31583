# Claims over time: extension by the claim's age, a repeated request, a clone, a claim that
# runs out, giving back and a planned restart, and clocks that differ. The registry's
# clock is stepped.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Registry;
use Timeshard;

my $node = new_registry('registry', '[0,1]', clock => 1, claim_length => '1 hour');

# How many minutes ahead of now a claim ends.
sub ahead
{
    my ($answer) = @_;
    return ($answer->{end_offset} + EPOCH - $answer->{registry_clock}) / MINUTE;
}

sub about
{
    my ($got, $expected, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok(abs($got - $expected) < 0.5, $name) || diag("$got is not about $expected");
}

my $claim = claim($node, claimant => 'first');
subtest 'a claim' => sub {
    is_deeply([ @$claim{qw(outcome node_id message)} ], [ 'claimed', 0, undef ], 'is given the first number');
    about(ahead($claim), 10, 'for ten minutes');
    cmp_ok($claim->{first_offset} + EPOCH, '<=', $claim->{registry_clock}, 'from the creation of the registry on');
    is(number_is($node, 0), 'claimed', 'as the fleet shows');
    is($node->safe_psql('postgres', 'SELECT timeshard_is_claimed(0), timeshard_is_claimed(1), timeshard_is_claimed(2) IS NULL'), 't|f|t', 'as anybody can ask');
};

subtest 'an extension' => sub {
    set_clock($node, '+1min');
    my $same = extend_claim($node, $claim);
    is($same->{outcome}, 'extended', 'is given with the proof');
    about(ahead($same), 10, 'for ten minutes at least');
    set_clock($node, '+30min');
    my $later = extend_claim($node, $same);
    is($later->{outcome}, 'extended', 'also where the claim has run out and nobody took the number');
    is($later->{first_offset}, $claim->{first_offset}, 'the claim is one');
    about(ahead($later), 30, 'by as much as the claim is old');
    set_clock($node, '+90min');
    $claim = extend_claim($node, $later);
    about(ahead($claim), 60, 'by the claim length at most');
};

subtest 'a repeated request' => sub {
    set_clock($node, '+91min');
    my $lost = extend_claim($node, $claim, tag => 'the same tag');
    is($lost->{outcome}, 'extended', 'an answer that is lost');
    set_clock($node, '+92min');
    my $again = extend_claim($node, $claim, tag => 'the same tag');
    is($again->{outcome}, 'confirmed', 'is confirmed');
    is($again->{end_offset}, $claim->{end_offset}, 'with the end that was known');
    my $next = extend_claim($node, $again);
    is($next->{outcome}, 'extended', 'the next one extends');
    cmp_ok($next->{end_offset}, '>', $lost->{end_offset}, 'past both');
    is(extend_claim($node, $lost)->{outcome}, 'not_yours', 'who heard the lost answer is a clone now');
    is(extend_claim($node, $claim, tag => 'the same tag')->{outcome}, 'not_yours', 'so is who repeats it still');
    is(extend_claim($node, $claim)->{outcome}, 'not_yours', 'and who shows the old proof with another tag');
    is(end_claim($node, $lost, $claim->{end_offset})->{outcome}, 'not_yours', 'a clone ends nothing');
    like(extend_claim($node, $claim)->{message}, qr/^number 0 is another's now: this claim was copied, or it ran out$/, 'it is told why');
    $claim = $next;
};

subtest 'clocks that differ' => sub {
    my $now = now_ms($node);
    for my $case ([ 61, 'ahead of' ], [ -61, 'behind' ], [ 3600 * 24 * 365, 'ahead of' ], [ -3600 * 24 * 365, 'behind' ])
    {
        my ($seconds, $words) = @$case;
        my $claimed = claim($node, clock => now_ms($node) + 1000 * $seconds);
        is($claimed->{outcome}, 'clocks_differ', "$seconds s: no claim");
        like($claimed->{message}, qr/^clock is \d+\.\d{3} s $words the registry's$/, 'and why');
        my $extended = extend_claim($node, $claim, clock => now_ms($node) + 1000 * $seconds);
        is($extended->{outcome}, 'clocks_differ', 'no extension');
        is($extended->{proof}, undef, 'the old proof stays');
    }
    is(extend_claim($node, $claim, clock => now_ms($node) - 55_000, tag => 'tag in time')->{outcome}, 'extended', 'less than a minute is fine');
    $claim = extend_claim($node, $claim, tag => 'tag in time');
    is($claim->{outcome}, 'confirmed', 'and can be repeated');
};

subtest 'nobody has it twice' => sub {
    my $other = claim($node, claimant => 'second');
    is($other->{node_id}, 1, 'the second number');
    is(claim($node)->{outcome}, 'none_free', 'then none is free');
    set_clock($node, '+103min');
    my $next = claim($node, claimant => 'third');
    is($next->{node_id}, 1, 'a claim that ran out is the next one\'s');
    is($next->{first_offset}, $other->{end_offset}, 'from where it ended');
    is(extend_claim($node, $other)->{outcome}, 'not_yours', 'its holder is told');
    is(extend_claim($node, $next)->{outcome}, 'extended', 'the new one holds it');

    # Who had a number at a time.
    my $id = sub { ($_[0] << 22) | (1 << 12) };
    my $who = sub { $node->safe_psql('postgres', 'SELECT claimant FROM timeshard_claimant(' . $id->($_[0]) . ')') };
    is($who->($other->{first_offset}), 'second', 'an ID of the second');
    is($who->($other->{end_offset} - 1), 'second', 'its last millisecond');
    is($who->($next->{first_offset}), 'third', 'the third\'s first');
    is($who->($other->{first_offset} - 1), '', 'nobody\'s, before the first claim');
    is($who->(2**40), '', 'nobody\'s, after the last');
};

subtest 'a planned restart' => sub {
    my $used = $claim->{end_offset} - 5 * MINUTE;
    set_clock($node, '+104min');
    my $now = now_ms($node);
    my $mark = $now - EPOCH + 1000;
    my $ended = end_claim($node, $claim, $mark);
    is_deeply([ @$ended{qw(outcome node_id end_offset)} ], [ 'ended', 0, $mark ], 'the number is given back');
    is(number_is($node, 0), 'given back', 'as the fleet shows');
    is(end_claim($node, $claim, $mark)->{outcome}, 'not_yours', 'once');
    is(claim($node)->{outcome}, 'none_free', 'it is not free before that end has passed');
    my $again = claim($node, preferred => 0, clock => $now);
    is($again->{node_id}, 0, 'but for who prefers it');
    is($again->{first_offset}, $mark, 'from that end on');
    is(claim($node, preferred => 0)->{outcome}, 'none_free', 'one has it');
    is(end_claim($node, $again, 0)->{end_offset}, $mark, 'what is given back is not below the claim');
    my $unused = claim($node, preferred => 0);
    is($unused->{first_offset}, $mark, 'a claim given back unused leaves no gap');
    is(end_claim($node, $unused, 2**40)->{end_offset}, $unused->{end_offset}, 'nor above it');
};

subtest 'the registry\'s clock goes back' => sub {
    # Number 1 was extended at +103 min.
    set_clock($node, '+80min');
    my $answer = claim($node);
    is($answer->{outcome}, 'none_free', 'what was claimed stays claimed');
    set_clock($node, '+116min');
    is(claim($node)->{node_id}, 1, 'until its end');
};

done_testing();
