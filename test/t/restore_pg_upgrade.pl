# pg_upgrade to a new data directory, by a server with a slow clock: the mark is
# left behind, and so is the time of the last checkpoint. From a version to itself
# where no other one has the extension, which is the same to the mark.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use Cwd;
use FaultKit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Standbys;
use Test::More;
use Timeshard;
use TimeshardSession;

my $bindir = qx(pg_config --bindir) =~ s/\s+\z//r;
plan skip_all => "pg_upgrade is not installed: no $bindir/pg_upgrade" unless -x "$bindir/pg_upgrade";
diag('pg_upgrade from ' . qx($bindir/postgres --version) =~ s/\s+\z//r . ' to itself: no other version has the extension');

my $node = new_primary('upgraded_from');
my $old = start_writers($node, pause => 2000);
$old->stop;
$node->safe_psql('postgres', 'INSERT INTO fault_rows DEFAULT VALUES');
my $largest = $node->safe_psql('postgres', 'SELECT max(id) FROM fault_rows');
$node->stop;

my $new = PostgreSQL::Test::Cluster->new('upgraded_to');
Timeshard::prepare_clock($new);
set_clock($new, '-10m');
injected('pg_upgrade by a slow clock');
{
    local %ENV = (%ENV, %{ $new->{timeshard_clock} });
    $new->init;
    $new->append_conf('postgresql.conf', "timeshard.node_id = 7\n");
    my $before = getcwd;
    chdir $new->basedir or die "cannot change to the directory: $!";
    command_ok(
        [
            'pg_upgrade', '--no-sync', '-b', $bindir, '-B', $bindir, '-d', $node->data_dir, '-D', $new->data_dir,
            '-p', $node->port, '-P', $new->port, '-s', $new->host
        ],
        'pg_upgrade');
    chdir $before or die "cannot change to $before: $!";
}
ok(-e $node->data_dir . '/timeshard.mark', 'the old server has a mark');
ok(!-e $new->data_dir . '/timeshard.mark', 'it is left behind');

start_with_env($new);
is($new->safe_psql('postgres', 'SELECT max(id) FROM fault_rows'), $largest, 'the rows are there');
cmp_ok(next_id($new), '<', $largest, 'IDs are made in times that the data has used');
$new->safe_psql('postgres', 'SELECT timeshard_raise_floor(max(id)) FROM fault_rows');
fails_with($new, 'SELECT timeshard_next_id()', qr/55000: clock is \d{3}\.\d{3} s behind the floor\n/, 'raised');
my @next = (go_on_right_at($new, ms_of($largest) / 1000 - 1), go_on_right_at($new));
cmp_ok(read_logs([ $next[0]->logs ])->{least}, '>', $largest, 'raised, IDs start above those of the data');
check_ids($new, $old, @next);

# By a right clock, the last checkpoint is what the next start goes by, should the
# clock be set back before the first ID.
injected('no mark, and the clock set back');
$new->stop;
my $mark_ms = mark_end($new);
unlink $new->data_dir . '/timeshard.mark' or die "cannot remove the mark: $!";
set_clock($new, '-10m');
start_with_env($new);
refused_behind($new, "the server's last checkpoint", 'the mark left behind by a right clock');
my $last = go_on_right_at($new);
check_ids($new, $old, @next, $last, { name => 'the clock right' });

$new->stop;
report_figures();
done_testing();
