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

subtest 'without a coordinator' => sub {
    my $rows = hub('SELECT count(*) FROM orders');
    is($steps->run('member'), 'stool|11', 'the first server makes IDs of its own');
    my $likewise = $steps->text('member') =~ s/shard_1 - :host_1 :port_1/shard_2 - :host_2 :port_2/r =~ s/(SERVER shard_)2 FOREIGN/${1}1 FOREIGN/r
      =~ s/:'host_2', port :'port_2', dbname 'shard_2'/:'host_1', port :'port_1', dbname 'shard_1'/r =~ s/FOR CURRENT_USER SERVER shard_2/FOR CURRENT_USER SERVER shard_1/r
      =~ s/ELSE 2/ELSE 1/r =~ s/\[1, 3, 5, 6, 7\]/[0, 2, 4, 6]/r;
    is($steps->ask_ok($likewise), 'stool|12', 'the second likewise');
    is(two('SELECT count(*) FROM orders'), $rows + 2, 'each sees all');
    is(one('SELECT count(*) FROM orders'), $rows + 2, 'of the rows');

    $_->(q(INSERT INTO orders (item) SELECT 'bench' FROM generate_series(1, 500))) for \&one, \&two;
    is(one("SELECT string_agg(node || ': ' || n || ' in ' || p, ', ' ORDER BY node) FROM (SELECT (timeshard_parse(id)).node_id AS node, count(*) AS n, count(DISTINCT tableoid) AS p
        FROM orders WHERE item = 'bench' GROUP BY 1) AS b"), '11: 500 in 8, 12: 500 in 8', 'rows of both in every partition');
    is(one('SELECT count(*) = count(DISTINCT id) FROM orders'), 't', 'all unique');

    my $own = one(join ' + ', 'SELECT 0', map { "(SELECT count(*) FROM orders_$_)" } 0, 2, 4);
    $two->stop('immediate');
    refused('SELECT count(*) FROM orders', qr/08001: could not connect to server "shard_2"/, 'the other down', node => $one, dbname => 'shard_1');
    is(one(join ' + ', 'SELECT 0', map { "(SELECT count(*) FROM orders_$_)" } 0, 2, 4), $own, 'what is here can be read');
};

finish_shards();
