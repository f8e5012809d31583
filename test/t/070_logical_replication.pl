# doc/replication.md and doc/two-way.md, as they stand: three writers replicated into
# one table, and two servers that replicate to each other. What they do under load and by clocks that
# disagree is in 070_replication_clocks.pl; when they are configured alike, below.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use ManyServers;
use Manual qw(read_text);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;
use TimeshardSession;

my %number = (us => 1, eu => 2, ap => 3, hub => 4);
my %node = map {
    $_ => new_cluster($_, start => 0, clock => $_ eq 'eu', init => [ allows_streaming => 'logical' ],
        conf => "timeshard.node_id = $number{$_}\ntimezone = 'UTC'\nwal_retrieve_retry_interval = '200ms'\n")
} keys %number;
write_services($node{us}->basedir . '/pg_service.conf', %node);
start_with_env($_) for values %node;

my %where = (first => 'us', folder => $node{us}->basedir);
my $page = ManyServers->new('replication.md', %where);
my %from = map { ("from_$_" => $node{$_}) } qw(us eu ap);
my $arrived = sub { await_subscriptions($node{hub}, %from) };
my $hub = sub { $node{hub}->safe_psql('postgres', $_[0]) };

subtest 'three writers into one table' => sub {
    $page->run_until('copied');
    $arrived->();
    is($hub->(q{SELECT count(*) FROM pg_extension WHERE extname = 'timeshard'}), 0, 'copied without the extension');
    $page->run_until('arrived');
    $arrived->();
    $page->run_until('ahead');
};

subtest 'what is missing is found' => sub {
    my $compare = $page->block('missing');
    my $id = $hub->('SELECT max(id) FROM orders WHERE (timeshard_parse(id)).node_id = 2');
    $hub->("DELETE FROM orders WHERE id = $id");
    like($page->run_sh($compare), qr/^\d+c\d+$/m, 'a row that is not there');
    $hub->("INSERT INTO orders VALUES ($id + 1, 'first')");
    like($page->run_sh($compare), qr/^\d+c\d+$/m, 'another in its place');
    $hub->("UPDATE orders SET id = $id WHERE id = $id + 1");
    is($page->run_sh($compare), "nothing is missing\n", 'as it was');
};

subtest 'a clock that is ahead' => sub {
    set_clock($node{eu}, '+2s');
    $page->run_until('ahead-arrived');
    $arrived->();
    $page->run_until('delays');
    my $delays = $page->run_next('delays');
    $page->finish;
    my %delay = $delays =~ /^ +(\d) \| (-?)00:00:0(?=\d)/mg;
    is_deeply(\%delay, { 1 => '', 2 => '-', 3 => '' }, 'its delay alone is negative');
    my $session = TimeshardSession->new($node{eu});
    $session->ask_ok('SELECT timeshard_next_id()');
    set_clock($node{eu}, '+0');
    like(($session->ask('SELECT timeshard_next_id()'))[1], qr/55000: clock is 1?\d{3}\.\d{3} ms behind the last ID/, 'set back, it refuses');
    $session->finish;
    ok(eventually(sub { ($node{eu}->psql('postgres', 'SELECT timeshard_next_id()'))[0] == 0 }), 'until it has passed the last ID');
};

my $two_way = ManyServers->new('two-way.md', %where);

subtest 'both ways, by the ID' => sub {
    $two_way->run_until('both-ways-arrived');
    my %both = (us => { customers_of_eu => $node{eu} }, eu => { customers_of_us => $node{us} });
    my $settled = sub { await_subscriptions($node{$_}, %{ $both{$_} }) for qw(us eu us eu) };
    $settled->();
    $two_way->run_until('group');
    my $names = sub { $node{ $_[0] }->safe_psql('postgres', q{SELECT string_agg(name, ', ' ORDER BY id) FROM customers}) };
    is($names->('eu'), 'made in us, made in eu', 'the other side has the same');

    # A row belongs to its maker.
    $node{us}->safe_psql('postgres', q{UPDATE customers SET name = 'changed in us' WHERE name = 'made in us'});
    $settled->();
    is($names->($_), 'changed in us, made in eu', "changed where it was made, seen in $_") for qw(us eu);
    $node{us}->safe_psql('postgres', q{UPDATE customers SET name = 'strange' WHERE name = 'made in eu'});
    $settled->();
    is($names->('us'), 'changed in us, strange', 'changed elsewhere, it is changed there');
    is($names->('eu'), 'changed in us, made in eu', 'and nowhere else');
    $node{eu}->safe_psql('postgres', q{DELETE FROM customers WHERE name = 'made in eu'});
    $settled->();
    is($names->('us'), 'changed in us', 'deleted where it was made');

    # A third one, by the same steps.
    my ($table, $publication, $options) = $two_way->block('both-ways') =~ /^(CREATE TABLE .*)\n.*\n(CREATE PUBLICATION .* = )1\)( WITH .*)?;$/m;
    $node{ap}->safe_psql('postgres', "$table INSERT INTO customers (name) VALUES ('made in ap'); ${publication}3)" . ($options // ''));
    for (qw(us eu))
    {
        $node{ap}->safe_psql('postgres', "CREATE SUBSCRIPTION customers_of_${_}_to_ap CONNECTION 'service=$_' PUBLICATION made_here");
        $node{$_}->safe_psql('postgres', "CREATE SUBSCRIPTION customers_of_ap_to_$_ CONNECTION 'service=ap' PUBLICATION made_here");
    }
    $node{eu}->safe_psql('postgres', q{INSERT INTO customers (name) VALUES ('last')});
    for my $from (qw(us eu ap))
    {
        for my $to (grep { $_ ne $from } qw(us eu ap))
        {
            my $name = "customers_of_$from" . ($from eq 'ap' || $to eq 'ap' ? "_to_$to" : '');
            await_subscriptions($node{$to}, $name => $node{$from});
        }
    }
    is($names->($_), 'changed in us, made in ap, last', "three of them: all is in $_") for qw(eu ap);

    # Rows as another member of its group makes them, which has the number 11.
    my $as_11 = sub { $node{us}->safe_psql('postgres', "INSERT INTO customers SELECT timeshard_next_id() | (10 << 12), '$_[0]'") };
    $as_11->('not sent');
    $settled->();
    $two_way->run_until('origin-none');
    $as_11->('of 11');
    $settled->();
    is($names->('eu'), 'changed in us, made in ap, last, of 11', 'a group sends what all of the numbers made that it names');

    # TRUNCATE knows no filter, and would go to and fro for ever.
    $node{eu}->safe_psql('postgres', 'TRUNCATE customers');
    $node{eu}->safe_psql('postgres', q{INSERT INTO customers (name) VALUES ('anew')});
    $settled->();
    like($names->('us'), qr/^changed in us, .*, anew$/, 'a server that empties its table empties no other');
    is(subscription_errors($node{$_}), 0, "no conflict in $_") for qw(us eu ap);
};

subtest 'both ways, by the origin' => sub {
    if ($server_major < 16)
    {
        $two_way->skip_rest;
        fails_with($node{eu}, q{CREATE SUBSCRIPTION s CONNECTION 'service=us' PUBLICATION made_here WITH (origin = none)},
            qr/unrecognized subscription parameter: "origin"/, 'the page is right that there is no such option');
        diag("The page's blocks with origin = none are not run: PostgreSQL $server_major has no such option.");
        plan skip_all => "PostgreSQL $server_major has no origin = none, which came with 16";
    }
    my $settled = sub {
        await_subscriptions($node{eu}, notes_of_us => $node{us});
        await_subscriptions($node{us}, notes_of_eu => $node{eu});
    };
    $two_way->run_until('origin-none-write');
    $settled->();
    $two_way->run_until('origin-none-arrived');
    $settled->();
    $two_way->run_until;
    my $bodies = sub { $node{ $_[0] }->safe_psql('postgres', q{SELECT string_agg(body, '; ' ORDER BY id) FROM notes}) };
    is($bodies->('eu'), $bodies->('us'), 'both have the same');

    # Of what is changed on both sides at a time, each has the other's.
    $node{eu}->safe_psql('postgres', 'ALTER SUBSCRIPTION notes_of_us DISABLE');
    $node{us}->safe_psql('postgres', 'ALTER SUBSCRIPTION notes_of_eu DISABLE');
    $node{$_}->safe_psql('postgres', "UPDATE notes SET body = 'of $_' WHERE body = 'made in us'") for qw(us eu);
    $node{eu}->safe_psql('postgres', 'ALTER SUBSCRIPTION notes_of_us ENABLE');
    $node{us}->safe_psql('postgres', 'ALTER SUBSCRIPTION notes_of_eu ENABLE');
    $settled->();
    is($bodies->('us') =~ /of (\w\w)$/ ? $1 : '', 'eu', 'changed on both at a time: us has the value of eu');
    is($bodies->('eu') =~ /of (\w\w)$/ ? $1 : '', 'us', 'and eu that of us');
    is(subscription_errors($node{$_}), 0, "no conflict in $_") for qw(us eu);
};
$two_way->finish;

subtest 'a writer that empties its table' => sub {
    my $before = $hub->('SELECT count(*) FROM orders');
    $node{ap}->safe_psql('postgres', 'TRUNCATE orders');
    $node{ap}->safe_psql('postgres', q{INSERT INTO orders (item) VALUES ('after')});
    $arrived->();
    is($hub->('SELECT count(*) FROM orders'), $before + 1, 'empties no other');
};

# What the page says of servers that are configured alike, and of sequences.
subtest 'the same ID from two writers' => sub {
    my $id = $hub->('SELECT timeshard_next_id()');
    $node{us}->safe_psql('postgres', "INSERT INTO orders VALUES ($id, 'from us')");
    $arrived->();
    my $offset = -s $node{hub}->logfile;
    $node{eu}->safe_psql('postgres', "INSERT INTO orders VALUES ($id, 'from eu')");
    $node{hub}->wait_for_log($taken_key, $offset);
    ok(eventually(sub { subscription_errors($node{hub}) > 0 }), 'the subscription stands still, with an error that is counted');
    # CONTEXT names the LSN at which the remote transaction finished.
    my ($lsn) = slurp_file($node{hub}->logfile, $offset) =~ m{finished at ([0-9A-F]+/[0-9A-F]+)};
    $hub->("ALTER SUBSCRIPTION from_eu SKIP (lsn = '$lsn')");
    $node{eu}->safe_psql('postgres', "INSERT INTO orders (item) VALUES ('anew')");
    $arrived->();
    is($hub->(qq{SELECT string_agg(item, ', ' ORDER BY id) FROM orders WHERE id >= $id}), 'from us, anew', 'skipped, it goes on');
};

for my $name (qw(us eu hub))
{
    my $subscriptions = $node{$name}->safe_psql('postgres', 'SELECT subname FROM pg_subscription');
    $node{$name}->safe_psql('postgres', "DROP SUBSCRIPTION $_") for split /\n/, $subscriptions;
}
$_->stop for values %node;
done_testing();
