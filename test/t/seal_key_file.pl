# The key file: what is taken, and what is refused with an error that names the file and
# tells nothing of its content. A server without OpenSSL says so.
use strict;
use warnings FATAL => 'all';

use Compiled;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use POSIX qw(mkfifo);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SealKeys;
use Socket;
use Test::More;
use Timeshard;
use TimeshardSession;

my $node = seal_cluster('key_file', [1], env => { LD_PRELOAD => compile_preload('key_file_shim') });
my $file = $node->{key_file};
my $hex = (split ' ', key_line(1))[1];
my $call = "SELECT timeshard_open(timeshard_seal(4711, 'video'), 'video')";

# Each case in a session of its own, and in one that had a good file before and then
# noticed a reload.
my $old = TimeshardSession->new($node);

sub answers
{
    reload_and_wait($node);
    $old->ask('SELECT 1');
    my (undef, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$call", on_error_stop => 1);
    my ($old_out, $old_err) = $old->ask($call);
    $err =~ s/^psql:<stdin>:\d+: //;
    return ($out . $err, $old_out . $old_err);
}

sub is_taken
{
    my ($name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is_deeply([ answers() ], [ 4711, 4711 ], "taken: $name");
}

sub is_refused
{
    my ($name, $pattern) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @answers = answers();
    like($answers[0], $pattern, "refused: $name");
    is($answers[1] =~ s/LINE.*//sr, $answers[0] =~ s/LINE.*//sr, "refused alike in an old session: $name");
    like($_, qr/\Q$file\E/, "names the file: $name") for $answers[0];
    unlike($_, qr/[0-9a-f]{8}/i, "tells nothing of it: $name") for map { s/\Q$file\E//gr } @answers;
    return;
}

sub case { my ($content, $mode) = @_; return write_key_file($file, $content, $mode) }

# Forms
my %taken = (
    'one key' => key_line(1),
    'no newline' => "1 $hex",
    'CR LF' => "1 $hex\r\n0 $hex\r\n",
    'CR LF, the last without' => "1 $hex\r\n0 $hex",
    'upper case' => "1 " . uc $hex,
    'a tab' => "1\t$hex\n",
    'four keys' => join('', map { "$_ $hex\n" } 1, 3, 0, 2),
);
for my $name (sort keys %taken)
{
    case($taken{$name});
    is_taken($name);
}

my $form = qr/ERROR: +F0000: invalid key file ".*"\nDETAIL: +/;
my $line = 'is not a key\'s number from 0 to 3, a space and 64 hexadecimal digits\.';
my %refused = (
    'empty' => [ '', 'It has no key\.' ],
    'an empty line' => [ "\n", "Line 1 $line" ],
    'a line too many' => [ "1 $hex\n\n", "Line 2 $line" ],
    'only a number' => [ "1\n", "Line 1 $line" ],
    'only a key' => [ "$hex\n", "Line 1 $line" ],
    'number 4' => [ "4 $hex\n", "Line 1 $line" ],
    'negative number' => [ "-1 $hex\n", "Line 1 $line" ],
    'a short key' => [ '1 ' . substr($hex, 0, 62) . "\n", "Line 1 $line" ],
    'an AES-128 key' => [ '1 ' . substr($hex, 0, 32) . "\n", "Line 1 $line" ],
    'a long key' => [ "1 ${hex}00\n", "Line 1 $line" ],
    'no hexadecimal digits' => [ '1 ' . 'g' x 64 . "\n", "Line 1 $line" ],
    'a blank behind' => [ "1 $hex \n", "Line 1 $line" ],
    'a comment' => [ "# keys\n1 $hex\n", "Line 1 $line" ],
    'a byte order mark' => [ "\xef\xbb\xbf1 $hex\n", "Line 1 $line" ],
    'a null byte' => [ "1 $hex\n\0", "Line 2 $line" ],
    'UTF-16' => [ join('', map { "$_\0" } split //, "1 $hex\n"), "Line 1 $line" ],
    'base64' => [ '1 ' . 'A' x 43 . "=\n", "Line 1 $line" ],
    'a number twice' => [ "1 $hex\n0 $hex\n1 $hex\n", 'The key in line 3 has the number of an earlier one\.' ],
    'five keys' => [ join('', map { "$_ $hex\n" } 0 .. 3, 0), 'The key in line 5 has the number of an earlier one\.' ],
);
for my $name (sort keys %refused)
{
    my ($content, $detail) = @{ $refused{$name} };
    case($content);
    is_refused($name, qr/^$form$detail\nHINT: +See "Set up" in \S*\/doc\/public-codes\.md\.$/m);
}
case("1 $hex\n" x 100);
is_refused('too large', qr/F0000: key file ".*" is too large\nDETAIL: +It can have at most 1024 bytes\./);

# Access. The shim says who owns the file where FILE.status is there.
for my $mode (0600, 0400)
{
    case(key_line(1), $mode);
    is_taken(sprintf 'mode %04o', $mode);
}
my $open_to_others = qr/F0000: key file ".*" has group or world access\nDETAIL: +File must have permissions u=rw \(0600\) or less if owned by the database user, or permissions u=rw,g=r \(0640\) or less if owned by root\./;
for my $mode (0640, 0604, 0660, 0610, 0602, 0601, 0644, 0777)
{
    case(key_line(1), $mode);
    is_refused((sprintf 'mode %04o', $mode), $open_to_others);
}
case(key_line(1));
my $stranger = $> + 1;
my @owners = (
    [ "0 0640", undef ], [ "0 0600", undef ], [ "0 0440", undef ], [ "0 0400", undef ],
    [ "0 0644", $open_to_others ], [ "0 0660", $open_to_others ], [ "0 0650", $open_to_others ], [ "0 0641", $open_to_others ],
    [ "$stranger 0600", qr/F0000: key file ".*" must be owned by the database user or root/ ],
);
for (@owners)
{
    my ($status, $error) = @$_;
    unlink "$file.status";
    append_to_file("$file.status", "$status\n");
    $error ? is_refused("owner and mode $status", $error) : is_taken("owner and mode $status");
}
unlink "$file.status";

# What is no ordinary file. None keeps the session waiting.
unlink $file;
is_refused('missing', qr/58P01: could not open key file ".*": No such file or directory/);
case(key_line(1), 0000);
is_refused('unreadable', qr/42501: could not open key file ".*": Permission denied/);
unlink $file;
mkdir $file, 0700 or die $!;
is_refused('a directory', qr/F0000: key file ".*" is not a regular file/);
rmdir $file or die $!;
mkfifo($file, 0600) or die $!;
is_refused('a FIFO', qr/F0000: key file ".*" is not a regular file/);
unlink $file;
symlink "$file.target", $file or die $!;
is_refused('a symbolic link to nothing', qr/58P01: could not open key file/);
write_key_file("$file.target", key_line(1), 0644);
is_refused('a symbolic link to a file that is open to others', $open_to_others);
write_key_file("$file.target", key_line(1));
is_taken('a symbolic link');
unlink $file;
symlink $file, $file or die $!;
is_refused('a symbolic link to itself', qr/could not open key file ".*": Too many levels of symbolic links/);
unlink $file;
symlink '/dev/zero', $file or die $!;
is_refused('a device', qr/F0000: key file ".*" is not a regular file/);
unlink $file;
open my $huge, '>', $file or die $!;
truncate $huge, 1 << 40 or die $!;
close $huge or die $!;
chmod 0600, $file or die $!;
is_refused('a terabyte of zeros', qr/is too large/);
unlink $file;

# No file, and one in the data directory by a relative path
configure($node, 'timeshard.node_id = 3');
reload_and_wait($node);
fails_with($node, $call, qr/55000: no key file for public codes is configured\nHINT: +Set timeshard\.seal_key_file/, 'no setting');
configure($node, 'timeshard.node_id = 3', "timeshard.seal_key_file = 'seal.keys'");
write_key_file($node->data_dir . '/seal.keys', key_line(1));
reload_and_wait($node);
is($node->safe_psql('postgres', $call), 4711, 'a relative path starts in the data directory');
$old->finish;

restart_with_env($node, LD_PRELOAD => compile_preload('no_openssl'));
fails_with($node, $call, qr/0A000: public codes are not supported by this server\nDETAIL: +They need a PostgreSQL that was built with OpenSSL\./, 'no OpenSSL');
is($node->safe_psql('postgres', 'SELECT timeshard_next_id() > 0'), 't', 'IDs are made without it');
$node->stop;
done_testing();
