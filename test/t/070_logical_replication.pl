# doc/replication.md, as it stands: three writers replicated into one table, what is
# missing there, and what stops them. What they do under load and by clocks that
# disagree is in 070_replication_clocks.pl, two that replicate to each other in
# 070_two_way.pl.
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
