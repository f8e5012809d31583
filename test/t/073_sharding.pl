# doc/sharding.md on four servers: a table that is hash-partitioned by its ID over
# two of them by postgres_fdw, then over three. Where the ID is made, what is sent to
# which server and in how many statements, one server down and back, transactions
# of which half is left, a partition that moves while clients write.
use strict;
use warnings FATAL => 'all';

use FindBin;
use IO::Socket::UNIX;
use lib $FindBin::RealBin;

use BusyClients;
use PageSteps;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;
use TimeshardSession;

# The page's coordinator is node 298; the others are told apart by their numbers.
my %node_id = (hub => 298, one => 11, two => 12, three => 13);
my %server = map { $_ => new_cluster($_, conf => "timeshard.node_id = $node_id{$_}\nautovacuum = off\n", create => 0) } sort keys %node_id;
my ($hub, $one, $two, $three) = @server{qw(hub one two three)};
$hub->safe_psql('postgres', 'CREATE DATABASE shop');
my $steps = PageSteps->new('sharding.md', $hub, 'shop');

sub hub { return $hub->safe_psql('shop', $_[0]) }
sub one { return $one->safe_psql('shard_1', $_[0]) }
sub two { return $two->safe_psql('shard_2', $_[0]) }

# What a function of the test makes the servers log meanwhile: so many statements match.
sub statements
{
    my ($pattern, $action, @servers) = @_;
    my %from = map { $_->name => -s $_->logfile } @servers;
    $action->();
    my @found;
    push @found, substr(slurp_file($_->logfile), $from{ $_->name }) =~ /(?:execute [^:]*|statement): ($pattern.*)/g for @servers;
    return scalar @found;
}

# Fails with this SQLSTATE and message.
sub refused
{
    my ($sql, $pattern, $name, %where) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return fails_with($where{node} // $hub, $sql, $pattern, $name, dbname => $where{dbname} // 'shop');
}

subtest 'set up' => sub {
    $steps->run('addresses', sub {
        for my $n (1 .. 3)
        {
            my $server = (undef, $one, $two, $three)[$n];
            my ($host, $port) = ($server->host, $server->port);
            s/(host_$n) :HOST/$1 $host/;
            s/(port_$n) :PORT/$1 $port/;
        }
        return $_;
    });
    $steps->run('shards');
    $steps->run('coordinator');
    is($_->(q(SELECT count(*) FROM pg_extension WHERE extname = 'timeshard')), 0, 'no extension where rows are kept') for \&one, \&two;
};

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
    is($count->("COPY orders (item) FROM stdin;\n" . "copied\n" x 40 . "\\.\n"), 40, 'COPY by default: one by one');
    my $ids = hub('SELECT timeshard_next_ids(40)') =~ s/$/\twith ID/mgr;
    my $copied = $count->("COPY orders (id, item) FROM stdin;\n$ids\n\\.\n");
    is($copied, $server_major < 16 ? 40 : $batches->('with ID'), 'COPY with IDs in the file: by the hundred from 16 on');
    is(hub("SELECT string_agg(item || ' ' || n, ', ' ORDER BY item) FROM (SELECT item, count(DISTINCT id) AS n FROM orders WHERE item !~ '\\d' GROUP BY 1) AS i"),
        'batch 400, copied 40, listed 400, returned 40, selected 1000, with ID 40', 'all are there');
};

# The remote statements of a query, as the page's function shows them.
sub sent_by
{
    my ($query) = @_;
    return join "\n", map { tr/|/ /r } split /\n/, $steps->ask_ok("SELECT * FROM sent_by(\$q\$$query\$q\$)");
}

subtest 'what is sent where' => sub {
    is($steps->run('sent-by'), '1|SELECT item FROM public.orders_# WHERE ((id = 390233979859673088::bigint))', 'one row: one partition');
    my $id = one('SELECT max(id) FROM orders');
    is(statements(qr/DECLARE/, sub { hub("SELECT item FROM orders WHERE id = $id") }, $one), 1, 'its server is asked');
    is(statements(qr/\w/, sub { hub("SELECT item FROM orders WHERE id = $id") }, $two), 0, 'the other is not');
    hub("DELETE FROM orders WHERE id = $id");
    is(one("SELECT count(*) FROM orders WHERE id = $id"), 0, 'also to delete it');
    is(statements(qr/DECLARE/, sub { hub("SET plan_cache_mode = force_generic_plan; PREPARE p (bigint) AS SELECT item FROM orders WHERE id = \$1; EXECUTE p($id)") }, $one, $two),
        1, 'and by a generic plan');

    is($steps->run('by-time'), "8|SELECT id, item FROM public.orders_#\n8|SELECT item FROM public.orders_# WHERE ((id >= \$1::bigint))", 'times: the bounds');
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

# Lines of orders, on the server of their order, as the page says in words.
sub make_lines
{
    for ([ \&one, '0, 2, 4, 6' ], [ \&two, '1, 3, 5, 7' ])
    {
        my ($where, $partitions) = @$_;
        $where->("CREATE TABLE lines (order_id bigint NOT NULL, id bigint NOT NULL, amount integer) PARTITION BY HASH (order_id)");
        $where->("CREATE TABLE lines_$_ PARTITION OF lines (PRIMARY KEY (order_id, id), FOREIGN KEY (order_id) REFERENCES orders_$_)
            FOR VALUES WITH (MODULUS 8, REMAINDER $_)") for split /, /, $partitions;
    }
    hub('CREATE TABLE lines (order_id bigint NOT NULL, id bigint NOT NULL DEFAULT timeshard_next_id(), amount integer) PARTITION BY HASH (order_id)');
    hub("CREATE FOREIGN TABLE lines_$_ PARTITION OF lines FOR VALUES WITH (MODULUS 8, REMAINDER $_) SERVER shard_" . (1 + $_ % 2)) for 0 .. 7;
    return;
}

subtest 'joined and summed where the rows are' => sub {
    make_lines();
    hub(q(ALTER SERVER shard_1 OPTIONS (ADD use_remote_estimate 'true'); ALTER SERVER shard_2 OPTIONS (ADD use_remote_estimate 'true')));
    hub('INSERT INTO lines (order_id, amount) SELECT id, n FROM orders, generate_series(1, 3) AS n');
    my $query = 'SELECT o.id, sum(amount) FROM orders AS o JOIN lines AS l ON l.order_id = o.id GROUP BY o.id';
    $steps->ask_ok('SET enable_partitionwise_join = on; SET enable_partitionwise_aggregate = on');
    like(sent_by($query), qr/^8 SELECT .*sum\(.*FROM \(public\.orders_# r# INNER JOIN public\.lines_# r# ON .*GROUP BY 1$/, 'in each partition');
    is($steps->ask_ok("SELECT count(*), sum(sum) FROM ($query) AS s"), $steps->ask_ok('SELECT count(*), count(*) * 6 FROM orders'), 'nothing is missed');
};

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
    my ($out, $err) = $steps->try('down');
    is($out, '1|t', 'the page: what the living server holds is found');
    is(scalar(() = $err =~ /could not connect to server "shard_2"/g), 2, 'the rest is an error');
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
    # From 16 on connections are made without a timeout of their own.
    refused($server_major < 16 ? 'SELECT count(*) FROM orders' : "SET statement_timeout = '2s'; SELECT count(*) FROM orders",
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

subtest 'a third server' => sub {
    hub('DROP TABLE lines');
    $_->('DROP TABLE lines') for \&one, \&two;
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
    cmp_ok($three->safe_psql('shard_3', 'SELECT count(*) FROM orders'), '>=', $moved, 'one partition is on the third server');
    is($three->safe_psql('shard_3', 'SELECT count(*) FROM orders'), hub('SELECT count(*) FROM orders_6_new'), 'which the table now has');
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

is(join(' ', $steps->left_out), '', 'all of the page has been run');
$steps->finish;
$_->stop('immediate') for $hub, $one, $three;
done_testing();
