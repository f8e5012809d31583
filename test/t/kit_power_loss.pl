# What the fault suite leaves of the mark after a power loss, or its test of power
# losses proves nothing: by the calls of a small program, which stands in for a
# server, on files of the mark's name in a folder that stands in for the data
# directory.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use FaultKit;
use PostgreSQL::Test::Utils;
use Test::More;

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

sub run
{
    my (@steps) = @_;
    local %ENV = (%ENV, shim_env($node));
    IPC::Run::run([ 'python3', '-c', $program, @steps ], '>', \my $out);
    return $out =~ s/\n/ /gr;
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
    like(run(@steps), qr/end $/, "power loss: $name, the steps are taken");
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
