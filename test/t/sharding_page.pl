# doc/sharding.md: a table that is hash-partitioned by its ID over two servers by
# postgres_fdw. Where the ID is made, what is sent to which server and in how many
# statements. What happens when a server is down is in sharding_down.pl, a third
# server in sharding_third.pl.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";

use Sharding;
use Test::More;
use Timeshard;

my ($steps, $hub, $one, $two) = start_shards(2);
is($_->(q(SELECT count(*) FROM pg_extension WHERE extname = 'timeshard')), 0, 'no extension where rows are kept') for \&one, \&two;

subtest 'the server that the client talks to makes the IDs' => sub {
    is($steps->run('first-rows'), "1000|8", 'all with its node, in every partition');
    is(hub('SELECT count(DISTINCT id) FROM orders'), 1000, 'unique');
    is(one('SELECT count(*) FROM orders') + two('SELECT count(*) FROM orders'), 1000, 'each row on one server');
    is(hub("SELECT bool_and(id > before) FROM (SELECT id, lag(id, 1, 0::bigint) OVER (ORDER BY n) AS before
            FROM (SELECT id, substr(item, 7)::integer AS n FROM orders WHERE item LIKE 'chair%') AS c) AS c"), 't', 'rising as the rows came');

    $two->safe_psql('shard_2', 'CREATE EXTENSION timeshard;
        CREATE TABLE plain (id bigint DEFAULT timeshard_next_id(), item text NOT NULL);
        ALTER TABLE orders_1 ALTER COLUMN id SET DEFAULT timeshard_next_id()');
    hub("CREATE FOREIGN TABLE all_columns (id bigint, item text) SERVER shard_2 OPTIONS (table_name 'orders_1');
         CREATE FOREIGN TABLE without_id (item text) SERVER shard_2 OPTIONS (table_name 'plain')");
    is(hub("WITH new AS (INSERT INTO orders (item) SELECT 'table' FROM generate_series(1, 50) RETURNING id)
            SELECT string_agg(DISTINCT (timeshard_parse(id)).node_id::text, ' ') FROM new"), 298, 'also where the other server has a default');
    refused("INSERT INTO all_columns (item) VALUES ('null')", qr/23502: null value in column "id"/, 'a foreign table without a default sends a null');
    hub("INSERT INTO without_id VALUES ('remote')");
    is(two('SELECT (timeshard_parse(id)).node_id FROM plain'), 12, 'one without the column leaves it to the other server');

    refused("INSERT INTO orders_3 (item) SELECT 'misplaced' FROM generate_series(1, 50)", qr/23514: new row for relation "orders_3" violates partition constraint/,
        'an ID that belongs elsewhere');
    is(two(q(SELECT count(*) FROM orders WHERE item = 'misplaced')), 0, 'leaves nothing');
    hub(q(DROP FOREIGN TABLE all_columns, without_id; DELETE FROM orders WHERE item = 'table'));
    $two->safe_psql('shard_2', 'DROP EXTENSION timeshard CASCADE');
};

subtest 'many rows' => sub {
    my $inserts = qr/INSERT INTO public\.orders_/;
    my $count = sub { my $sql = shift; return statements($inserts, sub { hub($sql) }, $one, $two) };
    my $batches = sub { return hub("SELECT sum(ceil(n / 100.0))::integer FROM (SELECT count(*) AS n FROM orders WHERE item = '$_[0]' GROUP BY tableoid) AS p") };

    is($count->("INSERT INTO orders (item) SELECT 'selected' FROM generate_series(1, 1000)"), $batches->('selected'), 'INSERT SELECT: by the hundred');
    is($count->("INSERT INTO orders (item) VALUES " . join ', ', ("('listed')") x 400), $batches->('listed'), 'many VALUES: by the hundred');
    is($count->("INSERT INTO orders (id, item) SELECT timeshard_next_ids(400), 'batch'"), $batches->('batch'), 'timeshard_next_ids(): by the hundred');
    is($count->("INSERT INTO orders (item) SELECT 'returned' FROM generate_series(1, 40) RETURNING id"), 40, 'RETURNING: one by one');
    my $defaults = $count->("COPY orders (item) FROM stdin;\n" . "copied\n" x 40 . "\\.\n");
    is($defaults, $server_major < 16 ? 40 : $batches->('copied'), 'COPY by default: by the hundred from 16 on');
    my $ids = hub('SELECT timeshard_next_ids(40)') =~ s/$/\twith ID/mgr;
    my $copied = $count->("COPY orders (id, item) FROM stdin;\n$ids\n\\.\n");
    is($copied, $server_major < 16 ? 40 : $batches->('with ID'), 'COPY with IDs in the file: by the hundred from 16 on');
    is(hub("SELECT string_agg(item || ' ' || n, ', ' ORDER BY item) FROM (SELECT item, count(DISTINCT id) AS n FROM orders WHERE item !~ '\\d' GROUP BY 1) AS i"),
        'batch 400, copied 40, listed 400, returned 40, selected 1000, with ID 40', 'all are there');
};

# The remote statements of a query, counted, with the numbers in the names left out.
sub sent_by
{
    my ($query) = @_;
    my %times;
    for (split /\n/, $steps->ask_ok("EXPLAIN (VERBOSE, COSTS OFF) $query"))
    {
        $times{ $1 =~ s/(\w_|\br)\d+\b/$1#/gr }++ if /Remote SQL: (.*)/;
    }
    return join "\n", map { "$times{$_} $_" } sort keys %times;
}

subtest 'what is sent where' => sub {
    is(sent_by('SELECT item FROM orders WHERE id = 390233979859673088'),
        '1 SELECT item FROM public.orders_# WHERE ((id = 390233979859673088::bigint))', 'one row: one partition');
    my $id = one('SELECT max(id) FROM orders');
    is(statements(qr/DECLARE/, sub { hub("SELECT item FROM orders WHERE id = $id") }, $one), 1, 'its server is asked');
    is(statements(qr/\w/, sub { hub("SELECT item FROM orders WHERE id = $id") }, $two), 0, 'the other is not');
    hub("DELETE FROM orders WHERE id = $id");
    is(one("SELECT count(*) FROM orders WHERE id = $id"), 0, 'also to delete it');
    is(statements(qr/DECLARE/, sub { hub("SET plan_cache_mode = force_generic_plan; PREPARE p (bigint) AS SELECT item FROM orders WHERE id = \$1; EXECUTE p($id)") }, $one, $two),
        1, 'and by a generic plan');

    is(sent_by(q(SELECT item FROM orders WHERE timeshard_between(id, now() - interval '1 hour', 'infinity'))),
        '8 SELECT id, item FROM public.orders_#', 'times: all rows');
    is(sent_by(q(SELECT item FROM orders WHERE id >= (SELECT timeshard_lower_bound(now() - interval '1 hour')))),
        '8 SELECT item FROM public.orders_# WHERE ((id >= $1::bigint))', 'but the bound of a subquery is sent');
    is(sent_by(q(SELECT item FROM orders WHERE id >= timeshard_lower_bound('2026-03-10 14:00:00+00', 1702385533000))),
        '8 SELECT item FROM public.orders_# WHERE ((id >= 296812720160768000::bigint))', 'a constant bound');
    my $since = hub('SELECT timeshard_time(id) FROM orders ORDER BY id OFFSET 300 LIMIT 1');
    my $rows = 'SELECT count(*), min(id), max(id) FROM orders WHERE ';
    is(hub("$rows id >= (SELECT timeshard_lower_bound('$since'))"), hub("$rows timeshard_between(id, '$since', 'infinity')"), 'finds the same rows');
    is(hub("$rows id >= timeshard_lower_bound('$since', 1702385533000)"), hub("$rows timeshard_between(id, '$since', 'infinity')"), 'so does this');

    my $by_time = 'EXPLAIN (COSTS OFF) SELECT item FROM orders WHERE id >= (SELECT timeshard_lower_bound(now()))';
    unlike(hub($by_time), qr/Async/, 'one after the other');
    hub(q(ALTER SERVER shard_1 OPTIONS (ADD async_capable 'true'); ALTER SERVER shard_2 OPTIONS (ADD async_capable 'true')));
    is(scalar(() = hub($by_time) =~ /Async Foreign Scan/g), 8, 'at once, by the option');
    hub('ALTER SERVER shard_1 OPTIONS (DROP async_capable); ALTER SERVER shard_2 OPTIONS (DROP async_capable)');

    my $immutable = q(SELECT item FROM orders_on_1 WHERE timeshard_time(id, 1702385533000) < '2026-03-10 14:00:00+00');
    is(sent_by($immutable), '1 SELECT id, item FROM public.orders', 'an immutable function: not by itself');
    one('CREATE EXTENSION timeshard');
    hub(q(ALTER SERVER shard_1 OPTIONS (ADD extensions 'timeshard')));
    like(sent_by($immutable), qr/WHERE \(\(public\.timeshard_time\(id, 1702385533000::bigint\) < /, 'but by the option');
    is(hub($immutable), '', 'and it runs there');
    is(sent_by($immutable =~ s/, 1702385533000//r), '1 SELECT id, item FROM public.orders', 'the one that goes by the epoch in force is not sent even then');
    hub('ALTER SERVER shard_1 OPTIONS (DROP extensions)');
    one('DROP EXTENSION timeshard');

    is(sent_by('SELECT * FROM orders ORDER BY id DESC LIMIT 10'), '8 SELECT id, item FROM public.orders_# ORDER BY id DESC NULLS FIRST', 'the newest rows');
    is(sent_by('SELECT count(*) FROM orders_on_1'), '1 SELECT count(*) FROM public.orders', 'a count');
    is(hub('SELECT (SELECT count(*) FROM orders_on_1) + (SELECT count(*) FROM orders_on_2)'), hub('SELECT count(*) FROM orders'), 'which adds up');
};

subtest 'joined and summed where the rows are' => sub {
    make_lines();
    hub(q(ALTER SERVER shard_1 OPTIONS (ADD use_remote_estimate 'true'); ALTER SERVER shard_2 OPTIONS (ADD use_remote_estimate 'true')));
    hub('INSERT INTO lines (order_id, amount) SELECT id, n FROM orders, generate_series(1, 3) AS n');
    my $query = 'SELECT o.id, sum(amount) FROM orders AS o JOIN lines AS l ON l.order_id = o.id GROUP BY o.id';
    $steps->ask_ok('SET enable_partitionwise_join = on; SET enable_partitionwise_aggregate = on');
    like(sent_by($query), qr/^8 SELECT .*sum\(.*FROM \(public\.orders_# r# INNER JOIN public\.lines_# r# ON .*GROUP BY 1$/, 'in each partition');
    is($steps->ask_ok("SELECT count(*), sum(sum) FROM ($query) AS s"), $steps->ask_ok('SELECT count(*), count(*) * 6 FROM orders'), 'nothing is missed');
};

finish_shards();
