# pg_rewind of an old primary that claims, after its standby was promoted and both issued
# IDs: the mark that it gets is the other's, the number is not. First after a crash, where
# pg_rewind recovers the old primary itself, then, the other way round, after a clean stop.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use Claimants;
use FaultKit;
use File::Copy qw(copy);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Standbys;
use Test::More;
use Timeshard;
use TimeshardSession;

my $registry = start_registry('registry');
my $first = new_claimant('first', $registry, init => [ allows_streaming => 1 ],
    conf => "autovacuum = off\nwal_log_hints = on\nwal_keep_size = 1GB\n");
is(await_claim($first), 100, 'the primary has a number');
prepare_table($first);
$first->backup('base', backup_options => ['--checkpoint=fast']);
my $second = PostgreSQL::Test::Cluster->new('second');
$second->init_from_backup($first, 'base', has_streaming => 1);
start_with_env($second);
is(await_claim($second), 101, 'and its standby another');
my %logs = (first => [], second => []);

sub issue
{
    my ($node) = @_;
    my $writers = start_writers($node, count => 4);
    push @{ $logs{ $node->name } }, $writers;
    return $writers;
}

# The standby is promoted while the primary goes on; both issue IDs.
sub part
{
    my ($old, $new) = @_;
    my $on_old = issue($old);
    await_replay($old, $new);
    $new->append_conf('postgresql.conf', "primary_conninfo = ''");
    $new->reload;
    $old->poll_query_until('postgres', 'SELECT count(*) = 0 FROM pg_stat_replication') or die 'not cut off';
    promote_to($new);
    my $on_new = issue($new);
    $_->await_progress or die 'the writers do not get on' for $on_old, $on_new;
    return ($on_old, $on_new);
}

# Makes the old primary, which is down, a standby of the new one, which issues IDs meanwhile.
sub rewind
{
    my ($old, $new, $name, $own_mark) = @_;
    $new->safe_psql('postgres', 'CHECKPOINT');
    my @kept = ('postgresql.conf', $own_mark ? 'timeshard.mark' : ());
    copy($old->data_dir . "/$_", $old->basedir . "/$_") or die "cannot copy: $!" for @kept;
    command_ok([ 'pg_rewind', '--no-sync', '--source-server', $new->connstr('postgres'), '--target-pgdata', $old->data_dir ],
        "$name: pg_rewind");
    ok(-e $old->data_dir . '/timeshard.mark', "$name: with the other's mark");
    copy($old->basedir . "/$_", $old->data_dir . "/$_") or die "cannot copy: $!" for @kept;
    $old->enable_streaming($new);
    restart_now($old);
    await_replay($new, $old);
    isnt(await_claim($old), number_of($new), "$name: a number of its own");
    return;
}

my $name = injected('a crashed primary, rewound');
my ($on_old, $on_new) = part($first, $second);
kill9_all($first);
unlink $first->data_dir . '/postmaster.pid'; # the process it names may be waiting to be reaped
$on_old->stop;
rewind($first, $second, $name);
isnt(number_of($first), 100, "$name: not the one that it crashed with");
ok($on_new->await_progress, "$name: the new primary goes on");
$on_new->stop;

$name = injected('the new primary, stopped and rewound in its turn, its mark put back');
($on_old, $on_new) = part($second, $first);
$second->stop;
$on_old->stop;
rewind($second, $first, $name, 1);
ok($on_new->await_progress, "$name: the first primary goes on");

$name = injected('promoted again');
$first->stop;
$on_new->stop;
promote_to($second);
ok(issue($second)->await_progress, "$name: IDs go on");
unlike(log_of($_), qr/copy of a data directory|has changed from/, 'no warning of a copy on ' . $_->name) for $first, $second;

check_ids($second, @{ $logs{first} }, @{ $logs{second} }, { order => 0, committed => 0, name => 'both' });
for my $node ($first, $second)
{
    my @used = check_claims($registry, [ $node->name ], @{ $logs{ $node->name } });
    note($node->name . " used the numbers @used");
}
check_intervals($registry);
$_->stop for $second, $registry;
report_figures();
done_testing();
