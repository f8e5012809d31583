# doc/duplicate-node-ids.md, when two servers that are configured alike have made the same ID: found
# by a subscriber of both and in their tables, and repaired.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use ManyServers qw($taken_key);
use Manual qw(read_text);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use Timeshard;
use TimeshardSession;
use Twins;

my ($one, $two, $hub, $steps) = start_twins();

my $conflicts = 'SELECT coalesce(sum(apply_error_count), 0) FROM pg_stat_subscription_stats';
my %environment = map { $_->[0] => sprintf 'host=%s port=%s dbname=%s', $_->[1]->host, $_->[1]->port, $_->[2] }
  [ COLLECTOR => $hub, 'collected' ], [ DB1 => $one, 'twin_1' ], [ DB2 => $two, 'twin_2' ];

subtest 'in the data' => sub {
    $hub->safe_psql('collected', 'CREATE TABLE orders (id bigint PRIMARY KEY, item text)');
    $_->('CREATE PUBLICATION orders FOR TABLE orders') for \&one, \&two;
    $hub->safe_psql('collected', "CREATE SUBSCRIPTION from_$_ CONNECTION '" . $environment{"DB$_"} . "' PUBLICATION orders") for 1, 2;
    $hub->wait_for_subscription_sync($one, 'from_1', 'collected');
    $hub->wait_for_subscription_sync($two, 'from_2', 'collected');

    # Each ID in a millisecond of its own.
    for my $n (1 .. 5)
    {
        one("INSERT INTO orders (item) VALUES ('lamp now $n')");
        two("INSERT INTO orders (item) VALUES ('chair now $n')");
    }
    $_->wait_for_catchup($_ == $one ? 'from_1' : 'from_2') for $one, $two;
    is($hub->safe_psql('collected', 'SELECT count(*) FROM orders'), 10, 'a subscriber has the rows of both, as long as all goes well');
    is($hub->safe_psql('collected', $conflicts), 0, 'without a conflict');

    my $moment = int(time) + 4;
    stand_still($moment);
    one(q(INSERT INTO orders (item) SELECT 'lamp at once ' || n FROM generate_series(1, 3) AS n));
    two(q(WITH o AS (INSERT INTO orders (item) SELECT 'chair at once ' || n FROM generate_series(1, 4) AS n RETURNING id)
          INSERT INTO payments SELECT id, 30 FROM o));
    run_on();
    ok($hub->poll_query_until('collected', "SELECT ($conflicts) > 0"), 'then the subscriber counts errors');
    like(log_of($hub), $taken_key, 'of a key that is taken');

    $steps->run('made-up-rows');
    my ($node, $lamps, $chairs, $changes, $common) = split /\|/, $steps->run('side-by-side');
    is("$node $lamps $chairs $common", '298 28 19 8', 'side by side: all of one node, the IDs in common');
    # Of the rows made up; of five and five in turn; of three and four at once.
    is($changes, 19 + 9 + 6, 'to and fro');
    # Bounded, as the page says; the rest stays where it is.
    my ($bound) = read_text("$FindBin::RealBin/../../doc/duplicate-node-ids.md") =~ /`(b\.id >= timeshard_lower_bound\([^`]*\))`/;
    my ($bounded) = $steps->text('side-by-side') =~ /(SELECT node.*)/s;
    $bounded =~ s/b\.id >= 0/$bound/;
    is(() = hub("EXPLAIN (VERBOSE) $bounded") =~ /Remote SQL: SELECT id FROM public.orders WHERE \(\(id >= /g, 2, 'the bound is sent to both');

    # The same query over a number that has changed hands.
    my ($query) = $steps->text('side-by-side') =~ /(SELECT node.*)/s;
    hub(q(CREATE SCHEMA moved; CREATE VIEW moved.one AS SELECT id FROM one.orders WHERE item LIKE 'lamp now%';
          CREATE VIEW moved.two AS SELECT id FROM two.orders WHERE item LIKE 'chair at once%'));
    is(hub($query =~ s/(one|two)\.orders/moved.$1/gr), '298|5|4|1|0', 'changes hands once, with nothing in common');
};

subtest 'repaired' => sub {
    my $least = two('SELECT max(id) FROM orders');
    configure($two, 'timeshard.node_id = 299');
    reload_and_wait($two);
    is(findings(), "db1 db2 same node ID\ndb2 compare again after its restart\ndb3 no answer: could not establish connection", 'reloaded: nothing is repaired yet');
    restart_with_env($two);
    is(findings('^(db1|db2)$'), '', 'restarted: no finding');
    is(two('SELECT node_id FROM timeshard_config()'), 299, 'by its new number');

    set_clock($two, '-1h');
    fails_with($two, 'INSERT INTO orders DEFAULT VALUES', qr/55000: clock is \d+\.\d+ s behind what earlier runs of this server reserved/, 'the floor holds for the new number', dbname => 'twin_2');
    set_clock($two, '+0');
    ok(eventually(sub { ($two->psql('twin_2', q(INSERT INTO orders (item) VALUES ('new'))))[0] == 0 }), 'with the clock right it goes on');
    cmp_ok(two(q(SELECT id FROM orders WHERE item = 'new')), '>', $least, 'above all that it has made');

    my $content = q(SELECT string_agg(concat_ws(' ', timeshard_time(id), item, amount), ', ' ORDER BY timeshard_time(id), item, amount)
        FROM orders AS o LEFT JOIN payments AS p ON p.order_id = o.id);
    my $was = two($content);
    my $others = two("SELECT md5(string_agg(id::text, ' ' ORDER BY id)) FROM orders WHERE item ~ 'now|new'");
    is($steps->run('referrers'), 'payments|payments_order_id_fkey', 'what refers to them');
    # What both have from elsewhere: keys that were not made here, and a row of a copied past.
    my ($past) = split /\n/, one('SELECT id - (1 << 22) FROM orders ORDER BY id LIMIT 1');
    $_->[0]("INSERT INTO orders VALUES (7, 'old $_->[1]'), ($past, 'of a copied past')") for [ \&one, 'lamp' ], [ \&two, 'chair' ];
    is($steps->run('rekey'), 0, 'then no ID is in common');
    is(two("SELECT count(*) FROM orders WHERE id IN (7, $past)"), 2, 'what is no twin keeps its key');
    $_->("DELETE FROM orders WHERE id IN (7, $past)") for \&one, \&two;
    is(two($content), $was, 'rows, references and times as they were');
    is(two("SELECT md5(string_agg(id::text, ' ' ORDER BY id)) FROM orders WHERE item ~ 'now|new'"), $others, 'the other rows untouched');
    is(two('SELECT count(*), bool_and((timeshard_parse(new_id)).node_id = 299 AND (timeshard_parse(old_id)).node_id = 298) FROM rekeyed JOIN orders ON id = new_id'), '8|t', 'the new number in the new keys');
    is(two(q(SELECT condeferrable FROM pg_constraint WHERE conname = 'payments_order_id_fkey')), 'f', 'the foreign key as it was');

    two('DROP TABLE rekeyed');
    is($steps->run('rekey'), 0, 'once more, with nothing in common');
    is(two($content), $was, 'changes nothing');

    # Rows of nobody that is copied again: of a third writer, and of the subscriber.
    my $third = one('SELECT max(id) + ((300 - 298) << 12) FROM orders');
    $hub->safe_psql('collected', "INSERT INTO orders VALUES ($third, 'of a third writer')");
    # And one that the second has deleted while its subscription stood still.
    my $gone = $hub->safe_psql('collected', q(SELECT max(id) FROM orders WHERE item LIKE 'chair now%'));
    two("DELETE FROM payments WHERE order_id = $gone; DELETE FROM orders WHERE id = $gone");
    # And what the subscriber itself has written about one that is copied again.
    $hub->safe_psql('collected', q(CREATE TABLE notes (order_id bigint REFERENCES orders ON DELETE CASCADE);
        INSERT INTO notes SELECT min(id) FROM orders WHERE item LIKE 'chair now%'));

    local %ENV = (%ENV, %environment);
    command_ok([ 'sh', '-euc', $steps->text('collector') ], 'the subscriber is filled anew');
    ok(eventually(sub { ($one->psql('twin_1', q(INSERT INTO orders (item) VALUES ('newest'))))[0] == 0 }), 'the first server goes on too');
    two(q(INSERT INTO orders (item) VALUES ('newest')));
    my $all = one('SELECT count(*) FROM orders') + two('SELECT count(*) FROM orders');
    ok($hub->poll_query_until('collected', "SELECT count(*) = $all FROM orders WHERE id <> $third"), 'and has the rows of both');
    is($hub->safe_psql('collected', "SELECT count(*) FROM orders WHERE id = $third"), 1, 'a third writer is not touched');
    is($hub->safe_psql('collected', 'SELECT count(*) FROM notes JOIN orders ON id = order_id'), 1, 'nor what refers to the rows');
    is($hub->safe_psql('collected', $conflicts), 0, 'without a conflict');
    is($hub->safe_psql('collected', "SELECT count(*) FROM orders WHERE item LIKE 'lamp%'"), one(q(SELECT count(*) FROM orders WHERE item LIKE 'lamp%')), 'the first with its own');
    $hub->safe_psql('collected', "DROP SUBSCRIPTION $_") for 'from_1', 'from_2';
};

is(join(' ', $steps->left_out), 'rights', 'all of the page has been run, but for what twins_found.pl runs');
$steps->finish;
$_->stop('immediate') for $hub, $one, $two;
done_testing();
