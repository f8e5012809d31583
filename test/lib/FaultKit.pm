# The kit of the fault suite, in one piece: writers that take IDs without pause,
# the check of their logs, kills and restarts, faults of the disk.
#
#   my $node = fault_cluster('name', conf => "timeshard.node_id = 7\n", clock => 1);
#   my $writers = start_writers($node);
#   shim($node, 'stop fdatasync before');
#   my $pid = stopped_pid($node);
#   injected('the extending session is killed before its sync');
#   kill 'KILL', $pid;
#   ok($writers->await_progress, 'service resumes by itself');
#   check_ids($node, $writers);
#   report_figures();
package FaultKit;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use IdCheck;
use MarkShim;
use Processes;
use Timeshard;
use Writers;

our @EXPORT = ('fault_cluster', map { @$_ } \(@IdCheck::EXPORT, @MarkShim::EXPORT, @Processes::EXPORT, @Writers::EXPORT));

# new_cluster with what faults need: syncs, a restart after a crash, a log that
# is not full of the writers' statements, and the shim (shim => 0 leaves it out).
# Knows new_cluster's options.
sub fault_cluster
{
    my ($name, %options) = @_;
    my ($start, $create, $env, $shim) = map { $_ // 1 } delete @options{qw(start create env shim)};
    $options{conf} = <<'CONF' . ($options{conf} // '');
fsync = on
restart_after_crash = on
log_statement = none
recovery_init_sync_method = syncfs
CONF
    my $node = new_cluster($name, %options, start => 0);
    $node->{timeshard_clock}{NO_FAKE_STAT} = 1 if $options{clock}; # see attach_shim
    attach_shim($node) if $shim;
    return $node unless $start;
    start_with_env($node, ref $env ? %$env : ());
    $node->safe_psql('postgres', 'CREATE EXTENSION timeshard') if $create;
    return $node;
}

1;
