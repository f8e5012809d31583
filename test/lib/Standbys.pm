# Standbys with a clock of their own, for the tests of promotion and restore: how
# to make one, to put its clock to a moment, to read its mark.
package Standbys;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use FaultKit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use Timeshard;
use TimeshardSession;

our @EXPORT = qw(
  new_primary new_standby copy_of promote_to clock_at await_replay kill_in_step
  last_replayed mark_end mark_becomes next_id ms_of refused_behind go_on_right_at
);

my $epoch_ms = 1702385533000;
my $backups = 0;

# A primary that standbys can follow. No autovacuum: where a test says that there
# is no commit, there is none.
sub new_primary
{
    my ($name, %options) = @_;
    my $conf = "timeshard.node_id = 7\nautovacuum = off\n" . ($options{conf} // '');
    my $node = fault_cluster($name, shim => 0, init => [ allows_streaming => 1 ], %options, conf => $conf);
    prepare_table($node);
    return $node;
}

# A server made from a backup of $from, not started, under a clock of its own.
#
#   preload => 1     shared_preload_libraries
#   conf => "..."    lines for postgresql.conf
#   backup => NAME   this backup rather than a new one
#   clock => '-10m'
#   shim => 1        attach the shim
#   init => [...]    how it recovers, for init_from_backup: default is streaming
sub copy_of
{
    my ($from, $name, %options) = @_;
    my $backup = $options{backup};
    unless ($backup)
    {
        $backup = 'backup_' . ++$backups;
        $from->backup($backup, backup_options => ['--checkpoint=fast']);
    }
    my $node = PostgreSQL::Test::Cluster->new($name);
    $node->init_from_backup($from, $backup, @{ $options{init} // [ has_streaming => 1 ] });
    $node->append_conf('postgresql.conf',
        'shared_preload_libraries = ' . ($options{preload} ? "'timeshard'" : "''") . "\n" . ($options{conf} // ''));
    Timeshard::prepare_clock($node);
    set_clock($node, $options{clock} // '-10m');
    attach_shim($node) if $options{shim};
    return $node;
}

sub new_standby
{
    my ($from, $name, %options) = @_;
    my $node = copy_of($from, $name, %options);
    start_with_env($node);
    return $node;
}

# Puts a server's clock to a moment, in seconds since 1970; it runs on from there.
sub clock_at
{
    my ($node, $seconds) = @_;
    set_clock($node, sprintf '%+.4f', $seconds - time);
    return;
}

sub promote_to
{
    my ($node, $clock) = @_;
    set_clock($node, $clock) if defined $clock;
    $node->promote;
    $node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die $node->name . ' is not promoted';
    return;
}

# The time of the last commit that the server has replayed since its start, in
# seconds since 1970, or undefined.
sub last_replayed
{
    my ($node) = @_;
    my $time = $node->safe_psql('postgres', 'SELECT extract(epoch FROM pg_last_xact_replay_timestamp())');
    return $time eq '' ? undef : $time;
}

# Waits until the standbys have all that the primary has committed by now. What is
# inserted and not flushed, such as a page for its hint bits with the checksums that
# are the default from 18, can stay so while the primary's clock is set back.
sub await_replay
{
    my ($primary, @standbys) = @_;
    my $lsn = $primary->lsn('flush');
    for my $standby (@standbys)
    {
        $standby->poll_query_until('postgres', "SELECT pg_last_wal_replay_lsn() >= '$lsn'::pg_lsn")
          or die $standby->name . ' does not catch up';
    }
    return;
}

# Kills a primary that is being written to when the standbys are close behind it:
# what a standby has not been sent is another test's concern.
sub kill_in_step
{
    my ($primary, @standbys) = @_;
    await_replay($primary, @standbys);
    eventually(sub {
        !grep { (last_replayed($_) // 0) < time - 0.4 } @standbys;
    }) or die 'the standbys lag behind';
    kill9_all($primary);
    return;
}

# How far the mark of a server says that IDs may have been issued, in ms since
# 1970; 0 if there is no mark.
sub mark_end
{
    my ($node) = @_;
    my $file = $node->data_dir . '/timeshard.mark';
    return 0 unless -e $file;
    my $content = slurp_file($file);
    my ($newest) = sort { $b->[2] <=> $a->[2] } map { [ unpack 'LLQq', substr $content, $_, 24 ] } 0, 4096;
    return $newest->[3] + $epoch_ms;
}

# Waits until the mark says so.
sub mark_becomes
{
    my ($node, $end_ms) = @_;
    return eventually(sub { mark_end($node) == $end_ms });
}

sub next_id
{
    my ($node) = @_;
    return $node->safe_psql('postgres', 'SELECT timeshard_next_id()');
}

# The time of an ID, in ms since 1970.
sub ms_of
{
    my ($id) = @_;
    return ($id >> 22) + $epoch_ms;
}

# Two tests: a call is refused for a clock that is minutes behind what is named, by a
# string or a pattern.
sub refused_behind
{
    my ($node, $what, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $pattern = ref $what ? $what : quotemeta $what;
    return fails_with($node, 'SELECT timeshard_next_id()',
        qr/^.*ERROR:  55000: clock is \d{2,3}\.\d{3} s behind $pattern\n/m, $name);
}

# Sessions go on, on a server whose clock is put to that moment (seconds since
# 1970) or, if none is given, right. Returns their writers.
sub go_on_right_at
{
    my ($node, $moment, %options) = @_;
    defined $moment ? clock_at($node, $moment) : set_clock($node, '+0');
    my $writers = start_writers($node, count => 4, %options);
    $writers->await_progress or die 'the writers do not get on: ' . join ' ', $writers->errors;
    $writers->stop;
    return $writers;
}

1;
