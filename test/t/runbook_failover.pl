# doc/runbook.md, a failover: to a member with a right clock, and from one whose clock was
# ahead.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use ManyServers;
use MarkFile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Runbook;
use Standbys;
use Test::More;
use Timeshard;

# What is a member's own lies outside its data directory, beside it.
sub member
{
    my ($node, $number) = @_;
    append_to_file($node->basedir . '/member.conf', "port = @{[$node->port]}\ntimeshard.node_id = $number\n");
    $node->append_conf('postgresql.conf', "include '../member.conf'");
    return $node;
}

my $db1 = new_cluster('db1', preload => 1, clock => 1, start => 0, init => [ allows_streaming => 1 ],
    conf => "wal_log_hints = on\nwal_keep_size = '256MB'\nautovacuum = off\n");
member($db1, 11);
start_with_env($db1);
$db1->safe_psql('postgres', 'CREATE EXTENSION timeshard; CREATE TABLE orders (id bigint PRIMARY KEY DEFAULT timeshard_next_id())');
my $db2 = member(copy_of($db1, 'db2', preload => 1, clock => '+0'), 12);
start_with_env($db2);
write_services($db1->basedir . '/pg_service.conf', db1 => $db1, db2 => $db2);
my $book = Runbook->new;

my $last = $db1->safe_psql('postgres', 'INSERT INTO orders DEFAULT VALUES RETURNING id');
await_replay($db1, $db2);
$db1->stop('immediate');
promote_to($db2);
like($book->at($db2)->try('failover-who'), qr/^db2\|f\|12\|/m, 'who takes writes');
like($book->try('failover-who'), qr/^psql: error: .*"db1"|^psql: error: connection to server/m, 'and who does not answer');
$book->ends_in('failover-works', 'works|t');
cmp_ok($db2->safe_psql('postgres', 'INSERT INTO orders DEFAULT VALUES RETURNING id'), '>', $last, 'larger IDs');

my $mark = mark_bytes($db1);
$book->at($db1)->ends_in('failover-back', 't');
is(mark_bytes($db1), $mark, 'the old primary is back, with its own mark');
$db2->safe_psql('postgres', 'INSERT INTO orders DEFAULT VALUES');
await_replay($db2, $db1);
like($book->try('failover-who'), qr/^db1\|t\|11\|.*^db2\|f\|12\|/ms, 'one standby, one primary');

# The primary's clock is ahead, and it fails.
set_clock($db2, '+3600');
my $ahead = $db2->safe_psql('postgres', 'INSERT INTO orders DEFAULT VALUES RETURNING id');
await_replay($db2, $db1);
$db2->stop('immediate');
promote_to($db1);
my $here = sub { s/service=db2/service=db1/r };
like($book->try('failover-works', $here), qr/ERROR:  clock is \d+\.\d+ s behind the last commit that was replayed/, 'the clock was ahead');
$book->at($db1, NODE_CONF => $db1->basedir . '/member.conf');
$book->run('clock-ahead-number');
$book->run('clock-ahead');
$book->ends_in('failover-works', 'works|t', $here);
cmp_ok($db1->safe_psql('postgres', 'INSERT INTO orders DEFAULT VALUES RETURNING id'), '<', $ahead, 'IDs of now, by a new number');

$book->finish;
$_->stop('immediate') for $db1, $db2;
done_testing();
