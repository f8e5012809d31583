# Key files of public codes, for the tests of area "seal".
package SealKeys;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use Timeshard;

our @EXPORT = qw(key_line write_key_file seal_cluster vectors);

# The key of this number, which is what the vectors of the manual have.
my @keys = (
    join('', map { sprintf '%02x', $_ } 0 .. 31),
    '2b7e151628aed2a6abf7158809cf4f3cef4359d8d580aa4f7f036d6f04fc6a94',
    'f' x 64,
    '603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4',
);

sub key_line
{
    my ($number) = @_;
    return "$number $keys[$number]\n";
}

# Replaces a file at once, as the manual says.
sub write_key_file
{
    my ($path, $content, $mode) = @_;
    unlink "$path.new";
    open my $out, '>:raw', "$path.new" or die "cannot write $path.new: $!";
    print $out $content;
    close $out or die "cannot write $path.new: $!";
    chmod $mode // 0600, "$path.new" or die "cannot change $path.new: $!";
    rename "$path.new", $path or die "cannot rename $path.new: $!";
    return;
}

# A cluster whose key file, $node->{key_file}, has these keys, the first of which seals.
sub seal_cluster
{
    my ($name, $numbers, %options) = @_;
    my $path = $PostgreSQL::Test::Utils::tmp_check . "/$name.keys";
    write_key_file($path, join '', map { key_line($_) } @$numbers);
    my $node = new_cluster($name, %options,
        conf => "timeshard.node_id = 3\ntimeshard.seal_key_file = '$path'\n" . ($options{conf} // ''));
    $node->{key_file} = $path;
    return $node;
}

# The rows of doc/public_codes.tsv, in bytes: number of the key, key, purpose, ID, code.
sub vectors
{
    my ($file) = @_;
    open my $in, '<:raw', $file or die "cannot read $file: $!";
    my ($heading, @lines) = <$in>;
    chomp @lines;
    return map { [ split /\t/, $_, -1 ] } @lines;
}

1;
