# pg_rewind makes an old primary a standby of the new one again, and replaces or
# removes its mark: the source's comes in its place, if the source has one. The
# old primary is then promoted with its clock 10 minutes behind. All have the same
# node ID.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use FaultKit;
use File::Copy qw(copy);
use PostgreSQL::Test::Utils;
use Standbys;
use Test::More;
use Timeshard;
use TimeshardSession;

my $replayed = 'the last commit that was replayed';

for my $marked (1, 0)
{
    my $name = 'source ' . ($marked ? 'with' : 'without') . ' a mark';
    my $suffix = $marked ? 'with' : 'without';
    my $preload = $marked; # a preloaded source makes a mark when it is promoted
    my $first = new_primary("first_$suffix", clock => 1, preload => $preload, conf => "wal_log_hints = on\nwal_keep_size = 1GB\n");
    my $second = new_standby($first, "second_$suffix", clock => '+0', preload => $preload);
    my $old = start_writers($first, pause => 2000);
    ok(-e $first->data_dir . '/timeshard.mark', "$name: the old primary has one");

    # The two part: what the first commits from now on is lost, its IDs are not
    # to come again.
    await_replay($first, $second);
    $second->append_conf('postgresql.conf', "primary_conninfo = ''");
    $second->reload;
    $first->poll_query_until('postgres', 'SELECT count(*) = 0 FROM pg_stat_replication') or die 'not cut off';
    $old->await_progress or die 'the writers do not get on';
    kill9_all($first);
    unlink $first->data_dir . '/postmaster.pid'; # the process it names may be waiting to be reaped
    $old->stop;
    my $lost = read_logs([ $old->logs ])->{greatest};

    injected("$name: rewound");
    promote_to($second);
    my @logs = ($old);
    if ($marked)
    {
        push @logs, start_writers($second, pause => 2000);
        $logs[-1]->stop;
        # The worker goes on renewing the mark for a while.
        $second->poll_query_until('postgres', "SELECT clock_timestamp() > reserved_until + interval '1 s' FROM timeshard_stats()")
          or die 'the worker does not rest';
    }
    else
    {
        # A source that has made no ID, but has a commit, which is later than what
        # was lost. It came from a backup of before the first ID.
        $second->safe_psql('postgres', 'CREATE TABLE other ()');
    }
    $second->safe_psql('postgres', 'CHECKPOINT');

    # A commit later than the checkpoint, so that it is what the floor rests on: of a
    # checkpoint only the second is known, and the whole of it counts.
    $second->safe_psql('postgres', q{SELECT pg_logical_emit_message(true, 'rewind', 'a commit')});
    is((-e $second->data_dir . '/timeshard.mark') // 0, $marked, "$name: so it is");

    # The configuration lies in the data directory, and is the source's after it.
    my $conf = $first->data_dir . '/postgresql.conf';
    copy($conf, $first->basedir . '/postgresql.conf') or die "cannot copy: $!";
    command_ok(
        [ 'pg_rewind', '--no-sync', '--source-server', $second->connstr('postgres'), '--target-pgdata', $first->data_dir ],
        "$name: pg_rewind");
    copy($first->basedir . '/postgresql.conf', $conf) or die "cannot copy: $!";
    if ($marked)
    {
        is(mark_end($first), mark_end($second), "$name: its mark is the source's");
    }
    else
    {
        ok(!-e $first->data_dir . '/timeshard.mark', "$name: its mark is gone");
    }

    # It follows, replays what there is, and takes over.
    $first->enable_streaming($second);
    set_clock($first, '-10m');
    restart_now($first);
    await_replay($second, $first);
    my $floor_ms = int(last_replayed($first) * 1000) + 1000;
    kill9_all($second);
    injected("$name: promoted again");
    promote_to($first);
    is($first->safe_psql('postgres', "SELECT count(*) FROM fault_rows WHERE id = $lost"), 0, "$name: what was lost is not there");
    # The mark that came with the rewind may be further than the last commit.
    refused_behind($first, qr/(?:\Q$replayed\E|what earlier runs of this server reserved)/, "$name: the clock 10 minutes behind");
    my @new = (go_on_right_at($first, $floor_ms / 1000 - 0.8), go_on_right_at($first));
    cmp_ok(ms_of(read_logs([ $new[0]->logs ])->{least}), '>', $floor_ms, "$name: IDs start after the floor");
    check_ids($first, @logs, @new, { name => $name, committed => 0 });
    $first->stop;
}

report_figures();
done_testing();
