# doc/sharding.md with a third server: a partition that moves while clients write, and
# servers without a coordinator.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";

use BusyClients;
use Sharding;
use Test::More;
use TimeshardSession;

my ($steps, $hub, $one, $two) = start_shards(3);
$steps->run($_) for qw(first-rows third);

my $move = $steps->text('move');
my ($copy, $switch) = $move =~ /\A(.*?;\n)(ALTER.*)\z/s or die 'the step has changed';
(my $hasty = $move) =~ s/lock_timeout = '5s'/lock_timeout = '2s'/ or die 'the step has changed';
my ($mover, $client) = map { TimeshardSession->new($hub, 'shop') } 1 .. 2;
my $moved = one('SELECT count(*) FROM orders_6');

# Go on until the end of the move: none of what fails may cost them a row or an error.
start_clients($hub, 'shop', ("INSERT INTO orders (item) VALUES ('NAME') RETURNING id") x 3, "SELECT count(*) > 0 FROM orders -- 'NAME'");

# Which of the two tables is the partition, and the rows on the third server.
sub state_of_move
{
    my $partition = hub(q(SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'orders'::regclass AND inhrelid::regclass::text ~ '_6'));
    return "$partition " . three('SELECT count(*) FROM orders');
}

# The client is in a transaction that has read.
sub client_has_read
{
    return $client->ask_ok("BEGIN;\nSELECT count(*) > 0 FROM orders");
}

# The move waits for it, and the others behind.
sub await_queue
{
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok($hub->poll_query_until('shop', q(SELECT count(*) = 5 FROM pg_stat_activity WHERE wait_event_type = 'Lock')), 'the others wait behind the move');
}

subtest 'a move that fails' => sub {
    my $write = q(INSERT INTO orders (item) VALUES ('read before'));

    $client->ask_ok(q(SET deadlock_timeout = '10ms'; SET log_lock_waits = on));
    client_has_read();
    $mover->ask_ok($copy);
    my $from = -s $hub->logfile;
    $client->send($write);
    # Its own search for deadlocks is over, then.
    $hub->wait_for_log(qr/still waiting for RowExclusiveLock/, $from);
    like(($mover->ask($switch))[1], qr/40P01: deadlock detected/, 'a client that has read has long waited to write: the move is the victim');
    is(($client->receive)[1], '', 'the client goes on');
    $client->ask_ok('COMMIT');
    is(state_of_move(), 'orders_6 0', 'nothing has changed');

    client_has_read();
    $mover->send($move =~ s/^COMMIT/ROLLBACK/mr);
    await_queue();
    like(($client->ask($write))[1], qr/40P01: deadlock detected/, 'a client writes when the switch waits for it: the client is the victim');
    is(($mover->receive)[1], '', 'the move goes on');
    $client->ask_ok('ROLLBACK');

    client_has_read();
    $mover->send($move =~ s/SHARE ROW EXCLUSIVE/ACCESS EXCLUSIVE/r =~ s/^COMMIT/ROLLBACK/mr);
    await_queue();
    is(($client->ask($write))[1], '', 'by the stronger lock: the client goes on');
    $client->ask_ok('COMMIT');
    is(($mover->receive)[1], '', 'and the move, too');
    is(hub(q(SELECT count(*) FROM orders WHERE item = 'read before')), 2, 'what the client has committed is there');

    client_has_read();
    $mover->send($hasty);
    await_queue();
    like(($mover->receive)[1], qr/55P03: canceling statement due to lock timeout/, 'a client that reads for long: the move gives up');
    ok(await_clients(), 'the others go on');
    $client->ask_ok('COMMIT');
    is(state_of_move(), 'orders_6 0', 'nothing has changed');

    # An error that comes after the third server has committed, when the first table is emptied.
    my $late = 'CREATE TEMP TABLE a (id integer PRIMARY KEY) ON COMMIT DELETE ROWS; CREATE TEMP TABLE b (id integer REFERENCES a)';
    like(($mover->ask($move =~ s/^COMMIT/$late;\nCOMMIT/mr))[1], qr/0A000: unsupported ON COMMIT and foreign key combination/, 'a move that fails at the COMMIT');
    like(state_of_move(), qr/^orders_6 (?!0)/, 'leaves a copy on the third server');
    like(($mover->ask($move))[1], qr/23505: duplicate key/, 'run again it fails');
    hub('TRUNCATE orders_6_new');
    is(state_of_move(), 'orders_6 0', 'emptied, it can begin anew');
};

subtest 'a third server' => sub {
    $mover->ask_ok($copy);
    $client->send(q(INSERT INTO orders (item) VALUES ('waited')));
    ok(eval { $client->await(q(wait_event_type = 'Lock')) }, 'during the copy who writes waits');
    cmp_ok(hub('SELECT count(*) FROM orders'), '>', $moved, 'who reads goes on');
    cmp_ok($mover->ask_ok('SELECT count(*) FROM orders_6_new'), '>=', $moved, 'it holds what was there');
    is(($mover->ask($switch))[1], '', 'the step move');
    is(($client->receive)[1], '', 'who waited for it writes');
    $_->finish for $mover, $client;
    ok(await_clients(), 'clients go on');
    like(state_of_move(), qr/^orders_6_new (?!0)/, 'moved');
    refused($move, qr/23505: duplicate key/, 'run again it fails as with a copy left');

    hub(q(CREATE FOREIGN TABLE forgotten (id bigint, item text) SERVER shard_1 OPTIONS (table_name 'orders_6')));
    is($steps->run('compared'), '', 'no row is missing');
    my $astray = hub(q(INSERT INTO forgotten SELECT id, 'astray' FROM timeshard_next_ids(100) AS id
        WHERE satisfies_hash_partition('orders'::regclass, 8, 6, id) LIMIT 1 RETURNING id));
    my $deleted = hub('DELETE FROM orders WHERE id = (SELECT min(id) FROM orders_6_new) RETURNING id');
    is(join(' ', sort $steps->run('compared') =~ /^(\d+)/mg), join(' ', sort $astray, $deleted), 'one that was deleted since, and one that was written past the move');
    hub("INSERT INTO orders SELECT * FROM orders_6 WHERE id = $astray");
    is($steps->run('compared') =~ s/\|.*//r, $deleted, 'which can be inserted');
    $steps->run('moved');
    is(join(' ', stop_clients($hub, 'shop')), '', 'no client has met an error');

    is(hub("SELECT count(*) > 6, bool_and(n = 1) FROM (SELECT count(o.id) AS n FROM written AS w LEFT JOIN orders AS o
        ON o.item = w.name AND o.id = w.printed::bigint WHERE w.printed <> 't' GROUP BY w.name) AS w"), 't|t', 'every row that was written is there, once');
    is(hub("SELECT count(*) = count(DISTINCT id) FROM orders"), 't', 'none is there twice');
    cmp_ok(three('SELECT count(*) FROM orders'), '>=', $moved, 'one partition is on the third server');
    is(three('SELECT count(*) FROM orders'), hub('SELECT count(*) FROM orders_6_new'), 'which the table now has');
    is(hub('SELECT DISTINCT (timeshard_parse(id)).node_id FROM orders_6_new'), 298, 'its rows keep their IDs');
    refused('INSERT INTO forgotten VALUES (1, NULL)', qr/42P01: relation "public\.orders_6" does not exist/, 'who was forgotten gets an error');
};

# The page's step for another server: where a partition is that is not there, and which
# ones are not.
sub likewise
{
    my ($server, $where, $missing) = @_;
    my @is = ($server, grep { $_ != $server } 1 .. 3);
    return $steps->text('member') =~ s/(shard|host|port)_([123])/$1_$is[$2 - 1]/gr =~ s/CASE .* END/$where/r =~ s/\[.*\]/[$missing]/r;
}

subtest 'without a coordinator' => sub {
    my $rows = hub('SELECT count(*) FROM orders');
    is($steps->run('member'), 'stool|11', 'the first server makes IDs of its own');
    is($steps->ask_ok(likewise(2, '1', '0, 2, 4, 6')), 'stool|12', 'the second likewise');
    is($steps->ask_ok(likewise(3, '1 + n % 2', '0, 1, 2, 3, 4, 5, 7')), 'stool|13', 'and the third');
    my @members = (\&one, \&two, \&three);
    is(join(' ', map { $_->('SELECT count(*) FROM orders') } @members), join(' ', ($rows + 3) x 3), 'each sees all of the rows');

    $_->(q(INSERT INTO orders (item) SELECT 'bench' FROM generate_series(1, 500))) for @members;
    is(one("SELECT string_agg(node || ': ' || n || ' in ' || p, ', ' ORDER BY node) FROM (SELECT (timeshard_parse(id)).node_id AS node, count(*) AS n, count(DISTINCT tableoid) AS p
        FROM orders WHERE item = 'bench' GROUP BY 1) AS b"), '11: 500 in 8, 12: 500 in 8, 13: 500 in 8', 'rows of all in every partition');
    is(one('SELECT count(*) = count(DISTINCT id) FROM orders'), 't', 'all unique');

    my $own = one(join ' + ', 'SELECT 0', map { "(SELECT count(*) FROM orders_$_)" } 0, 2, 4);
    $two->stop('immediate');
    refused('SELECT count(*) FROM orders', qr/08001: could not connect to server "shard_2"/, 'another down', node => $one, dbname => 'shard_1');
    is(one(join ' + ', 'SELECT 0', map { "(SELECT count(*) FROM orders_$_)" } 0, 2, 4), $own, 'what is here can be read');
};

finish_shards();
