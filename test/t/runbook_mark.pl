# doc/runbook.md, the mark: damaged, unreadable, gone; a key that comes twice because of
# it; the floor raised in every database; and a consumer that stands still.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use MarkFile;
use POSIX qw(strftime);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Runbook;
use Test::More;
use Timeshard;
use TimeshardSession;

my $next = 'SELECT timeshard_next_id()';
my $node = new_cluster('mark', clock => 1, conf => "timeshard.node_id = 7\nautovacuum = off\nmax_prepared_transactions = 5\ntimezone = 'UTC'\n");
my $book = Runbook->new->at($node);
my $path = mark_path($node);

# The shop is one database of three, and one of them has no Timeshard.
for my $database (qw(postgres shop))
{
    $node->safe_psql('postgres', 'CREATE DATABASE shop') if $database eq 'shop';
    $node->safe_psql($database, 'CREATE EXTENSION IF NOT EXISTS timeshard;
        CREATE TABLE orders (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), item text)');
}
$node->safe_psql('postgres', 'CREATE DATABASE plain');

sub insert
{
    my ($database) = @_;
    return $node->safe_psql($database // 'postgres', "INSERT INTO orders (item) VALUES ('lamp') RETURNING id");
}

# Stands the clock still so many seconds from now.
my $now = time;

sub stand_clock
{
    my ($seconds) = @_;
    set_clock($node, strftime('%Y-%m-%d %H:%M:%S', localtime($now + $seconds)));
    return;
}

insert();
insert('shop');

# Damaged, and the clock an hour back: the floor holds what the tables have.
my $largest = insert('shop');
$node->stop('immediate');
write_mark($node, 'x' x 8192);
start_with_env($node);
fails_with($node, $next, qr/ERROR:  55000: file "timeshard.mark" is damaged\nDETAIL:  Neither of its two records is sound\./, 'damaged');
$book->run('damaged');
is(-s $book->home . '/timeshard.mark.damaged', 8192, 'damaged: a copy is kept');
my $output = $book->run('raise-floor');
like($output, qr/^postgres\|\d+\|\nshop\|$largest\|\nworks\|t\n\z/, 'damaged: the floor is raised in every database that has IDs');
cmp_ok(insert('shop'), '>', $largest, 'damaged: IDs go on above all of them');

$node->stop('immediate');
chmod 0, $path;
start_with_env($node);
fails_with($node, $next, qr/ERROR:  55000: file "timeshard.mark" is damaged\nDETAIL:  It could not be read: Permission denied\./, 'unreadable');
$book->ends_in('damaged-mode', 'works|t');

# Removed, and the clock went back to a millisecond that has IDs.
stand_clock(60);
$largest = insert();
$node->stop('immediate');
unlink $path;
stand_clock(50);
start_with_env($node);
stand_clock(60);
my ($rc, $out, $err) = $node->psql('postgres', "INSERT INTO orders (item) VALUES ('chair')");
like($err, qr/duplicate key value violates unique constraint "orders_pkey"\nDETAIL:  Key \(id\)=\($largest\) already exists/, 'removed: a key comes twice');
like($book->run('duplicate', sub { s/390233979859673091/$largest/r }), qr/^ +7 \| +7 \|/m, 'removed: this server has made both');
$output = $book->try('raise-floor');
like($output, qr/^ERROR:  clock is \d+\.\d+ s behind the (?:floor|last ID)$/m, 'removed: the floor is raised, and the clock is behind it');
set_clock($node, '+120');
$book->ends_in('raise-floor', 'works|t');
cmp_ok(insert(), '>', $largest, 'removed: with the clock past it, IDs go on above');

# A consumer: held back by a session, by a prepared transaction, and by one from before a restart.
my $session = TimeshardSession->new($node);
$session->ask_ok("BEGIN; INSERT INTO orders (item) VALUES ('late')");
sub is_held { return eventually(sub { $book->try('consumer') =~ /^ t +\|/m }) }
ok(is_held(), 'consumer: held back');
like($book->run('consumer'), qr/^ t +\| postgres +\| idle in transaction +\| INSERT INTO orders/m, 'consumer: by that session');
like($book->run('consumer-session'), qr/^ t$/m, 'consumer: which is ended');
$book->run('consumer-works');
my $prepare = "BEGIN; INSERT INTO orders (item) VALUES ('late'); PREPARE TRANSACTION 'order-4711'";
$node->safe_psql('postgres', $prepare);
ok(is_held(), 'consumer: held back again');
like($book->run('consumer'), qr/^ t +\| +\| +\| *\n.*^ order-4711 \| postgres$/ms, 'consumer: by a prepared transaction');
$book->run('consumer-prepared');
$book->run('consumer-works');
$node->safe_psql('postgres', $prepare);
restart_with_env($node);
fails_with($node, 'SELECT timeshard_horizon()', qr/ERROR:  55000: a transaction is open that was prepared before the server's start or promotion/, 'consumer: after a restart');
like($book->run('consumer'), qr/^ order-4711 \| postgres$/m, 'consumer: named');
$book->run('consumer-prepared');
$book->run('consumer-works');

like($book->run('limit'), qr/^ +\d+ \| +4096000 \| 2093-08-18/m, 'how many IDs there could be');

$book->finish;
$node->stop;
done_testing();
