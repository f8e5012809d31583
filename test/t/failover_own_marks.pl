# doc/high-availability.md, a number for each member, where the primary's clock was
# ahead: a member that comes back keeps its own mark by the page's steps, and what
# it makes without; and the way out on a promoted server that refuses, by the steps
# of doc/operations.md, "When the clock was wrong".
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use FaultKit;
use ManyServers;
use POSIX ();
use PostgreSQL::Test::Utils;
use Standbys qw(await_replay clock_at copy_of next_id);
use Test::More;
use Time::HiRes qw(time);
use Timeshard;

# On the command line: a member's own, which no rewind and no base backup replaces.
my %node;
sub run_as
{
    my ($name, $number) = @_;
    $node{$name}{timeshard_options} = "-c port=" . $node{$name}->port . " -c timeshard.node_id=$number";
    return;
}

sub query
{
    my ($name, $sql) = @_;
    return $node{$name}->safe_psql('postgres', $sql);
}

sub cut_off
{
    my ($name) = @_;
    query($name, q(ALTER SYSTEM SET primary_conninfo = ''));
    $node{$name}->reload;
    $node{$name}->poll_query_until('postgres', 'SELECT count(*) = 0 FROM pg_stat_wal_receiver') or die "$name still receives";
    return;
}

sub standby
{
    my ($name, $number, $from) = @_;
    $node{$name} = copy_of($node{$from}, $name, preload => 1, clock => '+0');
    run_as($name, $number);
    start_with_env($node{$name});
    await_replay(@node{ $from, $name });
    return;
}

# A stopped server's data directory gets another's content.
sub put_back
{
    my ($name, $content) = @_;
    my $dir = $node{$name}->data_dir;
    system_or_bail('sh', '-c', 'find "$1/" -mindepth 1 -delete && cp -a "$2/." "$1"', 'sh', $dir, $content);
    unlink "$dir/postmaster.pid";
    return;
}

# What a server has logged since this was last asked.
my %seen;
sub new_log
{
    my ($name) = @_;
    my $log = substr log_of($node{$name}), $seen{$name} // 0;
    $seen{$name} += length $log;
    return $log;
}

$node{db1} = fault_cluster('db1', shim => 0, clock => 1, preload => 1, start => 0, init => [ allows_streaming => 1 ],
    conf => "timezone = 'UTC'\nwal_log_hints = on\nwal_keep_size = '1GB'\n");
run_as('db1', 11);
my $folder = $node{db1}->basedir;
symlink $node{db1}->data_dir, "$folder/db1" or die "cannot link $folder/db1: $!";
start_with_env($node{db1});
query('db1', 'CREATE EXTENSION timeshard; CREATE TABLE orders (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), item text)');
standby('db2', 12, 'db1');
write_services("$folder/pg_service.conf", %node);
my $page = ManyServers->new('high-availability.md', first => 'db1', folder => $folder);

# The clock jumps ahead, where nobody replays it any more, and the primary dies.
cut_off('db2');
my $ahead = int(time) + 600;
my $there = POSIX::strftime('%Y-%m-%d %H:%M:%S', localtime $ahead);
my $some = "INSERT INTO orders (item) SELECT 'made ahead' FROM generate_series(1, 50) RETURNING id";
set_clock($node{db1}, $there);
my @made = split /\n/, query('db1', $some);
kill9_all($node{db1});
system_or_bail('cp', '-a', $node{db1}->data_dir, "$folder/dead");
$node{db2}->promote;
is(query('db2', q{INSERT INTO orders (item) VALUES ('after') RETURNING (timeshard_parse(id)).node_id}), 12, 'the other is promoted, and knows nothing of it');

# It comes back by these steps, and is promoted again when its clock is right.
sub come_back
{
    my ($steps) = @_;
    put_back('db1', "$folder/dead");
    set_clock($node{db1}, '+0');
    unlike($page->run_sh($steps), qr/ERROR/, 'the steps');
    restart_now($node{db1});
    await_replay(@node{qw(db2 db1)});
    new_log('db1');
    $node{db1}->promote;
    return;
}

my $rewind = $page->block('rewind-own');
my $copied = $rewind =~ s/^pg_rewind.*$/find db1\/ -mindepth 1 -delete\npg_basebackup -d service=db2 -D db1 -R -c fast/mr;
for my $case ([ 'rewound', $rewind ], [ 'a new base backup', $copied ])
{
    my ($name, $steps) = @$case;
    subtest "$name, its mark put back" => sub {
        come_back($steps);
        fails_with($node{db1}, 'SELECT timeshard_next_id()', qr/clock is \d+\.\d+ s behind what earlier runs of this server reserved/,
            'below what it has made');
        clock_at($node{db1}, $ahead);
        my ($first, @more) = split /\n/, query('db1', $some);
        cmp_ok($first, '>', $made[-1], 'at the time that its clock was at, it goes on above');
        unlike(new_log('db1'), qr/on a copy of a data directory|node ID has changed/, 'the log finds nothing to it');
        $node{db1}->stop('immediate');
    };
    subtest "$name, its mark not kept: the limit" => sub {
        come_back($steps =~ s/^cp .*\n?//mgr);
        cmp_ok(next_id($node{db1}), '<', $made[0], 'it makes IDs at once');
        set_clock($node{db1}, $there);
        is(query('db1', $some), join("\n", @made), 'and at that time the same again');
        my $log = new_log('db1');
        unlike($log, qr/on a copy of a data directory/, 'no copy to warn of');
        like($log, qr/node ID has changed from 12 to 11/, 'but whose mark it has');
        $node{db1}->stop('immediate');
    };
}

# Commits of a clock that was ahead, and replayed.
query('db2', 'ALTER SYSTEM RESET primary_conninfo');
standby('db3', 13, 'db2');
set_clock($node{db2}, '+10m');
my $last = query('db2', q{INSERT INTO orders (item) VALUES ('ahead') RETURNING id});
await_replay(@node{qw(db2 db3)});
kill9_all($node{db2});
$node{db3}->promote;
subtest 'a promoted server that has replayed commits of a clock ahead' => sub {
    my $next = 'SELECT timeshard_next_id()';
    fails_with($node{db3}, $next, qr/clock is \d+\.\d+ s behind the last commit that was replayed/, 'refuses, with a number of its own');
    restart_with_env($node{db3});
    fails_with($node{db3}, $next, qr/clock is \d+\.\d+ s behind what earlier runs of this server reserved/, 'after a restart, too');
    $node{db3}->stop('immediate');
    system_or_bail('cp', '-a', $node{db3}->data_dir, "$folder/refuses");

    for my $number (14, 13)
    {
        run_as('db3', $number);
        unlink $node{db3}->data_dir . '/timeshard.mark' or die "cannot remove the mark: $!";
        start_with_env($node{db3});
        query('db3', 'CHECKPOINT');
        my $id = next_id($node{db3});
        cmp_ok($id, '<', $last, "as $number, its mark removed: IDs of now");
        is(query('db3', "SELECT node_id, datetime BETWEEN now() - interval '1 min' AND now() FROM timeshard_parse($id)"), "$number|t", 'by its number');
        cmp_ok(query('db3', q{INSERT INTO orders (item) VALUES ('on') RETURNING id}), '>', $id, 'and so on');
        $node{db3}->stop('immediate');
        put_back('db3', "$folder/refuses") if $number == 14;
    }
};

$page->skip_rest;
$page->finish;
done_testing();
