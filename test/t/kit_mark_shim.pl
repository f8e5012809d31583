# The shim of the fault suite does what it says: on the calls of a small program,
# which stands in for a server, on files of the mark's name in a folder that
# stands in for the data directory.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use FaultKit;
use PostgreSQL::Test::Utils;
use Test::More;
use TimeshardSession;

{
    package StandIn;
    sub basedir { return $_[0]{dir} }
    sub data_dir { return "$_[0]{dir}/data" }
    sub name { return 'stand-in' }
}

my $dir = PostgreSQL::Test::Utils::tempdir();
my $node = bless { dir => $dir }, 'StandIn';
mkdir $node->data_dir;
attach_shim($node);
my $mark = $node->data_dir . '/timeshard.mark';

# Does what its arguments say, in the data directory, and tells what failed.
my $program = <<'PYTHON';
import errno, os, sys
files = {'mark': 'timeshard.mark', 'tmp': 'timeshard.mark.tmp', 'else': 'else', 'dir': '.'}
os.chdir(os.environ['MARK_SHIM_DATA'])
fd = None
for words in (argument.split() for argument in sys.argv[1:]):
    try:
        if words[0] == 'open':
            fd = os.open(files[words[1]], os.O_RDONLY if words[1] == 'dir' else os.O_RDWR)
        elif words[0] == 'create':
            fd = os.open(files[words[1]], os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        elif words[0] == 'write':
            print('wrote', os.pwrite(fd, words[2].encode() * int(words[3]), int(words[1])))
        elif words[0] == 'append':
            os.write(fd, words[1].encode())
        elif words[0] == 'read':
            print('read', len(os.pread(fd, 8192, 0)))
        elif words[0] == 'rename':
            os.rename(files[words[1]], files[words[2]])
        elif words[0] == 'unlink':
            os.unlink(files[words[1]])
        elif words[0] == 'truncate':
            os.ftruncate(fd, int(words[1]))
        else:
            getattr(os, words[0])(fd)
    except OSError as error:
        print(words[0], errno.errorcode[error.errno])
print('end')
PYTHON

sub start
{
    my (@steps) = @_;
    local %ENV = (%ENV, shim_env($node));
    my $out = '';
    my $run = IPC::Run::start([ 'python3', '-c', $program, @steps ], '>', \$out);
    return sub { $run->finish; return $out =~ s/\n/ /gr =~ s/ \z//r };
}

sub run
{
    return start(@_)->();
}

# A whole mark of one letter, in place without the shim.
sub fresh_mark
{
    my ($letter) = @_;
    shim_clear($node);
    shim_log_clear($node);
    unlink glob($node->data_dir . '/*');
    append_to_file($mark, $letter x 8192);
    return;
}

# 'A80 B20' for 80 times A and 20 times B.
sub runs_of
{
    my ($content) = @_;
    my @runs;
    push @runs, $2 . length $1 while $content =~ /((.)\2*)/sg;
    return join ' ', @runs;
}

# Failures: each call with each error, on these files alone.
fresh_mark('A');
for my $case (
    [ 'fail open EIO always', 'open EIO', 'open mark' ],
    [ 'fail write ENOSPC always', 'write ENOSPC append ENOSPC', 'open mark', 'write 0 B 10', 'append B' ],
    [ 'fail fsync EIO always', 'fsync EIO', 'open mark', 'fsync', 'fdatasync' ],
    [ 'fail fdatasync EROFS always', 'fdatasync EROFS', 'open mark', 'fsync', 'fdatasync' ],
    [ 'fail fsyncdir EIO always', 'fsync EIO', 'open mark', 'fsync', 'open dir', 'fsync' ],
    [ 'fail rename EACCES always', 'rename EACCES', 'create tmp', 'rename tmp mark' ],
    [ 'fail read EIO always', 'read EIO', 'open mark', 'read' ],
    [ 'fail unlink EIO always', 'unlink EIO', 'unlink tmp' ],
    [ 'fail truncate EIO always', 'truncate EIO', 'open mark', 'truncate 1' ],
    [ 'fail open@tmp EROFS always', 'open EROFS', 'open mark', 'open tmp' ],
    [ 'fail write#2 EIO always', 'wrote 1 write EIO write EIO', 'open mark', map { "write $_ A 1" } 1 .. 3 ],
    [ 'fail write#2 EIO once', 'wrote 1 write EIO wrote 1', 'open mark', map { "write $_ A 1" } 1 .. 3 ],
    [ 'short write 5 once', 'wrote 5 wrote 10', 'open mark', 'write 0 A 10', 'write 0 A 10' ],
    [ 'fail write EIO always', 'wrote 10', 'create else', 'write 0 A 10', 'fsync' ])
{
    my ($order, $expected, @steps) = @$case;
    shim($node, $order);
    is(run(@steps), $expected eq '' ? 'end' : "$expected end", $order);
}
is(slurp_file($mark), 'A' x 8192, 'a call that fails does nothing');
like(eval { shim($node, 'fail sync EIO once'); '' } // $@, qr/does not know/, 'an order with a typing error is refused');

# Processes count together: the last of all their calls fails.
shim($node, 'fail fdatasync#120 EIO once');
my @runs = map { start('open mark', map { 'fdatasync' } 1 .. 20) } 1 .. 6;
is(join(' ', sort map { $_->() } @runs), 'end end end end end fdatasync EIO end', 'calls are counted over all processes');

# Slow, and the log.
fresh_mark('A');
shim($node, 'log', 'slow fdatasync 300');
my $start = monotonic();
is(run('open mark', 'write 4096 B 80', 'fdatasync', 'fsync', 'close', 'open else'), 'wrote 80 open ENOENT end', 'slow');
my $end = monotonic();
cmp_ok($end - $start, '>', 0.3, 'slow: it takes its time');
my @calls = shim_log($node);
is(join(' ', map { "$_->{call}:$_->{file}" } @calls), 'open:mark write:mark fdatasync:mark fsync:mark close:mark',
    'the log: the calls');
is("@{$calls[1]}{qw(offset size result errno)}", '4096 80 80 0', 'the log: a write');
cmp_ok($calls[2]{time} - $calls[1]{time}, '>=', 0.3, 'the log: its times');
ok($calls[0]{time} > $start && $calls[4]{time} < $end, 'the log: on the clock of the test');
is(scalar(shim_log($node, 'fdatasync')), 1, 'the log: of one call');

# Stopping and dying, before and after a call.
for my $case ([ 'before', 'A8192' ], [ 'after', 'B80 A8112' ])
{
    my ($where, $content) = @$case;
    for my $how ('stop', 'kill')
    {
        fresh_mark('A');
        shim($node, "$how write $where");
        my $finish = start('open mark', 'write 0 B 80');
        if ($how eq 'stop')
        {
            my ($pid, $note) = stopped_pid($node);
            is($note, "write mark $where", "stopped $where a write: says so");
            is(runs_of(slurp_file($mark)), $content, "stopped $where a write: the file");
            resume($pid);
            is($finish->(), 'wrote 80 end', "stopped $where a write: goes on");
        }
        else
        {
            is($finish->(), '', "killed $where a write: gone");
            is(runs_of(slurp_file($mark)), $content, "killed $where a write: the file");
        }
        is(run('open mark', 'write 0 B 80'), 'wrote 80 end', "$how: once");
    }
}

# Power losses. What is left, by what had been done.
my @replace = ('create tmp', 'write 0 B 8192', 'fsync', 'rename tmp mark');
for my $case (
    [ 'a write that is not synced', 'A8192', {}, 'open mark', 'write 0 B 80' ],
    [ 'a write that is synced', 'B80 A8112', {}, 'open mark', 'write 0 B 80', 'fdatasync' ],
    [ 'the second write', 'B80 A8112', {}, 'open mark', 'write 0 B 80', 'fdatasync', 'write 4096 C 80' ],
    [ 'it is kept', 'B80 A4016 C80 A4016', { kept => 1 }, 'open mark', 'write 0 B 80', 'fdatasync', 'write 4096 C 80' ],
    [ 'it is torn', 'B80 A4016 C40 A4056', { torn => 1 }, 'open mark', 'write 0 B 80', 'fdatasync', 'write 4096 C 80' ],
    [ 'a choice', 'A4 B4 A4088 C8 A4088', { writes => [qw(torn_tail kept lost)] },
        'open mark', 'write 0 B 8', 'write 4096 C 8', 'write 4104 D 8' ],
    [ 'a sync that fails, and one that believes it', 'A8192', { order => 'fail fdatasync EIO once' },
        'open mark', 'write 0 B 80', 'fdatasync', 'fdatasync' ],
    [ 'a sync that fails, and a second write', 'B80 A8112', { order => 'fail fdatasync EIO once' },
        'open mark', 'write 0 B 80', 'fdatasync', 'write 0 B 80', 'fdatasync' ],
    [ 'a file that is cut', 'A8192', {}, 'open mark', 'truncate 10' ],
    [ 'a file that is cut and synced', 'A10', {}, 'open mark', 'truncate 10', 'fsync' ],
    [ 'a replaced file', 'A8192', {}, @replace ],
    [ 'its name is kept', 'B8192', { directory => 'kept' }, @replace ],
    [ 'a replaced file, the directory synced', 'B8192', {}, @replace, 'open dir', 'fsync' ],
    [ 'a replacement that was not synced', '', {}, grep({ $_ ne 'fsync' } @replace), 'open dir', 'fsync' ],
    [ 'a removed file', 'A8192', {}, 'unlink mark' ],
    [ 'a removed file, the directory synced', '', {}, 'unlink mark', 'open dir', 'fsync' ],
    [ 'a new file', '', { absent => 1 }, 'create mark', 'write 0 B 80', 'fsync' ],
    [ 'a new file, the directory synced', 'B80', { absent => 1 }, 'create mark', 'write 0 B 80', 'fsync', 'open dir', 'fsync' ])
{
    my ($name, $expected, $options, @steps) = @$case;
    my ($order, $absent) = delete @$options{qw(order absent)};
    fresh_mark('A');
    unlink $mark if $absent;
    my $inode = (stat $mark)[1];
    shim($node, 'record', $order // ());
    run(@steps);
    my $survives = durable_mark($node);
    my $left = power_loss($node, %$options);
    is(runs_of($left), $expected, "power loss: $name");
    is($left, -e $mark ? slurp_file($mark) : '', "power loss: $name, in the file");
    is($survives // '', $left, "power loss: $name, foretold") unless %$options;
    is((stat $mark)[1], $inode, "power loss: $name, the same file") if $expected =~ /A/;
    is(scalar(unsynced($node)), 0, "power loss: $name, nothing hangs over");
}

# Another loss goes from what the first has left.
fresh_mark('A');
shim($node, 'record');
run('open mark', 'write 0 B 80', 'write 4096 B 80');
is_deeply([ unsynced($node) ],
    [ { file => 'mark', offset => 0, size => 80 }, { file => 'mark', offset => 4096, size => 80 } ],
    'writes that are not synced are told');
power_loss($node, writes => [qw(kept lost)]);
run('open mark', 'write 4096 C 80');
is(runs_of(power_loss($node)), 'B80 A8112', 'a second power loss');
like(eval { power_loss($node, writes => ['kept']); '' } // $@, qr/there are 0 unsynced/, 'too many fates are refused');

done_testing();
