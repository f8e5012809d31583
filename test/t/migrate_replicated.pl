# doc/migration.md, an ID column for a table that is replicated: by the page's order
# publisher and subscriber have the same IDs. With a default on both sides each row
# has two, and nobody is told.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Migration;
use Timeshard;

my $db = 'shop';
my %node = map {
    $_->[0] => new_cluster($_->[0], create => 0, init => [ allows_streaming => 'logical' ],
        conf => "timeshard.node_id = $_->[1]\nautovacuum = off\n")
} [ publisher => 1 ], [ subscriber => 2 ];
my ($publisher, $subscriber) = @node{qw(publisher subscriber)};
new_database($_, $db) for $publisher, $subscriber;

run_steps($publisher, $db, 'replicated-table');
query($publisher, $db, 'CREATE TABLE twice AS SELECT * FROM shelves; ALTER TABLE twice ADD PRIMARY KEY (name);
    CREATE PUBLICATION all_rows FOR ALL TABLES');
query($subscriber, $db, "CREATE TABLE $_ (name text PRIMARY KEY)") for 'shelves', 'twice';
query($subscriber, $db, "CREATE SUBSCRIPTION s CONNECTION '" . $publisher->connstr($db) =~ s/'/''/gr . "' PUBLICATION all_rows");
$subscriber->wait_for_subscription_sync($publisher, 's', $db);

sub ids_of
{
    my ($node, $table) = @_;
    return query($node, $db, "SELECT string_agg(name || ' ' || coalesce(id::text, ''), ',' ORDER BY name) FROM $table");
}

subtest 'a default on both sides' => sub {
    query($_, $db, 'ALTER TABLE twice ADD COLUMN id bigint DEFAULT timeshard_next_id()') for $subscriber, $publisher;
    query($publisher, $db, "INSERT INTO twice VALUES ('new')");
    $publisher->wait_for_catchup('s');
    is(query($subscriber, $db, "SELECT count(*) FROM twice WHERE name = 'new'"), 1, 'replication goes on');
    my %published = map { $_ => 1 } split /,/, ids_of($publisher, 'twice');
    my @same = grep { $published{$_} } split /,/, ids_of($subscriber, 'twice');
    is(scalar keys %published, 1001, 'every row has an ID');
    is("@same" =~ s/ \d+//r, 'new', 'but only the new row has the same one on both sides');
};

subtest "the page's order" => sub {
    run_steps($subscriber, $db, 'replicated-subscriber');
    query($publisher, $db, "INSERT INTO shelves VALUES ('early')");
    run_steps($publisher, $db, 'replicated-publisher');
    query($publisher, $db, "INSERT INTO shelves VALUES ('late')");
    run_steps($publisher, $db, 'replicated-fill');
    $publisher->wait_for_catchup('s');
    is(query($subscriber, $db, block_text('replicated-check') =~ s/;\s*\z//r), '0|1002', 'every row has an ID');
    is(ids_of($subscriber, 'shelves'), ids_of($publisher, 'shelves'), 'the same as on the publisher');
};

subtest 'the other order' => sub {
    query($publisher, $db, "ALTER TABLE shelves ADD COLUMN more bigint; INSERT INTO shelves (name) VALUES ('stops')");
    ok($subscriber->wait_for_log(qr/is missing replicated column: "more"/), 'the publisher first: the subscription stops');
    query($subscriber, $db, 'ALTER TABLE shelves ADD COLUMN more bigint');
    $publisher->wait_for_catchup('s');
    is(query($subscriber, $db, "SELECT count(*) FROM shelves WHERE name = 'stops'"), 1, 'until the column is there');
};

$_->stop for $subscriber, $publisher;
done_testing();
