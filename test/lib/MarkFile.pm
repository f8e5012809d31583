# The file of the durable mark as a test sees it from outside: its records, and
# ways to damage it. The layout is that of src/core/mark_record.hpp.
package MarkFile;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use PostgreSQL::Test::Utils;
use POSIX qw(strftime);

our @EXPORT = qw(
  mark_path mark_bytes write_mark mark_slots mark_of await_mark sealed_slot
  set_field slot_of_1_1 other_byte_order time_text offset_of
);

our $epoch = 1702385533000;
my $template = # in the machine's byte order
  'L L Q q q l l l L q q l l Q Q L l q l Z48 L';
my @fields = qw(magic version generation end custom_epoch node_id node_id_bits derived timeline
  since_id previous_epoch previous_bits unused system_identifier inode
  window postmaster started_at source address checksum);

sub mark_path
{
    my ($node) = @_;
    return $node->data_dir . '/timeshard.mark';
}

sub mark_bytes
{
    my ($node) = @_;
    return -f mark_path($node) ? slurp_file(mark_path($node)) : undef;
}

# Overwrites the file in place, as damage does: it stays the same file.
sub write_mark
{
    my ($node, $bytes) = @_;
    my $path = mark_path($node);
    open my $out, '+<:raw', $path or die "cannot open $path: $!";
    print $out $bytes;
    truncate $out, length $bytes or die "cannot truncate $path: $!";
    close $out or die "cannot write $path: $!";
    return;
}

my @crc_table = map {
    my $crc = $_;
    $crc = $crc & 1 ? ($crc >> 1) ^ 0x82F63B78 : $crc >> 1 for 1 .. 8;
    $crc
} 0 .. 255;

sub crc32c
{
    my ($bytes) = @_;
    my $crc = 0xFFFFFFFF;
    $crc = $crc_table[ ($crc ^ $_) & 0xFF ] ^ ($crc >> 8) for unpack 'C*', $bytes;
    return $crc ^ 0xFFFFFFFF;
}

# The two records as hashes; undefined where the checksum is wrong. Of a record of
# version 1, as 1.1.0 wrote it, the fields from the postmaster on mean nothing.
sub mark_slots
{
    my ($bytes) = @_;
    return map {
        my $slot = length $bytes >= $_ + 160 ? substr($bytes, $_, 160) : '';
        my %record;
        @record{@fields} = unpack $template, $slot if $slot ne '';
        my $size = ($record{version} // 0) == 1 ? 92 : 156;
        $slot ne '' && crc32c(substr $slot, 0, $size) == unpack('L', substr $slot, $size, 4) ? \%record : undef
    } 0, 4096;
}

# A slot as 1.1.0 would have written it.
sub slot_of_1_1
{
    my ($slot) = @_;
    my $bytes = substr($slot, 0, 4) . pack('L', 1) . substr($slot, 8, 80) . "\0" x 4;
    return $bytes . pack('L', crc32c($bytes)) . "\0" x 4000;
}

# The file as a server of the other byte order writes it.
sub other_byte_order
{
    my ($bytes) = @_;
    my $order = pack('L', 1) eq pack('V', 1) ? '>' : '<';
    my $other = $template =~ s/([LlQq])/$1$order/gr;
    for my $at (0, 4096)
    {
        my $record = substr(pack($other, unpack $template, substr $bytes, $at, 160), 0, 156);
        substr($bytes, $at, 160) = $record . pack("L$order", crc32c($record));
    }
    return $bytes;
}

# The record that counts, with the number of its slot; nothing if none is sound.
sub mark_of
{
    my ($node) = @_;
    my $bytes = mark_bytes($node) // return;
    my @slots = mark_slots($bytes);
    my ($best) = sort { $slots[$b]{generation} <=> $slots[$a]{generation} } grep { $slots[$_] } 0, 1;
    return defined $best ? { %{ $slots[$best] }, slot => $best } : undef;
}

# Waits until both records are sound and alike, as they are when nobody writes,
# and past the generation $since.
sub await_mark
{
    my ($node, $since) = @_;
    return TimeshardSession::eventually(sub {
        my @slots = mark_slots(mark_bytes($node) // '');
        return $slots[0] && $slots[1] && $slots[0]{generation} == $slots[1]{generation}
          && $slots[0]{generation} > ($since // 0);
    });
}

# A slot with one field changed, and a checksum that is right for it.
sub sealed_slot
{
    my ($slot, $field, $value) = @_;
    my %record;
    @record{@fields} = unpack $template, substr($slot, 0, 160);
    $record{$field} = $value;
    my $bytes = pack $template, @record{@fields};
    return substr($bytes, 0, 156) . pack('L', crc32c(substr $bytes, 0, 156)) . substr($slot, 160);
}

# Both slots of a file's content with a field changed.
sub set_field
{
    my ($bytes, $field, $value) = @_;
    return join '', map { sealed_slot(substr($bytes, $_, 4096), $field, $value) } 0, 4096;
}

sub offset_of
{
    my ($id) = @_;
    return $id >> 22;
}

# An offset as the server's errors print it, in UTC.
sub time_text
{
    my ($offset) = @_;
    my $ms = $epoch + $offset;
    my $fraction = sprintf('.%03d', $ms % 1000) =~ s/\.?0+\z//r;
    return strftime('%F %T', gmtime($ms / 1000)) . $fraction . '+00';
}

1;
