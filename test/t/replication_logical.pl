# doc/replication.md, as it stands: three writers replicated into one table, what is
# missing there, and what stops them. What they do under load and by clocks that
# disagree is in replication_clocks.pl, two that replicate to each other in
# replication_two_way.pl.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use ManyServers;
use Manual qw(read_text);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;
use TimeshardSession;

# Configured as the page has it, with time zones and a date style of their own.
my ($writer, $collector) = configurations('replication.md');
my %number = (us => 1, eu => 2, ap => 3);
my %conf = (hub => $collector, map { $_ => $writer =~ s/(node_id = )1/$1$number{$_}/r } keys %number);
my %zone = (hub => 'UTC', us => 'America/New_York', eu => 'Europe/Paris', ap => 'Asia/Kolkata');
my %date = (eu => 'sql, dmy');
my %node = map {
    $_ => new_cluster($_, start => 0, clock => $_ eq 'eu', init => [ allows_streaming => 1 ],
        conf => "$conf{$_}timezone = '$zone{$_}'\ndatestyle = '@{[ $date{$_} // 'iso' ]}'\nwal_retrieve_retry_interval = '200ms'\n")
} keys %conf;
write_services($node{us}->basedir . '/pg_service.conf', %node);
start_with_env($_) for values %node;

my %where = (first => 'us', folder => $node{us}->basedir);
my $page = ManyServers->new('replication.md', %where);
my %from = map { ("from_$_" => $node{$_}) } qw(us eu ap);
my $arrived = sub { await_subscriptions($node{hub}, %from) };
my $hub = sub { $node{hub}->safe_psql('postgres', $_[0]) };
# Compares as a reader's shell does, which goes on after what fails.
my $by_hand = sub { $page->run_sh("set +eu\n" . ($_[0] // $page->block('missing'))) };

subtest 'three writers into one table' => sub {
    $page->run_until('copied');
    $arrived->();
    is($hub->(q{SELECT count(*) FROM pg_extension WHERE extname = 'timeshard'}), 0, 'copied without the extension');
    $page->run_until('arrived');
    $arrived->();
    $page->run_until('kept');
};

# More than a hub has workers for by default; two of them by a role that may do what
# the page names, and no more.
subtest 'five subscriptions' => sub {
    $node{ap}->safe_psql('postgres', 'CREATE ROLE collector LOGIN REPLICATION');
    for my $table (qw(fourth fifth))
    {
        my $create = "CREATE TABLE $table (id bigint PRIMARY KEY)";
        $node{ap}->safe_psql('postgres', "$create; INSERT INTO $table VALUES (1); CREATE PUBLICATION $table FOR TABLE $table; GRANT SELECT ON $table TO collector");
        $hub->($create);
        $hub->("CREATE SUBSCRIPTION $table CONNECTION 'service=ap user=collector' PUBLICATION $table");
    }
    await_subscriptions($node{hub}, fourth => $node{ap}, fifth => $node{ap});
    is($hub->('SELECT (SELECT count(*) FROM fourth), (SELECT count(*) FROM fifth)'), '1|1', 'all have copied');
};

subtest 'what is missing is found' => sub {
    my $compare = $page->block('missing');
    my $id = $hub->('SELECT max(id) FROM orders WHERE (timeshard_parse(id)).node_id = 2');
    $hub->("DELETE FROM orders WHERE id = $id");
    # Changed is the line of its minute, or deleted, where it was alone in that.
    like($page->run_sh($compare), qr/^\d+[cd]\d+$/m, 'a row that is not there');
    $hub->("INSERT INTO orders VALUES ($id + 1, 'first')");
    like($page->run_sh($compare), qr/^\d+c\d+$/m, 'another in its place');
    $hub->("UPDATE orders SET id = $id WHERE id = $id + 1");

    # A row that has its ID before the first look, and arrives between the two.
    my $open = TimeshardSession->new($node{eu});
    $open->ask_ok("BEGIN;\nINSERT INTO orders (item) VALUES ('meanwhile')");
    my $horizon = $page->run_sh($compare =~ s/^for.*/echo "\$horizon")/msr);
    my $look = $compare =~ s/horizon=\K.*/$horizon/r;
    $page->run_sh($look =~ s/eu hub/eu/r);
    $open->ask_ok('COMMIT');
    $open->finish;
    $arrived->();
    is($page->run_sh($look =~ s/eu hub/hub/r), "nothing is missing\n", 'as it was, beside a writer that goes on');

    is($by_hand->(), "nothing is missing\n", 'by hand');
    my $nothing = $by_hand->($compare =~ s/node_id = 2/node_id = 5/r);
    is($nothing =~ s/^ERROR: exit code \d+\n//r, '', 'not said of a node that has no rows');
    set_clock($node{eu}, '-10s');
    my $refused = $by_hand->();
    set_clock($node{eu}, '+0');
    like($refused, qr/clock is .* behind/, 'a writer that refuses');
    unlike($refused, qr/nothing is missing|syntax error/, 'ends it');
    ok(eventually(sub { $by_hand->() eq "nothing is missing\n" }), 'until it answers');
};

# Without the hub, us writes more than it may keep.
subtest 'a slot that is lost' => sub {
    my $others = $hub->('SELECT count(*) FROM orders WHERE (timeshard_parse(id)).node_id <> 1');
    my $us = sub { $node{us}->safe_psql('postgres', $_[0]) };
    $node{hub}->stop;
    my $down = $by_hand->();
    like($down, qr/connection to server .* failed/, 'a server that is down');
    unlike($down, qr/nothing is missing/, 'is not compared with what it said before');
    like($page->run_next('kept'), qr/^ from_us +\| f +\| reserved /m, 'what is kept for a hub that is not there');
    my ($bound) = read_text("$FindBin::RealBin/../../doc/replication.md") =~ /`(max_slot_wal_keep_size) = '\d+GB'`/;
    $us->("ALTER SYSTEM SET $bound = '1MB'");
    reload_and_wait($node{us});
    $us->("INSERT INTO orders (item) VALUES ('nobody hears of'); DELETE FROM orders WHERE id = (SELECT min(id) FROM orders)");
    $us->('SELECT pg_switch_wal(); CHECKPOINT') for 1 .. 2;
    is($us->('SELECT wal_status FROM pg_replication_slots'), 'lost', 'past the bound');
    $us->("ALTER SYSTEM RESET $bound");
    reload_and_wait($node{us});
    my $offset = -s $node{hub}->logfile;
    start_with_env($node{hub});
    $node{hub}->wait_for_log(qr/ERROR: +could not start WAL streaming: .*"from_us"/, $offset);
    # What the hub itself has written about orders.
    $hub->(q{CREATE TABLE notes (order_id bigint REFERENCES orders ON DELETE CASCADE);
        INSERT INTO notes SELECT max(id) FROM orders WHERE (timeshard_parse(id)).node_id = 1});
    $page->run_until('delays');
    $arrived->();
    is($hub->('SELECT string_agg(id::text, $$ $$ ORDER BY id) FROM orders WHERE (timeshard_parse(id)).node_id = 1'),
        $us->('SELECT string_agg(id::text, $$ $$ ORDER BY id) FROM orders'), 'filled anew, it has what us has');
    is($hub->('SELECT count(*) FROM orders WHERE (timeshard_parse(id)).node_id <> 1'), $others, 'and of the others what it had');
    is($hub->('SELECT count(*) FROM notes JOIN orders ON id = order_id'), 1, 'and what refers to the rows');
};

subtest 'a clock that is ahead' => sub {
    set_clock($node{eu}, '+2s');
    $node{ $_->[0] }->safe_psql('postgres', "INSERT INTO orders (item) VALUES ('$_->[1]')") for [ us => 'ordered' ], [ eu => 'paid' ], [ us => 'shipped' ];
    $arrived->();
    is($hub->(q{SELECT string_agg(item, ' ' ORDER BY id) FROM orders WHERE item IN ('ordered', 'paid', 'shipped')}), 'ordered shipped paid',
        'its row sorts after a later one');
    my $delays = $page->run_next('delays');
    $page->finish;
    my %delay = $delays =~ /^ +(\d) \| (-?)00:00:0(?=\d)/mg;
    is_deeply(\%delay, { 1 => '', 2 => '-', 3 => '' }, 'its delay alone is negative');
    my $session = TimeshardSession->new($node{eu});
    $session->ask_ok('SELECT timeshard_next_id()');
    set_clock($node{eu}, '+0');
    like(($session->ask('SELECT timeshard_next_id()'))[1], qr/55000: clock is [01]\.\d{3} s behind the last ID/, 'set back, it refuses');
    $session->finish;
    ok(eventually(sub { ($node{eu}->psql('postgres', 'SELECT timeshard_next_id()'))[0] == 0 }), 'until it has passed the last ID');
};

subtest 'a writer that empties its table' => sub {
    my $before = $hub->('SELECT count(*) FROM orders');
    $node{ap}->safe_psql('postgres', 'TRUNCATE orders');
    $node{ap}->safe_psql('postgres', q{INSERT INTO orders (item) VALUES ('after')});
    $arrived->();
    is($hub->('SELECT count(*) FROM orders'), $before + 1, 'empties no other');
};

# What the page says of keys from before: 5000 reads as one of node 1.
subtest 'a key that Timeshard has not made' => sub {
    my $old = sub { $hub->('SELECT count(*) FROM orders WHERE id = 5000') };
    $node{eu}->safe_psql('postgres', q{INSERT INTO orders VALUES (5000, 'from before')});
    $arrived->();
    is($old->(), 1, 'of eu');
    $hub->($page->block('refill'));
    $arrived->();
    is($old->(), 0, 'is lost when us is copied anew');
    is($by_hand->(), "nothing is missing\n", 'and not found to be missing');
    my @create = $page->block('hub') =~ /^(CREATE SUBSCRIPTION .*)$/mg;
    my ($empty) = $page->block('refill') =~ /^(BEGIN;.*?COMMIT;)$/ms;
    $hub->(join "\n", (map { "DROP SUBSCRIPTION $_;" } sort keys %from), $empty =~ s/ WHERE.*?;/;/sr, @create);
    $arrived->();
    my $all = 0;
    $all += $_->safe_psql('postgres', 'SELECT count(*) FROM orders') for values %from;
    is($old->() . ' ' . $hub->('SELECT count(*) FROM orders'), "1 $all", 'filled anew from all, it has all');
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
    my $rows = sub { $hub->(qq{SELECT string_agg(item, ', ' ORDER BY id) FROM orders WHERE id >= $id}) };
    is($rows->(), 'from us, anew', 'skipped, it goes on');
    # The trap: what eu does with its row happens to that of us.
    $node{eu}->safe_psql('postgres', "UPDATE orders SET item = 'of eu' WHERE id = $id");
    $arrived->();
    is($rows->(), 'of eu, anew', 'what eu changes in its row, the row of us gets');
    $node{eu}->safe_psql('postgres', "DELETE FROM orders WHERE id = $id");
    $arrived->();
    is($rows->(), 'anew', 'deleted in eu, the row of us is gone');
};

$_->stop('immediate') for values %node;
done_testing();
