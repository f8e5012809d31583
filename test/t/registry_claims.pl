# Claims from many connections at once, through pgbouncer's kind of session as well: a
# hundred get a hundred numbers. What a role that may claim can do, and what is
# durable when the answer arrives.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Registry;
use Timeshard;
use TimeshardSession;

my $node = new_registry('registry', '[100,199]', conf => "max_connections = 150\nlog_statement = none\n");
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE server LOGIN;
CREATE ROLE stranger LOGIN;
GRANT EXECUTE ON FUNCTION timeshard_claim, timeshard_extend_claim, timeshard_end_claim, timeshard_is_claimed TO server;
SQL

subtest 'a hundred at once' => sub {
    my $claim = q{SELECT outcome, node_id FROM timeshard_claim('server ' || pg_backend_pid(), }
      . q{(extract(epoch FROM clock_timestamp()) * 1000)::bigint, 10, 1702385533000)};
    # All wait for one lock, so that the claims meet.
    my @sessions = map { $node->background_psql('postgres', extra_params => [ '-U', 'server' ]) } 1 .. 101;
    my $holder = $node->background_psql('postgres');
    $holder->query_safe('BEGIN; SELECT FROM timeshard_registry FOR UPDATE');
    $_->{stdin} .= "$claim;\n" for @sessions;
    my $waiting = q{SELECT count(*) FROM pg_stat_activity WHERE usename = 'server' AND wait_event_type = 'Lock'};
    ok(eventually(sub { $_->{run}->pump_nb for @sessions; $node->safe_psql('postgres', $waiting) == 101 }), 'all claims wait');
    $holder->query_safe('COMMIT');
    my @answers = map { $_->query('SELECT 1') } @sessions;
    $holder->quit;
    my @numbers = map { /claimed\|(\d+)/ ? $1 : () } @answers;
    my %numbers = map { $_ => 1 } @numbers;
    is(scalar @numbers, 100, 'a hundred connections of 101 have a number');
    is(join(' ', sort keys %numbers), join(' ', 100 .. 199), 'each number once');
    is(scalar(grep { /none_free/ } @answers), 1, 'and one has none');
    $_->quit for @sessions;
};

subtest 'none is free' => sub {
    my $answer = claim($node);
    is($answer->{outcome}, 'none_free', 'a later claim has none either');
    my $minutes = ($answer->{free_at} - $answer->{registry_clock}) / MINUTE;
    cmp_ok($minutes, '>', 9, 'it is told when one will be free');
    cmp_ok($minutes, '<=', 10, 'which is ten minutes after the first claim');
    like($answer->{message}, qr/^none of the registry's numbers is free until 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC$/, 'in words too');
    like(claim($node, numbers => '[150,160]')->{message}, qr/^none of the registry's numbers \[150,161\) is free until/, 'also of those asked for');
};

subtest 'what a role may do' => sub {
    my @as = (extra_params => [ '-U', 'server' ]);
    for my $relation (qw(timeshard_registry timeshard_registry_numbers timeshard_registry_history))
    {
        like(refused_call($node, "SELECT * FROM $relation", @as), qr/42501: permission denied for table $relation/, "not read $relation");
        like(refused_call($node, "DELETE FROM $relation", @as), qr/42501/, 'nor change it');
    }
    my @functions = split /\n/, $node->safe_psql('postgres', <<'SQL');
SELECT p.oid::regprocedure FROM pg_proc AS p JOIN pg_depend AS d ON d.objid = p.oid AND d.deptype = 'e' AND d.classid = 'pg_proc'::regclass
WHERE p.proname ~ '_as_owner|registry' ORDER BY 1
SQL
    cmp_ok(@functions, '>', 20, 'there are functions behind the functions');
    is($node->safe_psql('postgres', "SELECT count(*) FROM unnest('{" . join(',', map { "\"$_\"" } @functions) . "}'::text[]) AS f
        WHERE has_function_privilege('server', f, 'EXECUTE')"), 0, 'of which it may call none');
    like(refused_call($node, "SELECT timeshard_claim('x', 1, 10, 1)", extra_params => [ '-U', 'stranger' ]),
        qr/42501: permission denied for function timeshard_claim/, 'without a grant nobody claims');
    for my $call ("timeshard_extend_claim('x', 1, %s, 'a tag of mine')", "timeshard_end_claim(%s, NULL, 0)")
    {
        my $forged = "'100.1.2.1.00000000-0000-0000-0000-000000000000." . 'a' x 64 . q{'};
        like(refused_call($node, 'SELECT ' . sprintf($call, $forged), @as), qr/55000: proof was not signed by this registry/,
            "a forged proof is refused: $call");
        like(refused_call($node, 'SELECT ' . sprintf($call, $_), @as), qr/55000: proof was not signed by this registry/,
            "so is $_") for "'none'", "''", 'NULL', "repeat('1.', 200)";
    }
    is($node->safe_psql('postgres', q{SELECT count(*) FROM timeshard_fleet WHERE state = 'claimed'}), 100, 'every claim stands');
    is($node->safe_psql('postgres', 'SELECT DISTINCT role FROM timeshard_fleet'), 'server', 'the fleet shows the role that claimed');
    like(refused_call($node, 'SELECT * FROM timeshard_fleet', @as), qr/42501/, 'the fleet is for pg_monitor');
    $node->safe_psql('postgres', 'GRANT pg_monitor TO stranger');
    my ($rc, $out) = $node->psql('postgres', 'SELECT count(*) FROM timeshard_fleet; SELECT count(*) FROM timeshard_claims',
        extra_params => [ '-U', 'stranger' ]);
    is($out, "100\n100", 'who sees it all');
};

subtest 'nothing undoes a claim' => sub {
    my @as = (extra_params => [ '-U', 'server' ]);
    my $claim = "SELECT timeshard_claim('x', 1, 10, 1)";
    my $inside = qr/25001: claims cannot be made or changed inside a transaction block/;
    like(refused_call($node, "BEGIN; $claim;", @as), $inside, 'not in a transaction block');
    like(refused_call($node, "DO 'BEGIN PERFORM timeshard_claim(''x'', 1, 10, 1); EXCEPTION WHEN division_by_zero THEN END'", @as),
        $inside, 'nor in a subtransaction');
    is(claim($node, epoch => 1)->{outcome}, 'layout_differs', 'but in a transaction of its own');
};

subtest 'durable when it is answered' => sub {
    # A crash right after the answer. Asynchronous commits would be lost: the WAL writer is held up.
    $node->append_conf('postgresql.conf', "wal_writer_delay = 10s\nwal_writer_flush_after = 0\nrestart_after_crash = on");
    $node->restart;
    my $number = $node->safe_psql('postgres', q{SELECT min(number) FROM timeshard_fleet});
    $node->safe_psql('postgres', "UPDATE timeshard_registry_numbers SET end_offset = first_offset WHERE number = $number");
    my $flushed = sub { $node->safe_psql('postgres', 'SELECT pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn()') };
    my $session = $node->background_psql('postgres');
    $session->query("SET synchronous_commit = off");
    like($session->query("SELECT outcome FROM timeshard_claim('x', " . now_ms() . ", 10, 1702385533000)"), qr/claimed/, 'with synchronous_commit off');
    is($session->query('SHOW synchronous_commit'), 'off', 'which stays the session\'s');
    $session->quit;
    $node->stop('immediate');
    $node->start;
    is($node->safe_psql('postgres', "SELECT claimant FROM timeshard_fleet WHERE number = $number"), 'x', 'the claim is there after a crash');

    $node->append_conf('postgresql.conf', 'fsync = off');
    reload_and_wait($node);
    like(refused_call($node, "SELECT timeshard_claim('x', 1, 10, 1)"), qr/55000: a registry of node IDs needs fsync/, 'without fsync it is refused');
};

done_testing();
