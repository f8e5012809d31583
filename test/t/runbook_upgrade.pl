# doc/runbook.md, pg_upgrade: from the version to itself, where no other one has the
# extension, by a server whose clock is behind.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Runbook;
use Test::More;
use Timeshard;

my $bindir = qx(pg_config --bindir) =~ s/\s+\z//r;
plan skip_all => "pg_upgrade is not installed: no $bindir/pg_upgrade" unless -x "$bindir/pg_upgrade";

my $old = new_cluster('old', clock => 1, preload => 1, conf => "timeshard.node_id = 298\n");
$old->safe_psql('postgres', 'CREATE DATABASE shop');
for my $database (qw(postgres shop))
{
    $old->safe_psql($database, 'CREATE EXTENSION IF NOT EXISTS timeshard;
        CREATE TABLE orders (id bigint PRIMARY KEY DEFAULT timeshard_next_id())');
}
my $largest = $old->safe_psql('shop', 'INSERT INTO orders DEFAULT VALUES RETURNING id');
my $new = PostgreSQL::Test::Cluster->new('new');
Timeshard::prepare_clock($new);
$new->init;
my $book = Runbook->new->at($old);
my $conf = $new->data_dir . '/postgresql.conf';
like($book->run('upgrade-before', sub { s{^NEWBIN=\S+ NEWCONF=\S+}{NEWBIN=$bindir NEWCONF=$conf}mr }), qr{/timeshard\.so$}m, 'the library is there');
$old->stop;

set_clock($new, '-10m');
{
    my %there = (%{ $new->{timeshard_clock} }, PGSOCKETDIR => $new->host, PGPORTOLD => $old->port, PGPORTNEW => $new->port);
    my $data = $new->data_dir;
    $book->at($old, %there)->run('upgrade', sub { s{^OLDBIN.*$}{OLDBIN=$bindir NEWBIN=$bindir NEW=$data}mr });
}
start_with_env($new);
$book->at($new)->run('upgrade-after');
my $insert = 'INSERT INTO orders DEFAULT VALUES RETURNING id';
fails_with($new, $insert, qr/55000: clock is \d+\.\d{3} s behind what earlier runs of this server reserved/, 'the mark finds a clock that is behind', dbname => 'shop');
like($book->try('raise-floor'), qr/^shop\|$largest\|\nERROR:  clock is \d+\.\d+ s behind .*$/m, 'raised, and refused too');
set_clock($new, '+0');
$book->ends_in('raise-floor', 'works|t');
cmp_ok($new->safe_psql('shop', $insert), '>', $largest, 'IDs go on above');

$book->finish;
$new->stop;
done_testing();
