# doc/migration.md, from bigserial and identity columns: the steps of the page under
# clients that go on writing, there and back and there again, with the locks that
# each takes; and the helper that waits for a lock without keeping others waiting.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use BusyClients;
use Migration;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;
use TimeshardSession;

my $heading = 'From bigserial and identity columns';
my $node = migration_cluster('serial');
$node->safe_psql('postgres', 'CREATE ROLE clerk');

subtest 'the locks' => sub {
    my $db = new_database($node, 'locks');
    run_steps($node, $db, 'serial-tables');
    my $files = sub { query($node, $db, "SELECT string_agg(pg_relation_filenode(c)::text, ' ' ORDER BY c)
        FROM unnest(ARRAY['customers', 'orders', 'customers_pkey', 'orders_pkey']::regclass[]) AS c") };
    my $before = $files->();
    locks_hold($node, $db, $heading, 'serial', 1, 2, 3);
    is($files->(), $before, 'no table is written anew');
    run_steps($node, $db, 'serial-back');
    is($files->(), $before, 'nor on the way back');
};

subtest 'clients go on, there and back' => sub {
    my $db = new_database($node, 'live');
    run_steps($node, $db, 'serial-tables');
    my $boundary = 1_000_000_000_000;
    my @old = map { query($node, $db, "SELECT md5(string_agg($_\::text, ' ' ORDER BY id)) FROM $_ WHERE id <= 1000") } qw(customers orders);

    # One who only writes, by rights that the tables' owner has granted.
    query($node, $db, 'GRANT SELECT, INSERT ON customers, orders TO clerk; GRANT USAGE ON SEQUENCE customers_id_seq TO clerk');
    # Parents before children, and children of old parents only: the locks are taken in both orders.
    my $both = "BEGIN;\nINSERT INTO customers (name) VALUES ('NAME') RETURNING id AS customer \\gset\n"
      . "INSERT INTO orders (customer, item) VALUES (:customer, 'NAME') RETURNING id AS order \\gset\n"
      . "COMMIT;\n\\echo :customer :order";
    my $child = "BEGIN;\nINSERT INTO orders (customer, item) VALUES (1, 'NAME') RETURNING id \\gset\n"
      . "UPDATE customers SET name = name WHERE id = 1 + :id % 1000;\nCOMMIT;\n\\echo 1 :id";
    ok(start_clients($node, $db, $both, "SET ROLE clerk;\n$both", $child), 'clients write');
    # Not the clients' newest rows, which may come between two questions.
    my $made = sub { query($node, $db, "SELECT bool_and(id > $boundary) FROM (SELECT id FROM $_[0] WHERE xmin::text::bigint > $_[1]) AS t") };
    my $xid = sub { query($node, $db, 'SELECT pg_current_xact_id()::xid') };

    for my $round ('there', 'there again')
    {
        run_steps($node, $db, 'serial-1', 'serial-2');
        my $since = $xid->();
        ok(await_clients(), "$round: clients go on");
        is($made->($_, $since), 't', "$round: new keys of $_ are IDs") for qw(orders);
        run_steps($node, $db, 'serial-3');
        ok(await_clients(), "$round: without the sequences");
        is(query($node, $db, "SELECT count(*) FROM pg_class WHERE relkind = 'S'"), 0, "$round: which are gone");
        last if $round eq 'there again';

        my $largest = query($node, $db, "SELECT max(id) FROM customers WHERE id < $boundary");
        run_steps($node, $db, 'serial-back');
        ok(await_clients(), 'back: clients go on');
        is(query($node, $db, "INSERT INTO customers (name) VALUES ('back') RETURNING id > $largest AND id < $boundary"), 't',
            'back: old numbers go on from where they were');
        fails_with($node, 'INSERT INTO orders (id, customer, item) VALUES (1, 1, 1)', qr/428C9/,
            'back: an identity column, always', dbname => $db);
    }
    is(join("\n", stop_clients($node, $db)), '', 'no client has met an error');

    is(query($node, $db, "SELECT count(*) > 20 FROM written"), 't', 'they have written much');
    is(query($node, $db, <<'SQL'), 0, 'each row that was committed is there, with the key that was returned');
SELECT count(*) FROM written AS w
WHERE NOT EXISTS (SELECT FROM orders AS o JOIN customers AS c ON c.id = o.customer
                  WHERE o.item = w.name AND w.printed = c.id || ' ' || o.id AND (c.id = 1 OR c.name = w.name))
SQL
    is(query($node, $db, "SELECT count(*) FROM orders LEFT JOIN written ON name = item WHERE name IS NULL AND item LIKE 'client%'"),
        0, 'and no other');
    my @now = map { query($node, $db, "SELECT md5(string_agg($_\::text, ' ' ORDER BY id)) FROM $_ WHERE id <= 1000") } qw(customers orders);
    is("@now", "@old", 'the old rows are as they were');
    is(query($node, $db, "SELECT count(DISTINCT id > $boundary) FROM $_"), 2, "$_ has keys of both kinds") for qw(customers orders);
};

subtest 'the way back before the sequence is dropped' => sub {
    my $db = new_database($node, 'kept');
    run_steps($node, $db, 'serial-tables');
    query($node, $db, "SELECT setval('customers_id_seq', 2000)");
    run_steps($node, $db, 'serial-1', 'serial-2', 'serial-back');
    is(query($node, $db, "INSERT INTO customers (name) VALUES ('next') RETURNING id"), 2001, 'numbers that were given are not given again');
    is(query($node, $db, "INSERT INTO orders (customer, item) VALUES (1, 'next') RETURNING id"), 1001, 'an identity column goes on above its rows');
};

# Keys that neither a sequence nor Timeshard has made.
subtest 'negative keys' => sub {
    my $db = new_database($node, 'negative');
    run_steps($node, $db, 'serial-tables');
    query($node, $db, 'DELETE FROM orders; INSERT INTO orders OVERRIDING SYSTEM VALUE SELECT -n, 1, n FROM generate_series(1, 5) AS n');
    run_steps($node, $db, 'serial-2', 'serial-back');
    is(query($node, $db, "INSERT INTO orders (customer, item) VALUES (1, 'next') RETURNING id"), 1, 'no sequence is led below its bounds');
};

subtest 'a partitioned table' => sub {
    my $db = new_database($node, 'parts');
    query($node, $db, "CREATE TABLE customers (id bigserial, name text) PARTITION BY LIST (name);
        CREATE TABLE customers_a PARTITION OF customers FOR VALUES IN ('a'); CREATE TABLE customers_b PARTITION OF customers DEFAULT;
        INSERT INTO customers (name) VALUES ('a'), ('b')");
    run_steps($node, $db, 'serial-1', 'serial-3');
    query($node, $db, "INSERT INTO customers (name) VALUES ('a'), ('b'); INSERT INTO customers_a (name) VALUES ('a')");
    is(query($node, $db, "SELECT string_agg(tableoid::regclass || ' ' || (id > 1000000000000), ', ' ORDER BY id) FROM customers"),
        'customers_a false, customers_b false, customers_a true, customers_b true, customers_a true', 'its partitions follow');
    query($node, $db, 'ALTER TABLE customers ADD COLUMN n integer');
    fails_with($node, "CALL in_batches('customers', 'n = 1', 'n IS NULL')", qr/customers is not an ordinary table/, 'it is not filled in batches', dbname => $db);
};

subtest 'a table partitioned by ranges of the key' => sub {
    my $db = new_database($node, 'ranges');
    query($node, $db, 'CREATE TABLE customers (id bigserial PRIMARY KEY, name text) PARTITION BY RANGE (id);
        CREATE TABLE customers_old PARTITION OF customers FOR VALUES FROM (1) TO (1000000)');
    my ($bounds) = page_text() =~ /`(FOR VALUES FROM \(timeshard_lower_bound.*?)`/;
    query($node, $db, "CREATE TABLE customers_new PARTITION OF customers $bounds") if $bounds;
    query($node, $db, "INSERT INTO customers (name) VALUES ('old')");
    run_steps($node, $db, 'serial-1');
    is(query($node, $db, "INSERT INTO customers (name) VALUES ('new') RETURNING tableoid::regclass"), 'customers_new', 'new IDs have a partition');
};

# Why patiently() is needed, and that it does what the page says.
subtest 'a lock that is waited for' => sub {
    my $db = new_database($node, 'patience');
    run_steps($node, $db, 'serial-tables');
    my %session = map { $_ => TimeshardSession->new($node, $db) } qw(open change client);
    my $insert = "INSERT INTO customers (name) VALUES ('x')";
    my $waits = sub {
        my ($who) = @_;
        return eventually(sub {
            query($node, $db, "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = " . $session{$who}->pid) eq 't';
        });
    };

    $session{open}->ask_ok("BEGIN;\n$insert");
    $session{change}->send('ALTER TABLE customers ALTER COLUMN id SET DEFAULT timeshard_next_id()');
    ok($waits->('change'), 'ALTER TABLE waits for an open transaction');
    $session{client}->send($insert);
    ok($waits->('client'), 'and a client waits behind it');
    $session{open}->ask_ok('COMMIT');
    is(($session{$_}->receive)[1], '', "until it ends: $_") for qw(change client);

    $session{open}->ask_ok("BEGIN;\n$insert");
    $session{change}->send("CALL patiently('customers', 'ALTER TABLE customers ALTER COLUMN id DROP DEFAULT')");
    ok($waits->('change'), 'patiently() waits too');
    is(($session{client}->ask($insert))[1], '', 'and a client gets through') for 1 .. 3;
    is(query($node, $db, "SELECT state FROM pg_stat_activity WHERE pid = " . $session{open}->pid), 'idle in transaction',
        'while the transaction is open');
    $session{open}->ask_ok('COMMIT');
    is(($session{change}->receive)[1], '', 'then it is done');
    is(query($node, $db, "SELECT column_default IS NULL FROM information_schema.columns
        WHERE table_name = 'customers' AND column_name = 'id'"), 't', 'indeed');

    # While it sleeps between two attempts it holds nothing back.
    $session{open}->ask_ok("BEGIN;\nSELECT FROM customers LIMIT 0");
    $session{change}->send("CALL patiently('customers', 'ALTER TABLE customers ALTER COLUMN id SET DEFAULT 1')");
    ok(eventually(sub {
        query($node, $db, "SELECT wait_event = 'PgSleep' AND backend_xid IS NULL FROM pg_stat_activity WHERE pid = " . $session{change}->pid) eq 't';
    }), 'between its attempts it has no transaction ID');
    $session{open}->ask_ok('ROLLBACK');
    is(($session{change}->receive)[1], '', 'and comes to its end');
    is(($session{change}->ask('SHOW lock_timeout'))[0], '0', 'with no time limit left behind');
    query($node, $db, 'ALTER TABLE customers ALTER COLUMN id DROP DEFAULT');

    # It holds customers and waits for orders, the client the other way round.
    $session{open}->ask_ok("BEGIN;\nSELECT FROM orders LIMIT 0");
    $session{change}->send("CALL patiently('customers, orders', 'ALTER TABLE customers ALTER COLUMN id SET DEFAULT timeshard_next_id()')");
    ok(eventually(sub {
        query($node, $db, "SELECT count(*) FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock'
            AND relation = 'customers'::regclass AND pid = " . $session{change}->pid) eq '1';
    }), 'it holds one of two locks');
    is(($session{open}->ask('SELECT FROM customers LIMIT 0'))[1], '', 'a session that holds the other does not die in a deadlock');
    $session{open}->ask_ok('COMMIT');
    is(($session{change}->receive)[1], '', 'and the change is made');
    $_->finish for values %session;
};

$node->stop;
done_testing();
