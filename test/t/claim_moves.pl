# Data that moves to another server: pg_upgrade to a new data directory, which claims like the
# old one (from a version to itself where no other has the extension), and a dump that is
# restored into a server that claims and into one that does not. No ID comes twice, and no
# server refuses.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use Claimants;
use Cwd;
use FaultKit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Standbys qw(next_id);
use Test::More;
use Timeshard;
use TimeshardSession;

my $bindir = qx(pg_config --bindir) =~ s/\s+\z//r;
my $registry = start_registry('registry');
my $old = new_claimant('upgraded_from', $registry);
is(await_claim($old), 100, 'a server has a number');
my $before = start_writers($old, count => 4);
$before->await_progress or die;

# Restored while the original goes on, and while the registry is down.
my $dump = $old->basedir . '/dump';
my $name = injected('a dump, restored');
command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $old->connstr('postgres') ], "$name: pg_dump under load");
my $claims = new_claimant('restored', $registry);
is(await_claim($claims), 101, "$name: a server that claims");
my $configured = new_cluster('configured', preload => 1, create => 0, conf => "timeshard.node_id = 7\n");
$registry->stop;
for my $node ($claims, $configured)
{
    $node->safe_psql('postgres', 'CREATE DATABASE restored');
    command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('restored'), $dump ], "$name: pg_restore on " . $node->name);
    is($node->safe_psql('restored', 'INSERT INTO fault_rows DEFAULT VALUES RETURNING (timeshard_parse(id)).node_id'),
        $node == $claims ? 101 : 7, "$name: a row has a number of its own");
}
$registry->start;
my $on_claims = start_writers($claims, count => 4, conninfo => $claims->connstr('restored'), wait => 0);
my $on_configured = start_writers($configured, count => 4, conninfo => $configured->connstr('restored'), wait => 0);
ok($_->await_progress, "$name: IDs go on") for $before, $on_claims, $on_configured;
$_->stop for $before, $on_claims, $on_configured;

$claims->safe_psql('restored', 'SELECT timeshard_raise_floor(max(id)) FROM fault_rows');
cmp_ok($claims->safe_psql('restored', 'SELECT timeshard_next_id()'), '>', $claims->safe_psql('restored', 'SELECT max(id) FROM fault_rows'),
    "$name: above the rows, once the floor is raised");

SKIP:
{
    skip "pg_upgrade is not installed: no $bindir/pg_upgrade", 12 unless -x "$bindir/pg_upgrade";
    $name = injected('pg_upgrade');
    my $largest = $old->safe_psql('postgres', 'SELECT max(id) FROM fault_rows');
    $old->stop;
    my $new = PostgreSQL::Test::Cluster->new('upgraded_to');
    $new->init;
    claim_from($new, $registry);
    my $here = getcwd;
    chdir $new->basedir or die "cannot change to the directory: $!";
    my @upgrade = (
        'pg_upgrade', '--no-sync', '-b', $bindir, '-B', $bindir, '-d', $old->data_dir, '-D', $new->data_dir,
        '-p', $old->port, '-P', $new->port, '-s', $new->host);
    $registry->stop;
    command_ok([ @upgrade, '--check' ], "$name: the check needs no registry");
    $registry->start;
    command_ok(\@upgrade, "$name: a claimed server is upgraded");
    chdir $here or die "cannot change to $here: $!";
    start_with_env($new);
    like(await_claim($new), qr/^1\d\d$/, "$name: the new server claims");
    is($new->safe_psql('postgres', 'SELECT max(id) FROM fault_rows'), $largest, "$name: the rows are there");
    cmp_ok(next_id($new), '>', $largest, "$name: IDs go on above them");
    my $after = start_writers($new, count => 4);
    unlike(log_of($new), qr/copy of a data directory|has changed from/, "$name: no warning of a copy");

    # The old one, started by mistake, or to go back.
    start_with_env($old);
    isnt(await_claim($old), number_of($new), "$name: the old server beside it has another number");
    my $again = start_writers($old, count => 4);
    ok($_->await_progress, "$name: both go on") for $after, $again;
    check_ids($new, $before, $on_claims, $on_configured, $after, $again, { order => 0, committed => 0, name => 'all servers' });
    check_claims($registry, [ 'upgraded_from', 'upgraded_to', 'restored' ], $before, $on_claims, $after, $again);
    $_->stop for $old, $new;
}
check_intervals($registry);
$_->stop for $claims, $configured, $registry;
report_figures();
done_testing();
