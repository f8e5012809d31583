# Faults of the disk, for the mark alone: a library (mark_shim.c) that is
# preloaded into the server and acts on timeshard.mark, timeshard.mark.tmp and
# the data directory's own entry.
#
#   shim($node, @lines) says what it does from the next call on, until another
#   shim() or shim_clear(); each line is one of
#
#     slow CALL MS [once]                 takes so long
#     fail CALL ERRNO once|always         fails: EIO ENOSPC EROFS EACCES
#     short write BYTES once|always       writes that much only
#     stop CALL before|after              the process stops itself there, once;
#                                         see stopped_pid()
#     kill CALL before|after              the process dies there of signal 9, once
#     log                                 log the calls: shim_log()
#     record                              keep account of what is durable, for
#                                         power_loss()
#
#   CALL is open, read, write, fsync, fdatasync, fsyncdir (fsync of the data
#   directory), rename, unlink, truncate or close, whichever function it is made
#   by; CALL@mark or CALL@tmp is on that file alone; CALL#2 is the second such
#   call from now on (of any process). "Once" is once in the whole server.
#
# Not only the extension makes these calls: a base backup reads the mark, and a
# start after a crash may fsync every file.
#
# The test clusters of PostgreSQL run with fsync off, where nothing is synced:
# fault_cluster() sets it on.
package MarkShim;

use strict;
use warnings FATAL => 'all';

use Compiled;
use Exporter 'import';
use Fcntl qw(:flock);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PowerLoss;
use Processes;
use TimeshardSession;

our @EXPORT = qw(
  attach_shim shim_env shim shim_clear stopped_pid resume shim_log shim_log_clear
  power_loss unsynced durable_mark
);

my $owner = $$;
my %stopped;

# Prepares a cluster, before its start, to run under the shim, together with the
# stepped clock that it may have; start_with_env does the rest.
sub attach_shim
{
    my ($node) = @_;
    my $library = compile_preload('mark_shim');
    my $dir = $node->basedir . '/shim';
    mkdir $dir or die "cannot make $dir: $!";
    my $env = $node->{timeshard_clock} //= {};
    $env->{LD_PRELOAD} = join ':', $env->{LD_PRELOAD} // (), $library;
    # libfaketime holds a lock of the whole server while it makes up the times of a
    # file: a process that is killed just then would leave it locked for ever.
    $env->{NO_FAKE_STAT} = 1;
    $env->{MARK_SHIM_CONTROL} = $dir;
    $env->{MARK_SHIM_DATA} = $node->data_dir;
    $node->{mark_shim} = { dir => $dir, data => $node->data_dir };
    return;
}

# The environment that makes any program run under the node's shim.
sub shim_env
{
    my ($node) = @_;
    my $env = $node->{timeshard_clock};
    return map { $_ => $env->{$_} } qw(LD_PRELOAD MARK_SHIM_CONTROL MARK_SHIM_DATA);
}

# Does something while no process looks at the orders.
sub locked
{
    my ($shim, $action) = @_;
    open my $lock, '>>', "$shim->{dir}/lock" or die "cannot open $shim->{dir}/lock: $!";
    flock $lock, LOCK_EX or die "cannot lock: $!";
    my @result = $action->();
    close $lock;
    return @result;
}

sub shim
{
    my ($node, @lines) = @_;
    my $shim = $node->{mark_shim};
    my $call = qr/(?:open|read|write|fsync|fdatasync|fsyncdir|rename|unlink|truncate|close)(?:@(?:mark|tmp))?(?:#\d+)?/;
    for (@lines)
    {
        /^(?:slow $call \d+( once)?|fail $call E(?:IO|NOSPC|ROFS|ACCES) (?:once|always)|short write\S* \d+ (?:once|always)|(?:stop|kill) $call (?:before|after)|log|record)$/
          or die "the shim does not know '$_'";
    }
    my $record = grep { $_ eq 'record' } @lines;
    locked($shim, sub {
        start_recording($shim) if $record && !$shim->{recording};
        my $file = "$shim->{dir}/control";
        open my $out, '>', "$file.new" or die "cannot write $file.new: $!";
        print $out map { "$_\n" } @lines;
        close $out or die "cannot write $file.new: $!";
        rename "$file.new", $file or die "cannot rename $file.new: $!";
    });
    $shim->{recording} = $record;
    return;
}

# Ends all orders, recording included.
sub shim_clear
{
    my ($node) = @_;
    shim($node);
    return;
}

# Waits for a process that has stopped itself by order; returns its process ID,
# and, for a list, where it stands ("write mark after"). Kill it, cancel it,
# leave it alone (the end of the test kills it), or resume() it.
sub stopped_pid
{
    my ($node) = @_;
    my ($pid, $where);
    eventually(sub {
        for my $note (glob("$node->{mark_shim}{dir}/stopped.*"))
        {
            my ($candidate) = $note =~ /(\d+)$/;
            my ($state) = Processes::process_stat($candidate);
            next unless defined $state && $state eq 'T';
            $where = slurp_file($note) =~ s/\s+\z//r;
            unlink $note;
            return $pid = $candidate;
        }
        return 0;
    }) or die 'no process has stopped where it was told to';
    $stopped{$pid} = (Processes::process_stat($pid))[2];
    return wantarray ? ($pid, $where) : $pid;
}

sub resume
{
    my ($pid) = @_;
    delete $stopped{$pid};
    kill 'CONT', $pid or die "cannot resume $pid: $!";
    return;
}

# The calls that were logged, as hashes: time (as monotonic() counts), pid, call,
# file, offset, size, result, errno. Arguments choose by call: fdatasync.
sub shim_log
{
    my ($node, $call) = @_;
    my $file = "$node->{mark_shim}{dir}/log";
    my @calls;
    for (split /\n/, -e $file ? slurp_file($file) : '')
    {
        my %entry;
        @entry{qw(time pid call file offset size result errno)} = split / /;
        push @calls, \%entry if !defined $call || $entry{call} eq $call;
    }
    return @calls;
}

sub shim_log_clear
{
    my ($node) = @_;
    unlink "$node->{mark_shim}{dir}/log";
    return;
}

# The power goes: all of the server is killed, and the mark becomes what a disk
# would have kept of it. PostgreSQL's own files keep everything, also what a real
# disk could have lost; they end up newer than they would.
#
# What is durable: the bytes that were written to a file before its last sync
# that succeeded (what was written before one that *failed* is gone, though a
# later sync succeeds), and the name that the file had at the last sync of the
# directory. What is not is lost, unless
#
#   writes => [...]        says for each write that unsynced() lists: lost,
#                          kept, torn (its first half) or torn_tail (its last)
#   torn => 1              the same for all of them: torn
#   kept => 1              the same for all of them: kept
#   directory => 'kept'    files have the names that they had at the end
#
# Returns what is left of the mark ('' where there is no file). Orders end, but
# for log and record.
sub power_loss
{
    my ($node, %options) = @_;
    my $shim = $node->{mark_shim};
    die 'power_loss without shim($node, "record")' unless $shim->{recording};
    kill9_all($node) if defined $node->{_pid};
    put_back($shim, %options);
    start_recording($shim);
    my $control = "$shim->{dir}/control";
    my @stay = grep { /^(?:log|record)$/ } split /\n/, slurp_file($control);
    unlink glob("$shim->{dir}/stopped.*");
    shim($node, @stay);
    my $mark = $node->data_dir . '/timeshard.mark';
    return -e $mark ? slurp_file($mark) : '';
}

# The writes that a power loss could undo now, in their order: hashes of file,
# offset and size.
sub unsynced
{
    my ($node) = @_;
    return locked($node->{mark_shim}, sub { map { {%$_} } unsynced_writes($node->{mark_shim}) });
}

# What of the mark would survive; undefined where there would be no file.
sub durable_mark
{
    my ($node) = @_;
    my ($content) = locked($node->{mark_shim}, sub { durable_content($node->{mark_shim}, 'mark') });
    return $content;
}

END
{
    my $status = $?;
    if ($$ == $owner)
    {
        kill 'KILL', grep { ((Processes::process_stat($_))[2] // 0) == $stopped{$_} } keys %stopped;
    }
    $? = $status;
}

1;
