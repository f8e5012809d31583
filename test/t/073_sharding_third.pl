# doc/sharding.md with a third server: a partition that moves while clients write, and
# servers without a coordinator.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use BusyClients;
use Sharding;
use Test::More;
use TimeshardSession;

my ($steps, $hub, $one, $two, $three) = start_shards(3);
$steps->run('first-rows');

subtest 'a third server' => sub {
    $steps->run('third');
    my $moved = one('SELECT count(*) FROM orders_6');
    start_clients($hub, 'shop', ("INSERT INTO orders (item) VALUES ('NAME') RETURNING id") x 3, "SELECT count(*) > 0 FROM orders -- 'NAME'");

    my ($copy, $switch) = $steps->text('move') =~ /\A(.*?;\n)(ALTER.*)\z/s or die 'the step has changed';
    $steps->ask_ok($copy);
    my $writer = TimeshardSession->new($hub, 'shop');
    $writer->send(q(INSERT INTO orders (item) VALUES ('waited')));
    ok(eval { $writer->await(q(wait_event_type = 'Lock')) }, 'during the copy who writes waits');
    cmp_ok(hub('SELECT count(*) FROM orders'), '>', $moved, 'who reads goes on');
    cmp_ok($steps->ask_ok('SELECT count(*) FROM orders_6_new'), '>=', $moved, 'it holds what was there');
    my (undef, $err) = $steps->ask($switch);
    is($err, '', 'the step move');
    is(($writer->receive)[1], '', 'who waited for it writes');
    $writer->finish;
    ok(await_clients(), 'clients go on');
    hub(q(CREATE FOREIGN TABLE forgotten (id bigint, item text) SERVER shard_1 OPTIONS (table_name 'orders_6')));
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
