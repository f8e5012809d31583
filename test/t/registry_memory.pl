# A registry that has lost its memory: a standby promoted without the last claims, a restored
# dump, tables put back from a snapshot. It notices by what it runs on, by what it has
# signed, or is told; then every number rests, and holders are believed by their proof.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Registry;
use Timeshard;

sub rests_for
{
    my ($node, $number, $database) = @_;
    return $node->safe_psql($database // 'postgres',
        "SELECT state, round(extract(epoch FROM ends_at - clock_timestamp()) / 60) FROM timeshard_fleet WHERE number = $number");
}

subtest 'a standby is promoted' => sub {
    my $node = new_registry('primary', '[0,9]', init => [ allows_streaming => 1 ], conf => "wal_keep_size = 64MB\n");
    $node->backup('base');
    my $standby = PostgreSQL::Test::Cluster->new('standby');
    $standby->init_from_backup($node, 'base', has_streaming => 1);
    $standby->start;
    my $known = claim($node, claimant => 'known');
    $node->wait_for_catchup($standby);
    like(refused_call($standby, "SELECT timeshard_claim('x', 1, 10, 1)"), qr/25006: cannot execute a change of the registry during recovery/, 'a standby gives no claim');
    $standby->stop;
    my $unknown = claim($node, claimant => 'unknown');
    is($unknown->{node_id}, 1, 'a claim that the standby never hears of');
    $node->stop('immediate');
    $standby->start;
    $standby->promote;

    my $answer = claim($standby);
    is($answer->{outcome}, 'none_free', 'the promoted standby gives nobody a number');
    like($answer->{message}, qr/is free until .* UTC: numbers rest, as the registry has lost its memory$/, 'and says why');
    is(rests_for($standby, 0), 'resting|1442', 'a number that was claimed rests for a claim length and two minutes');
    is(rests_for($standby, 1), 'resting|12', 'one that was free, for what has been claimed since');

    for my $lost ($unknown, $known)
    {
        my $again = extend_claim($standby, $lost, claimant => 'believed');
        is($again->{outcome}, 'extended', 'a holder is believed');
        is_deeply([ @$again{qw(node_id first_offset)} ], [ @$lost{qw(node_id first_offset)} ], 'with its claim');
        cmp_ok($again->{end_offset}, '>=', $lost->{end_offset}, 'which is not cut short');
        is(extend_claim($standby, $lost)->{outcome}, 'not_yours', 'its clone is not');
        is(extend_claim($standby, $again)->{outcome}, 'extended', 'the claim goes on');
    }
    is($standby->safe_psql('postgres', "SELECT string_agg(number || ' ' || claimant, ',' ORDER BY number) FROM timeshard_claims"),
        '0 believed,1 believed', 'the history has both');
    is($standby->safe_psql('postgres', 'SELECT run FROM timeshard_registry'), 2, 'memory was lost once');
    $standby->restart;
    is(claim($standby)->{outcome}, 'none_free', 'a restart changes nothing');
    is($standby->safe_psql('postgres', 'SELECT run FROM timeshard_registry'), 2, 'and is no loss');
};

my $node = new_registry('registry', '[0,3]', clock => 1, claim_length => '1 hour');

subtest 'a restored dump' => sub {
    $node->safe_psql('postgres', 'CREATE ROLE owner LOGIN; CREATE DATABASE restored OWNER owner');
    my $known = claim($node);
    my $file = $node->basedir . '/registry.dump';
    my @to = ('-h', $node->host, '-p', $node->port);
    command_ok([ 'pg_dump', @to, '-Fc', '-f', $file, 'postgres' ], 'a registry is dumped');
    $node->safe_psql('postgres', 'CREATE ROLE stranger LOGIN; CREATE ROLE reader LOGIN IN ROLE pg_read_all_data');
    command_fails_like([ 'pg_dump', @to, '-U', 'stranger', '-f', '/dev/null', 'postgres' ], qr/permission denied for table timeshard_registry/,
        'not by a role that may not read its tables');
    command_ok([ 'pg_dump', @to, '-U', 'reader', '-f', '/dev/null', 'postgres' ], 'pg_read_all_data is enough');
    my $unknown = claim($node);
    # Nobody but a superuser may set an extension's comment there.
    command_ok([ 'pg_restore', @to, '-U', 'owner', '--no-owner', '--no-comments', '--exit-on-error', '-d', 'restored', $file ],
        'its owner restores it without being a superuser');
    is(claim($node, database => 'restored')->{outcome}, 'none_free', 'the restored one notices');
    is(rests_for($node, 0, 'restored'), 'resting|62', 'what was claimed rests');
    is(rests_for($node, 3, 'restored'), 'resting|12', 'so does the rest, for less long');
    for my $holder ($known, $unknown)
    {
        my $again = extend_claim($node, $holder, database => 'restored');
        is($again->{outcome}, 'extended', "the holder of number $holder->{node_id} is believed");
        set_clock($node, '+5min');
        is(extend_claim($node, $again, database => 'restored')->{outcome}, 'extended', 'its claim goes on');
        set_clock($node, '+0');
    }
    set_clock($node, '+13min');
    my $next = claim($node, database => 'restored');
    is($next->{outcome}, 'claimed', 'then the first numbers are free');
    is($next->{node_id}, 2, 'but not those of holders');
    is(extend_claim($node, $next, database => 'restored')->{outcome}, 'extended', 'all goes on');
    is($node->safe_psql('restored', 'SELECT run FROM timeshard_registry'), 2, 'memory was lost once');
    is($node->safe_psql('postgres', 'SELECT run FROM timeshard_registry'), 1, 'and the dumped one knows of nothing');
};

# Puts the tables back as they were at the snapshot.
sub snapshot { return $node->safe_psql('postgres', 'CREATE TABLE numbers_then AS SELECT * FROM timeshard_registry_numbers; CREATE TABLE settings_then AS SELECT * FROM timeshard_registry') }

sub put_back
{
    return $node->safe_psql('postgres', <<'SQL');
BEGIN;
DELETE FROM timeshard_registry_numbers; INSERT INTO timeshard_registry_numbers SELECT * FROM numbers_then;
DELETE FROM timeshard_registry; INSERT INTO timeshard_registry SELECT * FROM settings_then;
DROP TABLE numbers_then, settings_then;
COMMIT;
SQL
}

subtest 'a snapshot shows by a proof' => sub {
    set_clock($node, '+30min');
    my $old = claim($node);
    snapshot();
    set_clock($node, '+31min');
    my $held = extend_claim($node, $old);
    put_back();
    my $again = extend_claim($node, $held);
    is($again->{outcome}, 'extended', 'of a later end than it knows: the holder is believed');
    is($node->safe_psql('postgres', 'SELECT run FROM timeshard_registry'), 2, 'a loss is noticed');
    my ($other) = grep { $_ != $held->{node_id} } 0 .. 3;
    is(number_is($node, $other), 'resting', 'and the other numbers rest');

    snapshot();
    $node->safe_psql('postgres', 'SELECT timeshard_registry_restored()');
    my $later = extend_claim($node, $again);
    is($later->{outcome}, 'extended', 'the next run believes it too');
    put_back();
    is(extend_claim($node, $later)->{outcome}, 'extended', 'of a later run');
    is($node->safe_psql('postgres', 'SELECT run FROM timeshard_registry'), 4, 'is noticed as well');
};

subtest 'a snapshot is told' => sub {
    set_clock($node, '+180min');
    my $held = claim($node);
    set_clock($node, '+181min');
    is(extend_claim($node, $held, tag => 'fresh and repeated')->{outcome}, 'extended', 'a claim');
    $node->safe_psql('postgres', 'SELECT timeshard_registry_restored()');
    is($node->safe_psql('postgres', q{SELECT DISTINCT state FROM timeshard_fleet}), 'resting', 'every number rests');
    set_clock($node, '+189min');
    my $kept = extend_claim($node, $held);
    is($kept->{outcome}, 'kept', 'a holder with less than two minutes left keeps what it has');
    like($kept->{message}, qr/^the registry has lost its memory, and number \d rests until .* UTC$/, 'and is told why');
    is(end_claim($node, $held, $held->{end_offset})->{outcome}, 'kept', 'nor can it give it back');
    set_clock($node, '+185min');
    my $ended = end_claim($node, $held, $held->{first_offset} + 1);
    is_deeply([ @$ended{qw(outcome end_offset)} ], [ 'ended', $held->{first_offset} + 1 ], 'with more time left it can');
};

subtest 'an operator frees a number' => sub {
    $node->safe_psql('postgres', 'SELECT timeshard_registry_restored()');
    my $before = rests_for($node, 3);
    $node->safe_psql('postgres', 'SELECT timeshard_registry_free(3)');
    is(rests_for($node, 3), 'resting|2', "a rest ends in two minutes instead of $before");
    is(claim($node)->{outcome}, 'none_free', 'not before');
    set_clock($node, '+192min');
    my $claim = claim($node, numbers => '[3,3]');
    is($claim->{outcome}, 'claimed', 'then it is free');
    like(refused_call($node, 'SELECT timeshard_registry_free(3)'), qr/55000: number 3 does not rest/, 'a claim is nothing to free');
    like(refused_call($node, 'SELECT timeshard_registry_free(99)'), qr/55000: number 99 does not rest/, 'nor a number of others');
};

done_testing();
