# pgbouncer in transaction mode, by the configuration of doc/clients.md: IDs that
# many clients make over few server connections, the horizon while one of them has
# a transaction open, and settings, which are the server's.
#
# Debian: pgbouncer.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Clients;
use Pgbouncer;
use Timeshard;
use TimeshardSession;

plan skip_all => 'install pgbouncer' unless Pgbouncer::version();

my $node = shop_cluster('pgbouncer');
shop_database($node, 'shop', tables => 1);
shop_sql($node, 'shop', 'CREATE TABLE made (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), pid integer DEFAULT pg_backend_pid())');

# The page's 'pgbouncer.ini', with room for two.
my $pool = Pgbouncer->new($node, default_pool_size => 2);

subtest 'many clients, two connections' => sub {
    my $insert = 'INSERT INTO made DEFAULT VALUES';
    my $script = write_program($node->basedir . '/insert.pgbench', "BEGIN;\n$insert;\n$insert;\nEND;\n");
    my ($out, $err) = ('', '');
    my $ok = IPC::Run::run([ 'pgbench', '-n', '-M', 'extended', '-c', 12, '-j', 2, '-t', 50, '-f', $script,
        '-h', '127.0.0.1', '-p', $pool->{port}, '-U', 'shop', 'shop' ], '>', \$out, '2>', \$err);
    ok($ok && $out =~ m{processed: 600/600}, 'all is done') or diag("$out$err");
    is(shop_sql($node, 'shop', 'SELECT count(*), count(DISTINCT id), count(DISTINCT pid) FROM made'), '1200|1200|2',
        'no ID twice, over two server connections');

    # By turns, so that both connections are in use.
    my ($one, $other) = ($pool->session, $pool->session);
    my (@ids, %pids);
    for my $turn (1 .. 20)
    {
        $one->ask_ok('BEGIN');
        for my $session ($one, $other)
        {
            my ($id, $pid) = split /\|/, $session->ask_ok('SELECT timeshard_next_id(), pg_backend_pid()');
            push @ids, $id;
            $pids{$pid} = 1;
        }
        $one->ask_ok('COMMIT');
        ($one, $other) = ($other, $one) if $turn % 3 == 0;
    }
    is_deeply(\@ids, [ sort { $a <=> $b } @ids ], 'IDs rise from call to call');
    is(scalar keys %pids, 2, 'over both connections');
    $_->finish for $one, $other;
};

sub horizon
{
    my ($answer, $err) = $pool->ask('SELECT timeshard_horizon()');
    return $err eq '' ? $answer : die $err;
}

# The client that has this server connection, by pgbouncer's own lists.
sub client_of
{
    my ($pid) = @_;
    my ($server) = grep { $_->{remote_pid} eq $pid } $pool->console('SHOW SERVERS');
    return grep { $_->{ptr} eq $server->{link} } $pool->console('SHOW CLIENTS');
}

subtest 'the horizon' => sub {
    my ($writer, $reader) = ($pool->session, $pool->session);
    my $insert = sub { return "INSERT INTO customers (name) VALUES ('$_[0]') RETURNING id" };
    $writer->ask_ok('BEGIN');
    my $id = $writer->ask_ok($insert->('Ada'));
    my $holder = $writer->ask_ok('SELECT pg_backend_pid()');

    # Others make IDs over the other connection meanwhile, and commit them.
    my ($later, $pid) = split /\|/, $reader->ask_ok($insert->('Grace') . ', pg_backend_pid()');
    isnt($pid, $holder, 'two server connections');
    ok($node->poll_query_until('shop', "SELECT timeshard_time($later) < clock_timestamp() - interval '2 ms'"), 'their millisecond ends');
    cmp_ok(horizon(), '<=', $id, 'a transaction that is open through it holds the horizon');
    is($node->safe_psql('shop', 'SELECT horizon_holder FROM timeshard_stats()'), $holder, 'its server connection is the holder');
    my @client = client_of($holder);
    is(scalar @client, 1, "pgbouncer's console says whose it is");
    is($writer->ask_ok('\echo :PORT'), $pool->{port}, 'which came through pgbouncer');

    $writer->ask_ok('COMMIT');
    ok(eventually(sub { horizon() > $later }), 'when it has ended, the horizon passes it');
    is(scalar client_of($holder), 0, 'and nobody has the connection');

    # The next transaction of either connection takes no ID: it holds nothing.
    $reader->ask_ok('BEGIN; SELECT 1');
    my $next = $writer->ask_ok($insert->('Kay'));
    ok(eventually(sub { horizon() > $next }), 'a transaction without an ID does not hold it, whatever ran there before');
    my $answer = horizon();
    is($writer->ask_ok("SELECT string_agg(name, ' ' ORDER BY id) FROM customers WHERE id < $answer"), 'Ada Grace Kay',
        'a later statement sees all below it');
    $reader->ask_ok('COMMIT');
    $_->finish for $writer, $reader;
};
$pool->stop;

subtest 'settings' => sub {
    # One connection, so that the next client meets what the first one left.
    $pool = Pgbouncer->new($node, default_pool_size => 1);
    my ($out, $err) = $pool->ask('SET timeshard.node_id = 7', 'SELECT timeshard_next_id()');
    like($err, qr/55P02: parameter "timeshard.node_id" can only be set in the server's configuration/, 'a client sets one, and is refused');
    ($out, $err) = $pool->ask('SELECT timeshard_next_id()');
    like($err, qr/55P02: parameter/, 'so is the next client in the same connection');
    ($out, $err) = $pool->ask('RESET timeshard.node_id', 'SELECT (timeshard_config()).node_id');
    is("$out$err", 298, 'until it is reset');
    $pool->stop;

    $node->append_conf('postgresql.conf', "shared_preload_libraries = 'timeshard'");
    restart_with_env($node);
    $pool = Pgbouncer->new($node, default_pool_size => 1);
    ($out, $err) = $pool->ask('SET timeshard.node_id = 7');
    like($err, qr/55P02: /, 'preloaded: the SET is refused');
    ($out, $err) = $pool->ask('SELECT (timeshard_config()).node_id');
    is("$out$err", 298, 'and the next client is not');
    $pool->stop;
};

$node->stop;
done_testing();
