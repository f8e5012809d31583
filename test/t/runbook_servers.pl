# doc/runbook.md, several servers: one number twice, a backup that was restored elsewhere,
# and which server made a row.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use ManyServers;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Runbook;
use Test::More;
use Time::Local qw(timegm);
use Timeshard;

my $conf = "timeshard.node_id = 298\nautovacuum = off\ntimezone = 'UTC'\n";
my $db1 = new_cluster('db1', clock => 1, conf => $conf, init => [ allows_streaming => 1 ]);
my $db2 = new_cluster('db2', clock => 1, conf => $conf);
write_services($db1->basedir . '/pg_service.conf', db1 => $db1, db2 => $db2);
my $book = Runbook->new;
$_->safe_psql('postgres', 'CREATE TABLE orders (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), item text)') for $db1, $db2;

# Both make an ID in the same millisecond.
$_->safe_psql('postgres', 'SELECT timeshard_next_id()') for $db1, $db2;
set_clock($_, '2031-03-10 14:00:00') for $db1, $db2;
$_->safe_psql('postgres', 'SELECT timeshard_accept_clock()') for $db1, $db2;
my ($lamp) = split /\n/, $db1->safe_psql('postgres', "INSERT INTO orders VALUES (DEFAULT, 'lamp') RETURNING id");
my ($chair) = split /\n/, $db2->safe_psql('postgres', "INSERT INTO orders VALUES (DEFAULT, 'chair') RETURNING id");
my $copy = "INSERT INTO orders VALUES ($chair, 'chair')";
fails_with($db1, $copy, qr/duplicate key value violates unique constraint "orders_pkey"\nDETAIL:  Key \(id\)=\($lamp\) already exists/, 'twins');
like($book->at($db1)->run('duplicate', sub { s/390233979859673091/$chair/r }), qr/^ +298 \| +298 \| 2031-03-10/m, 'twins: by its number this server made it');
$book->run('twins');
set_clock($_, '+0') for $db1, $db2;
$book->at($db2)->run('node-id-now');
is($book->try('twins'), "298|configuration|db1\n299|configuration|db2\n", 'twins: each has its own now');
$book->run('which-server');
$book->run('which');
set_clock($_, '2032-03-10 14:00:00') for $db1, $db2;
$_->safe_psql('postgres', 'SELECT timeshard_accept_clock()') for $db1, $db2;
my ($first) = split /\n/, $db1->safe_psql('postgres', "INSERT INTO orders VALUES (DEFAULT, 'shelf') RETURNING id");
my ($second) = split /\n/, $db2->safe_psql('postgres', "INSERT INTO orders VALUES (DEFAULT, 'sofa') RETURNING id");
isnt($first, $second, 'twins: in one millisecond, two IDs');
like($book->try('which', sub { s/390233979859673091/$second/r }), qr/^ +299 \| 2032-03-10/m, 'and the ID tells the server');
$db2->stop;

# Staging, from a base backup.
$db1->backup('nightly', backup_options => ['--checkpoint=fast']);
my $staging = PostgreSQL::Test::Cluster->new('staging');
$staging->init_from_backup($db1, 'nightly');
Timeshard::prepare_clock($staging);
set_clock($staging, sprintf '+%d', timegm(0, 10, 14, 10, 2, 2032) - time);
start_with_env($staging);
my ($rc, $out, $err) = $staging->psql('postgres', 'SELECT timeshard_next_id()');
like($err, qr/WARNING: +timeshard runs as node 298 on a copy of a data directory that issued IDs as that node/, 'restored elsewhere: warned of');
$book->at($staging)->run('restored');
($rc, $out, $err) = $staging->psql('postgres', 'SELECT timeshard_next_id()');
is($err, '', 'restored elsewhere: no warning any more');

$book->finish;
$_->stop for $db1, $staging;
done_testing();
