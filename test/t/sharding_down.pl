# doc/sharding.md, when a server is down and when it is back: what is found, what fails,
# and transactions of which half is left.
use strict;
use warnings FATAL => 'all';

use FindBin;
use IO::Socket::UNIX;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Utils;
use Sharding;
use Test::More;
use Timeshard;
use TimeshardSession;

my ($steps, $hub, $one, $two) = start_shards(2);
$steps->run('first-rows');

# Runs SQL as an application does that repeats what fails for want of a server;
# returns how often it failed.
sub with_retries
{
    my ($session, $sql) = @_;
    for my $failures (0 .. 200)
    {
        my (undef, $err) = $session->ask($sql);
        return $failures if $err eq '';
        die "failed otherwise: $err" unless $err =~ /ERROR:  08001: could not connect to server "shard_2"/;
    }
    die 'does not succeed';
}

subtest 'one server down, and back' => sub {
    $steps->ask_ok('\set VERBOSITY verbose');

    my $client = TimeshardSession->new($hub, 'shop');
    my $open = TimeshardSession->new($hub, 'shop');
    $open->ask_ok("BEGIN;\nINSERT INTO orders (item) SELECT 'open' FROM generate_series(1, 50)");
    my ($rows, $here) = split /\|/, $client->ask_ok('SELECT (SELECT count(*) FROM orders), (SELECT min(id) FROM orders_on_1)');
    $two->stop('immediate');

    like(($open->ask('COMMIT'))[1], qr/ERROR:  08006: server closed the connection unexpectedly/, 'an open transaction');
    refused('SELECT count(*) FROM orders', qr/08001: could not connect to server "shard_2"/, 'a read of everything');
    refused(q(SELECT count(*) FROM orders WHERE timeshard_between(id, now(), 'infinity')), qr/08001: could not/, 'by time');
    is(hub("SELECT count(*) FROM orders WHERE id = $here"), 1, 'a row by its ID is found');
    my $before = hub('SELECT count(*) FROM orders_on_1');
    refused("INSERT INTO orders (item) SELECT 'whole' FROM generate_series(1, 50)", qr/08001: could not/, 'many rows at once');
    is(hub('SELECT count(*) FROM orders_on_1'), $before, 'leave nothing');

    my $failures = 0;
    $failures += with_retries($client, "INSERT INTO orders (item) VALUES ('retried $_')") for 1 .. 60;
    # Each try is there or not with the same chance: 60 successes take 60 failures,
    # give or take 11. Seven times that is never seen.
    cmp_ok($failures, '>', 5, 'about every second insert fails');
    cmp_ok($failures, '<', 150, 'and as many do not');
    is(hub("SELECT count(*), count(DISTINCT item) FROM orders_on_1 WHERE item LIKE 'retried%'"), '60|60', 'the living server has each, once');

    $two->start;
    is($client->ask_ok("SELECT count(*) FROM orders WHERE item <> 'open'"), $rows + 60, 'back: the same session reads everything again');
    is(with_retries($client, "INSERT INTO orders (item) VALUES ('after $_')"), 0, "insert $_ succeeds at once") for 1 .. 8;
    is(two(q(SELECT count(*) FROM orders WHERE item = 'open')), 0, 'what was open is not on the server that was lost');

    # Accepts connections, and never says a word.
    my $mute = PostgreSQL::Test::Utils::tempdir_short();
    my $socket = IO::Socket::UNIX->new(Type => SOCK_STREAM, Local => "$mute/.s.PGSQL.7", Listen => 5) or die "cannot listen: $!";
    hub("ALTER SERVER shard_2 OPTIONS (SET host '$mute', SET port '7', ADD connect_timeout '2')");
    # The shorter timeout, where it is heeded: up to 15.
    refused("SET statement_timeout = '5s'; SELECT count(*) FROM orders",
        $server_major < 16 ? qr/08001: could not connect to server "shard_2"/ : qr/57014: canceling statement due to statement timeout/,
        'one that does not answer is given up');
    hub("ALTER SERVER shard_2 OPTIONS (SET host '" . $two->host . "', SET port '" . $two->port . "', DROP connect_timeout)");
    $_->finish for $client, $open;
};

# From now on a server refuses at COMMIT to keep orders of this item.
sub refuse_at_commit
{
    my ($where, $item) = @_;
    my $name = "refuse_$item";
    $where->("CREATE FUNCTION $name() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no $item''; END'");
    my @partitions = split /\n/, $where->(q(SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'orders'::regclass));
    $where->("CREATE CONSTRAINT TRIGGER $name AFTER INSERT ON $_ DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW WHEN (new.item = '$item') EXECUTE FUNCTION $name()") for @partitions;
    return;
}

subtest 'one transaction on two servers' => sub {
    make_lines();
    my $there = sub { return join ' ', map { $_->("SELECT count(*) FROM orders WHERE item = '$_[0]'") > 0 ? 'some' : 'none' } \&one, \&two };
    my $insert = "INSERT INTO orders (item) SELECT '%s' FROM generate_series(1, 50)";

    my (undef, $err) = $steps->ask("BEGIN;\n" . sprintf($insert, 'early') . ";\nSELECT 1 / 0;\nCOMMIT");
    like($err, qr/22012/, 'an error before the COMMIT');
    is($there->('early'), 'none none', 'undoes all');

    # The servers are committed one after the other, always in the same order: one of
    # the two refusals comes first, the other when the first server has committed.
    refuse_at_commit(\&one, 'red');
    refuse_at_commit(\&two, 'blue');
    for my $item ('red', 'blue')
    {
        (undef, $err) = $steps->ask(sprintf $insert, $item);
        like($err, qr/ERROR:  P0001: no $item.*COMMIT TRANSACTION/s, "$item: an error at the COMMIT");
    }
    my %left = map { $_ => $there->($_) } 'red', 'blue';
    is(join(', ', sort map { $_ eq 'none none' ? 'nothing' : 'half' } values %left), 'half, nothing', 'which leaves half of the transaction, or nothing');

    my ($late, $refuses) = $left{red} eq 'none none' ? ('blue', \&two) : ('red', \&one);
    my $change = sub { return s/next_ids\(3\)/next_ids(30)/r =~ s/shelf/$late/gr };
    my $half = hub("SELECT count(*) FROM orders WHERE item = '$late'");
    (undef, $err) = $steps->try('repeatable', $change);
    like($err, qr/no $late/, 'the repeatable insert fails');
    my $more = hub("SELECT count(*) FROM orders WHERE item = '$late'") - $half;
    ok($more > 0 && $more < 30, 'with a part of it there') or diag($more);
    $refuses->("DROP FUNCTION refuse_$late() CASCADE");
    my ($again) = $steps->text('repeatable') =~ /^(INSERT .*)/m;
    is(($steps->ask($again =~ s/shelf/$late/r))[1], '', "repeated: time $_") for 1 .. 2;
    is($steps->ask_ok("SELECT count(*), count(DISTINCT id) FROM orders WHERE id = ANY (:'ids')"), '30|30', 'it is there whole, and once');

    my $order = sub { return "BEGIN;\nINSERT INTO orders (item) VALUES ('$_[0]') RETURNING id AS desk \\gset\n"
          . "INSERT INTO lines (order_id, amount) VALUES (:desk, 1), (:desk, 2), (:desk, 3);\nCOMMIT" };
    my @touched = map { my $server = $_; statements(qr/COMMIT/, sub { $steps->ask_ok($order->('kept')) }, $one, $two) } 1 .. 8;
    is("@touched", '1 1 1 1 1 1 1 1', 'an order and its lines are one commit on one server');
    my ($item, $keeps) = $late eq 'red' ? ('blue', \&two) : ('red', \&one);
    my $count = sub { return hub('SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM lines)') };
    my $refused = 0;
    for (1 .. 40)
    {
        last if $refused == 2;
        my $before = $count->();
        (undef, $err) = $steps->ask($order->($item));
        next if $err eq '';
        $refused++;
        is($count->(), $before, 'refused, it is not there at all');
    }
    is($refused, 2, 'twice');
    refused('INSERT INTO lines (order_id, amount) VALUES (timeshard_next_id(), 1)', qr/23503: .* violates foreign key constraint/, 'a line of no order');
    $keeps->("DROP FUNCTION refuse_$item() CASCADE");
};

finish_shards();
