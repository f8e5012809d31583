# Works out from the journal of mark_shim.c what a disk has of the mark, and puts
# it back. For MarkShim.pm, which says what is durable.
package PowerLoss;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use PostgreSQL::Test::Utils;

our @EXPORT = qw(start_recording unsynced_writes durable_content put_back);

my %path = (mark => 'timeshard.mark', tmp => 'timeshard.mark.tmp');

# Takes what is there as durable, and begins a journal.
sub start_recording
{
    my ($shim) = @_;
    unlink "$shim->{dir}/journal", glob("$shim->{dir}/inode.*");
    $shim->{base} = { names => {}, content => {} };
    for my $name (keys %path)
    {
        my $file = "$shim->{data}/$path{$name}";
        next unless -e $file;
        my $inode = (stat _)[1];
        link $file, "$shim->{dir}/inode.$inode";
        $shim->{base}{names}{$name} = $inode;
        $shim->{base}{content}{$inode} = slurp_file($file);
    }
    return;
}

sub read_journal
{
    my ($shim) = @_;
    open my $in, '<:raw', "$shim->{dir}/journal" or return;
    my @events;
    while (my $line = <$in>)
    {
        chomp $line;
        my @event = split / /, $line;
        if ($event[0] eq 'W')
        {
            read($in, my $data, $event[3]) == $event[3] or die 'the journal ends in a write';
            push @event, $data;
        }
        push @events, \@event;
    }
    return @events;
}

sub apply
{
    my ($content, $write) = @_;
    if (!defined $write->{data})
    {
        $$content = substr $$content . "\0" x $write->{size}, 0, $write->{size};
        return;
    }
    my $end = $write->{offset} + length $write->{data};
    $$content .= "\0" x ($end - length $$content) if length $$content < $end;
    substr($$content, $write->{offset}, length $write->{data}) = $write->{data};
    return;
}

# Plays the journal: names (now and durable), durable content by inode, and the
# writes that are not.
sub play
{
    my ($shim) = @_;
    my %now = %{ $shim->{base}{names} };
    my %durable = %now;
    my %content = %{ $shim->{base}{content} };
    my @pending;
    for my $event (read_journal($shim))
    {
        my ($type, $inode, @rest) = @$event;
        if ($type eq 'C') { $now{ $rest[0] } = $inode; $content{$inode} = ''; }
        elsif ($type eq 'M') { delete $now{ $rest[0] }; $now{ $rest[1] } = $inode; }
        elsif ($type eq 'U') { delete $now{$inode}; }
        elsif ($type eq 'D') { %durable = %now; }
        elsif ($type eq 'W')
        {
            push @pending, { inode => $inode, offset => $rest[0], size => $rest[1], data => $rest[2] };
        }
        elsif ($type eq 'Z') { push @pending, { inode => $inode, offset => 0, size => $rest[0] }; }
        elsif ($type eq 'S' || $type eq 'F')
        {
            for my $write (grep { $_->{inode} == $inode && $type eq 'S' } @pending)
            {
                apply(\$content{$inode}, $write);
            }
            @pending = grep { $_->{inode} != $inode } @pending;
        }
        else { die "the journal has an event $type"; }
    }
    my %file = (reverse(%durable), reverse(%now));
    $_->{file} = $file{ $_->{inode} } // '-' for @pending;
    return { now => \%now, durable => \%durable, content => \%content, pending => \@pending };
}

sub unsynced_writes
{
    my ($shim) = @_;
    return map { { file => $_->{file}, offset => $_->{offset}, size => $_->{size} } } @{ play($shim)->{pending} };
}

sub durable_content
{
    my ($shim, $name) = @_;
    my $state = play($shim);
    my $inode = $state->{durable}{$name};
    return defined $inode ? $state->{content}{$inode} : undef;
}

# The part of a write that has come to the disk.
sub part
{
    my ($write, $fate) = @_;
    return if $fate eq 'lost';
    return $write if $fate eq 'kept' || !defined $write->{data};
    my $half = int($write->{size} / 2);
    return { offset => $write->{offset}, data => substr($write->{data}, 0, $half) } if $fate eq 'torn';
    return { offset => $write->{offset} + $half, data => substr($write->{data}, $half) } if $fate eq 'torn_tail';
    die "no such fate of a write: $fate";
}

sub put_back
{
    my ($shim, %options) = @_;
    my $state = play($shim);
    my $fate = $options{kept} ? 'kept' : $options{torn} ? 'torn' : 'lost';
    my @fates = @{ $options{writes} // [ map { $fate } @{ $state->{pending} } ] };
    die 'there are ' . @{ $state->{pending} } . ' unsynced writes' if @fates != @{ $state->{pending} };
    for my $write (@{ $state->{pending} })
    {
        my $part = part($write, shift @fates);
        apply(\$state->{content}{ $write->{inode} }, $part) if $part;
    }
    my $names = ($options{directory} // '') eq 'kept' ? $state->{now} : $state->{durable};
    # First all that are not to be there: a file may have had both names.
    for my $name (keys %path)
    {
        my $file = "$shim->{data}/$path{$name}";
        next unless -e $file;
        unlink $file if !defined $names->{$name} || (stat _)[1] != $names->{$name};
    }
    put_file($shim, $path{$_}, $names->{$_}, $state->{content}{ $names->{$_} }) for keys %$names;
    return;
}

# The same file as it was where that is possible: the mark knows its inode.
sub put_file
{
    my ($shim, $name, $inode, $content) = @_;
    my $file = "$shim->{data}/$name";
    link "$shim->{dir}/inode.$inode", $file unless -e $file;
    open my $out, -e $file ? '+<:raw' : '>:raw', $file or die "cannot write $file: $!";
    print $out $content;
    truncate $out, length $content or die "cannot truncate $file: $!";
    close $out or die "cannot write $file: $!";
    chmod 0600, $file;
    return;
}

1;
