# Copies of a data directory. A writer that starts on one with the node ID that it
# inherited says so once in its log; whatever is no copy, and a standby, does not.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use FaultKit;
use MarkFile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);
use Timeshard;
use TimeshardSession;

my $next = 'SELECT timeshard_next_id()';
my $warning = qr/WARNING: +timeshard runs as node (\d+) on a copy of a data directory that issued IDs as that node/;
my %seen;

# The server's log since this was last asked.
sub new_log
{
    my ($node) = @_;
    my $log = substr(slurp_file($node->logfile), $seen{ $node->name } // 0);
    $seen{ $node->name } += length $log;
    return $log;
}

# How often the warning stands in the log since this was last asked, in the server's
# log alone or, for sessions that generate, in their own messages too.
sub warnings_of
{
    my ($node) = @_;
    return scalar(() = new_log($node) =~ /$warning/g);
}

# IDs of several sessions, and what the log says of it.
sub warns
{
    my ($node, $times, $name) = @_;
    $node->safe_psql('postgres', $next) for 1 .. 3;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is(warnings_of($node), $times, "$name: " . ($times ? 'warns' : 'does not warn'));
}

# A cluster in a data directory that the shell command $how makes out of the
# original's.
sub cluster_from
{
    my ($original, $name, @how) = @_;
    my $node = PostgreSQL::Test::Cluster->new($name);
    mkdir $node->basedir;
    system_or_bail(@how, $original->data_dir, $node->data_dir);
    $node->append_conf('postgresql.conf', 'port = ' . $node->port . "\narchive_mode = off");
    return $node;
}

my $name = injected('plain restarts and crashes');
my $original = fault_cluster('original', shim => 0, clock => 1, init => [ allows_streaming => 1, has_archiving => 1 ],
    conf => "timeshard.node_id = 31\ntimezone = 'UTC'\nwal_keep_size = 64MB\n");
my $writers = start_writers($original, count => 3, pause => 3000);
warns($original, 0, 'a first start');
for my $how ('fast', 'immediate')
{
    $original->stop($how);
    start_with_env($original);
    warns($original, 0, "a start after a stop, $how");
}
kill9_backend($original);
warns($original, 0, 'a crash of a backend');
kill9_all($original);
restart_now($original);
warns($original, 0, 'a crash of all');
ok($writers->await_progress, "$name: all sessions are served");

# A cold copy, as cp makes it, beside the original on the same timeline.
$name = injected('a cold copy');
$original->stop;
my $copy = cluster_from($original, 'copy', 'cp', '-a');
start_with_env($original);
warns($original, 0, "$name: the original");
start_with_env($copy);
is(warnings_of($copy), 0, "$name: nothing is said before an ID is issued");
is($copy->safe_psql('postgres', 'SELECT (timeshard_parse(max(id))).node_id FROM fault_rows'), 31, "$name: nor by reading");
is(warnings_of($copy), 0, "$name: nor by reading, in the log");
$copy->stop;
start_with_env($copy);
my $session = TimeshardSession->new($copy);
my ($out, $err) = $session->ask($next);
like($out, qr/^\d+$/, "$name: issues IDs all the same");
$session->finish;
my $log = new_log($copy);
is(scalar(() = $log =~ /$warning/g), 1, "$name: warns once");
is($log =~ $warning ? $1 : '', 31, "$name: with the node ID");
like($log, qr/HINT: +If the original is still in use, give one of the two another timeshard\.node_id and restart it/,
    "$name: and says what to do");
warns($copy, 0, "$name: further sessions: once");
restart_with_env($copy);
warns($copy, 0, "$name: again after it has issued");
kill9_all($copy);
restart_now($copy);
warns($copy, 0, "$name: again after a crash");

# The same copied once more, with a number of its own: nothing to warn of.
$copy->stop;
my $named = cluster_from($copy, 'named', 'cp', '-a');
$named->append_conf('postgresql.conf', 'timeshard.node_id = 32');
start_with_env($named);
$named->safe_psql('postgres', $next);
$log = new_log($named);
unlike($log, $warning, 'a copy with another node ID: does not warn');
is(scalar(() = $log =~ /LOG: +timeshard's node ID has changed from 31 to 32/g), 1, 'a copy with another node ID: logs the change once');
restart_with_env($named);
$named->safe_psql('postgres', $next);
unlike(new_log($named), qr/node ID has changed|$warning/, 'a copy with another node ID: and says no more');
$named->stop;

# Moved within a file system it is no copy.
my $moved = cluster_from($copy, 'moved', 'mv');
start_with_env($moved);
warns($moved, 0, injected('a data directory that was moved'));
$moved->stop;

# The damaged mark of a copy: the evidence goes with it, but raising the floor of
# a sound one, before the first ID, keeps it.
$original->stop;
my $raised = cluster_from($original, 'raised', 'cp', '-a');
start_with_env($original);
start_with_env($raised);
$raised->safe_psql('postgres', "SELECT timeshard_raise_floor((SELECT timeshard_next_id() LIMIT 0))");
$raised->safe_psql('postgres', 'SELECT timeshard_raise_floor(max(id) + (1000 << 22)) FROM fault_rows');
restart_with_env($raised);
warns($raised, 1, 'a copy whose floor was raised first');
$raised->stop;

# A base backup that is restored and started as a writer.
$name = injected('a restored base backup');
ok($writers->await_progress, "$name: the original is in use");
$original->backup('base');
my $restored = PostgreSQL::Test::Cluster->new('restored');
$restored->init_from_backup($original, 'base');
$restored->append_conf('postgresql.conf', 'archive_mode = off');
start_with_env($restored);
warns($restored, 1, $name);
restart_with_env($restored);
warns($restored, 0, "$name: after a restart");
$restored->stop;

# A restore to a point in time is on a timeline of its own, and has no primary.
$name = injected('a point-in-time restore');
$original->safe_psql('postgres', "SELECT pg_create_restore_point('here')");
my $wal = $original->safe_psql('postgres', 'SELECT pg_walfile_name(pg_switch_wal())');
$original->poll_query_until('postgres', "SELECT last_archived_wal >= '$wal' FROM pg_stat_archiver")
  or die "$wal is not archived";
my $pitr = PostgreSQL::Test::Cluster->new('pitr');
$pitr->init_from_backup($original, 'base', has_restoring => 1, standby => 0);
$pitr->append_conf('postgresql.conf', "recovery_target_name = 'here'\nrecovery_target_action = 'promote'\narchive_mode = off");
start_with_env($pitr);
$pitr->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'it does not come out of recovery';
warns($pitr, 1, $name);
restart_with_env($pitr);
warns($pitr, 0, "$name: after a restart");
$pitr->stop;

# A streaming standby, promoted; preloaded or not, restarted or not.
for my $case ([ 'standby', 0, 0 ], [ 'standby_restarted', 1, 1 ])
{
    my ($who, $preload, $restart) = @$case;
    my $standby = PostgreSQL::Test::Cluster->new($who);
    $standby->init_from_backup($original, 'base', has_streaming => 1);
    $standby->append_conf('postgresql.conf', 'archive_mode = off');
    $standby->append_conf('postgresql.conf', "shared_preload_libraries = 'timeshard'") if $preload;
    start_with_env($standby);
    $original->wait_for_catchup($standby);
    is($standby->safe_psql('postgres', 'SELECT (timeshard_parse(max(id))).node_id FROM fault_rows'), 31, "$who: reads");
    restart_with_env($standby) if $restart;
    is(warnings_of($standby), 0, "$who: before promotion: does not warn");
    injected('a promoted standby');
    $standby->promote;
    $standby->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'it is not promoted';
    if ($restart)
    {
        # The worker raises the mark before anybody asks for an ID.
        restart_with_env($standby);
        is(warnings_of($standby), 0, "$who: restarted after promotion: does not warn");
    }
    warns($standby, 0, "$who: promoted");
    restart_with_env($standby);
    warns($standby, 0, "$who: restarted after that");

    # A promoted standby that is copied is a copy like any other.
    $standby->stop;
    next if $restart;
    my $twin = cluster_from($standby, "${who}_twin", 'cp', '-a');
    start_with_env($twin);
    warns($twin, 1, "$who: a cold copy of it");
    $twin->stop;

    # One without a number: what the mark names is the original's.
    my $lost = cluster_from($standby, "${who}_lost", 'cp', '-a');
    $lost->append_conf('postgresql.conf', 'timeshard.node_id = -1');
    start_with_env($lost);
    fails_with($lost, $next, qr/ERROR:  F0000: the configured node ID has been lost
DETAIL:  The data directory is a copy of one in which IDs were issued as node 31, by a configured number\. .*
HINT:  Set timeshard\.node_id to this server's own number, which no other server has, and restart the server\./, "$who: a copy without a number");
    $lost->stop;
}

# The original's own file put back from a backup: an older generation. That the
# clock is right makes it harmless; the last checkpoint is a floor when it is not.
$name = injected('the mark restored from an older copy');
my $file = $original->basedir . '/mark.old';
system_or_bail('cp', '-a', mark_path($original), $file);
my $old = mark_of($original)->{generation};
ok(await_mark($original, $old + 6), "$name: the original goes on");
warns($original, 0, "$name: before");
$original->stop;
system_or_bail('cp', '-a', $file, mark_path($original));
set_clock($original, '-1h');
start_with_env($original);
fails_with($original, $next, qr/ERROR:  55000: clock is \d+\.\d+ s behind the server's last checkpoint/,
    "$name: the clock an hour back is seen by the last checkpoint");
set_clock($original, '+0');
ok($writers->await_progress, "$name: all sessions are served");
warns($original, 0, "$name: written over, it is the same file");

# The same by the usual way of restoring, which replaces the file. (Were the old one
# removed first, the new one could get its inode, and pass for it.)
$original->stop;
system_or_bail('cp', $file, mark_path($original) . '.new');
rename mark_path($original) . '.new', mark_path($original) or die "cannot rename: $!";
start_with_env($original);
ok($writers->await_progress, "$name, replaced: all sessions are served");
warns($original, 1, "$name, replaced");
check_ids($original, $writers);

# A checkpoint tells its second only. The server is stopped late in one, and its
# clock set back to the same second's beginning.
$name = injected('an older mark, clock one second behind');
$writers = start_writers($original, count => 2);
usleep(1000) until time - int(time) > 0.72 && time - int(time) < 0.75;
$original->stop;
$writers->stop;
my $last = read_logs([ $writers->logs ])->{greatest};
system_or_bail('cp', $file, mark_path($original));
set_clock($original, '-1');
start_with_env($original);
my $id;
ok(eventually(sub { $id = ($original->psql('postgres', $next))[1] }), "$name: IDs are issued");
cmp_ok($id, '>', $last, "$name: above all");
set_clock($original, '+0');

# And what a crash and a clock behind make of it: the limit of an old file.
$name = injected('an older mark, after a crash, clock behind');
my $greatest = $original->safe_psql('postgres', $next);
my $end = mark_of($original)->{end};
$original->stop('immediate');
system_or_bail('cp', $file, mark_path($original));
my $stale = mark_of($original)->{end};
cmp_ok($stale, '<', $end, "$name: it says less");
set_clock($original, '-1h');
start_with_env($original);
fails_with($original, $next, qr/ERROR:  55000: clock is \d+\.\d+ s behind what earlier runs of this server reserved\nDETAIL:  IDs of up to \Q@{[ time_text($stale) ]}/,
    "$name: the old end still holds");
set_clock($original, '+0');
cmp_ok($original->safe_psql('postgres', $next), '>', $greatest, "$name: with the clock right, above all");

$original->stop;
report_figures();
done_testing();
