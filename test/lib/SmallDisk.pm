# A disk that a test can fill and make read-only: a small tmpfs in a mount namespace, which
# an ordinary user makes in a user namespace. The test runs itself again in a second one
# inside it, because the server refuses to be root. So this is the first module that a
# test uses.
#
#   use SmallDisk;
#   if ($no_disk) { ... }      # why there is none
#   move_to_disk($node);       # a cluster that has not been started
#   fill_disk(); free_disk();
#   remount('ro');
package SmallDisk;

use strict;
use warnings FATAL => 'all';

use File::Temp;
use Time::HiRes qw(usleep);

our ($no_disk, $disk);
my $ram;
my $orders = 0;

# Orders to remount come by a pipe, for a shell that is still allowed to.
my $script = <<'SH';
dir=$1; user=$2; group=$3; shift 3
mkdir "$dir/disk"; mount -t tmpfs -o size=256k,mode=0700 none "$dir/disk"; mkfifo "$dir/orders"
[ "$#" -gt 0 ] || exit 0
while :; do
    read -r how done <"$dir/orders" || continue
    mount -t tmpfs -o "remount,$how" none "$dir/disk" 2>"$dir/error" && : >"$dir/$done" || :
done &
trap "kill $!" EXIT
unshare --user --map-user="$user" --map-group="$group" -- "$@"
SH

sub import
{
    my $caller = caller;
    run_again() unless $ENV{TIMESHARD_TEST_DISK};
    $ram = $ENV{TIMESHARD_TEST_DISK};
    $no_disk = $ENV{TIMESHARD_TEST_NO_DISK};
    $disk = "$ram/disk";
    no strict 'refs';
    *{"${caller}::$_"} = \&{$_} for qw(move_to_disk remount fill_disk free_disk);
    *{"${caller}::$_"} = \${"SmallDisk::$_"} for qw(no_disk disk);
    return;
}

# Runs the test in the namespaces or, where there can be none, as it is; ends with it.
sub run_again
{
    my $dir = File::Temp::tempdir(CLEANUP => 0);
    my @in_namespace = ('unshare', '--user', '--map-root-user', '--mount', '--', 'sh', '-ec', $script, 'sh');
    local $ENV{PATH} = "$ENV{PATH}:/usr/sbin:/sbin";
    my $probe = File::Temp::tempdir(CLEANUP => 0);
    my $trouble = qx{exec 2>&1; @{[ map { "'" . s/'/'\\''/gr . "' " } @in_namespace, $probe, 0, 0 ]}};
    $trouble = 'unshare failed' if $? != 0 && $trouble eq '';
    $trouble = '' if $? == 0;
    system 'rm', '-rf', $probe;
    my @command = ($^X, (map { "-I$_" } grep { !ref } @INC), $0);
    local $ENV{TIMESHARD_TEST_DISK} = $dir;
    local $ENV{TIMESHARD_TEST_NO_DISK} = $trouble;
    my $status = system $trouble ? @command : (@in_namespace, $dir, $>, $) + 0, @command);
    system 'rm', '-rf', $dir;
    exit($status >> 8 || ($status ? 1 : 0));
}

# The tmpfs has the data directory's own files alone; its folders are links to where
# there is room.
sub move_to_disk
{
    my ($node) = @_;
    my $data = $node->data_dir;
    rename $data, "$data.folders" or die "cannot rename $data: $!";
    symlink $disk, $data or die "cannot link $data: $!";
    for my $entry (glob "$data.folders/*")
    {
        symlink $entry, $disk . '/' . ($entry =~ s{.*/}{}r) or die "cannot link $entry: $!";
    }
    return;
}

# The shell commands that remount it once.
sub remount_order
{
    my ($how) = @_;
    my $done = 'done.' . ++$orders;
    return ("echo $how $done >'$ram/orders'", "$ram/$done");
}

# Remounts it ro or rw; busy while somebody has a file open for writing.
sub remount
{
    my ($how) = @_;
    my ($order, $done) = remount_order($how);
    for (1 .. 50 * $PostgreSQL::Test::Utils::timeout_default)
    {
        system($order) == 0 or die "cannot give orders: $?";
        usleep(20_000);
        return 1 if -e $done;
    }
    open my $in, '<', "$ram/error";
    die "cannot remount $disk: " . join '', <$in>;
}

# Takes the last byte.
sub fill_disk
{
    open my $out, '>', "$disk/filler" or die "cannot write $disk/filler: $!";
    1 while syswrite $out, 'x' x 4096;
    close $out;
    my $left = qx(df --output=avail '$disk') =~ /(\d+)\s*$/ ? $1 : -1;
    $left == 0 or die "$disk is not full, but has $left KiB left";
    return;
}

sub free_disk
{
    unlink "$disk/filler" or die "cannot remove $disk/filler: $!";
    return;
}

1;
