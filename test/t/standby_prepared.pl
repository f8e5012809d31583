# Prepared transactions and promotion: an ID that was taken in a transaction that
# is prepared and replayed, but not committed, is in no commit's past. The standby
# has its primary's node ID, and a clock 10 minutes behind.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use FaultKit;
use PostgreSQL::Test::Utils;
use Standbys;
use Test::More;
use Timeshard;
use TimeshardSession;

my $prepared = 'a prepared transaction';
my @modes = ([ 'preloaded', preload => 1 ], [ 'lazy', preload => 0 ]);

my $primary = new_primary('primary', conf => "max_prepared_transactions = 10\n");
my $old = start_writers($primary, pause => 2000);
$primary->backup('base', backup_options => ['--checkpoint=fast']);
my %standby;
for (@modes)
{
    my ($mode, %load) = @$_;
    $standby{"$_ $mode"} = new_standby($primary, "${_}_$mode", backup => 'base', %load) for qw(kept committed restarted);
}
$old->await_progress or die 'the writers do not get on';
$old->stop;

# More than the second that is added to the last commit lies between it and the
# transaction.
$primary->safe_psql('postgres', 'SELECT pg_sleep(4)');
my $start = monotonic();
my @ids = split /\n/, $primary->safe_psql('postgres', <<'SQL');
BEGIN;
INSERT INTO fault_rows (filler) SELECT i FROM generate_series(1, 1000) AS i RETURNING id;
PREPARE TRANSACTION 'pending';
SQL
my $end = monotonic();
is(scalar @ids, 1000, 'IDs in a prepared transaction');
my $largest = $ids[-1];
my $at = $primary->safe_psql('postgres', 'SELECT extract(epoch FROM prepared) FROM pg_prepared_xacts');
await_replay($primary, values %standby);
kill9_all($primary);

# The IDs of the prepared transaction, as a writer would have logged them.
my $log = $primary->basedir . '/prepared.log';
append_to_file($log, sprintf "I u 0 %d %d %s\n", 1e9 * $start, 1e9 * $end, join ' ', @ids);

for my $kind (sort keys %standby)
{
    my $node = $standby{$kind};
    my $name = "prepared, $kind";
    injected($name);
    promote_to($node);
    cmp_ok(ms_of($largest), '>', int(last_replayed($node) * 1000) + 1000,
        "$name: the last commit that was replayed says nothing of these IDs");
    if ($kind =~ /^restarted/)
    {
        $node->stop;
        start_with_env($node);
    }
    my $new;
    if ($kind =~ /^committed/)
    {
        # The limit: nothing tells of the transaction once it is no more, where it
        # has been committed, by the slow clock, before the first ID.
        $node->safe_psql('postgres', "COMMIT PREPARED 'pending'");
        clock_at($node, $at - 2);
        cmp_ok(next_id($node), '<', $largest, "$name: IDs of the past are made, a limit");
        $new = go_on_right_at($node);
    }
    else
    {
        refused_behind($node, $prepared, "$name: the clock 10 minutes behind");
        refused_behind($node, $prepared, "$name: asked again");
        $new = go_on_right_at($node, $at - 2);
        cmp_ok(read_logs([ $new->logs ])->{least}, '>', $largest, "$name: IDs start above those of the transaction");
    }
    $node->safe_psql('postgres', "COMMIT PREPARED 'pending'") if $kind !~ /^committed/;
    is($node->safe_psql('postgres', "SELECT count(*) FROM fault_rows WHERE id BETWEEN $ids[0] AND $largest"), 1000,
        "$name: its rows are there once it is committed");
    check_ids($node, $old, $new, $log, { name => $name });
    $node->stop;
}

report_figures();
done_testing();
