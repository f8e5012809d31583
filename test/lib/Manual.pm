# Reads the manual's Markdown and compares what it shows with what happens.
# Each check returns its complaints as a list of lines; none is good.
package Manual;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use File::Basename qw(dirname);
use File::Spec;
use Time::Local qw(timegm);

our @EXPORT_OK = qw(read_text blocks_of needs_extension anchor_of anchors_of broken_links stray_code plan_frames differences run_blocks
  syntax_complaints with_outputs);

use constant EPOCH_MS => 1702385533000;

# A value is "of now" if it is no further from the present than this.
use constant TOLERANCE_MS => 300_000;

sub read_text
{
    my ($path) = @_;
    open my $in, '<:encoding(UTF-8)', $path or die "cannot read $path: $!";
    local $/;
    return scalar <$in>;
}

# The fenced blocks of a Markdown text, in order: language, the rest of the
# fence's line, first line number and text. A "text" block with nothing but
# blank lines between it and an SQL block is that block's output; so is one
# behind a named block of a client's program, or of the shell's.
sub blocks_of
{
    my ($markdown) = @_;
    my (@blocks, $open);
    my ($number, $between) = (0, 1);

    for my $line (split /\n/, $markdown)
    {
        $number++;
        if ($open)
        {
            if ($line =~ /^\s*```\s*$/) { undef $open; $between = 0 }
            else { $open->{text} .= "$line\n" }
        }
        elsif ($line =~ /^\s*```(\S*)\s*(.*?)\s*$/)
        {
            $open = { lang => $1, info => $2, line => $number, text => '' };
            if ($1 eq 'text' && !$between && @blocks && has_output($blocks[-1]))
            {
                $blocks[-1]{output} = $open;
            }
            else { push @blocks, $open }
        }
        elsif ($line =~ /\S/) { $between = 1 }
    }
    push @blocks, { lang => 'unclosed', line => $open->{line}, text => '' } if $open;
    return @blocks;
}

sub has_output
{
    my ($block) = @_;
    return ($block->{lang} eq 'sql' && !needs_extension($block)) || ($block->{lang} =~ /^(?:python|ruby|js|java|sh)$/ && $block->{info} ne '');
}

# SQL that takes Citus: run by test/citus.sh, by the name behind the word. Or
# TimescaleDB, which was run by hand.
sub needs_extension
{
    my ($block) = @_;
    return $block->{lang} eq 'sql' && $block->{info} =~ /^(?:citus |timescaledb$)/;
}

# Code by indentation would pass by every check.
sub stray_code
{
    my ($markdown) = @_;
    my ($number, $fenced, $list, $blank, @complaints) = (0, 0, 0, 1);

    for my $line (split /\n/, $markdown)
    {
        $number++;
        if ($line =~ /^\s*```/) { $fenced = !$fenced; next }
        next if $fenced;
        if ($line !~ /\S/) { $blank = 1; next }
        $list = 1 if $line =~ /^\s*(?:[-*+]|\d+\.)\s/;
        $list = 0 if $blank && $line =~ /^\S/ && $line !~ /^(?:[-*+]|\d+\.)\s/;
        push @complaints, "line $number: code by indentation"
          if $blank && !$list && $line =~ /^(?: {4}|\t)/;
        $blank = 0;
    }
    return @complaints;
}

# Plans whose header and dashes have not the width that psql gives them, which
# the comparison of outputs does not look at.
sub plan_frames
{
    my ($markdown) = @_;
    my @lines = split /\n/, $markdown;
    my @complaints;
    for my $i (grep { $lines[$_] =~ /^ *QUERY PLAN$/ } 0 .. $#lines - 2)
    {
        my $width = length 'QUERY PLAN';
        for (my $j = $i + 2; $j < @lines && $lines[$j] =~ /^ /; $j++)
        {
            $width = length($lines[$j]) - 1 if length($lines[$j]) - 1 > $width;
        }
        my @frame = (' ' x (1 + int(($width - length 'QUERY PLAN') / 2)) . 'QUERY PLAN', '-' x ($width + 2));
        push @complaints, 'line ' . ($i + 1) . ': not the frame of this plan'
          if $lines[$i] ne $frame[0] || $lines[ $i + 1 ] ne $frame[1];
    }
    return @complaints;
}

# A heading becomes an anchor as GitHub makes it.
sub anchor_of
{
    my ($heading) = @_;
    $heading =~ s/\[([^\]]*)\]\([^)]*\)/$1/g;
    my $slug = lc $heading;
    $slug =~ s/[^\w\- ]//g;
    $slug =~ tr/ /-/;
    return $slug;
}

sub anchors_of
{
    my ($markdown) = @_;
    my %seen;
    $markdown =~ s/^\s*```.*?^\s*```\s*$//gms;
    for my $heading ($markdown =~ /^#{1,6}\s+(.+?)\s*#*$/gm)
    {
        my $slug = anchor_of($heading);
        my $anchor = exists $seen{$slug} ? "$slug-$seen{$slug}" : $slug;
        $seen{$slug}++;
        $seen{$anchor} //= 0;
    }
    return \%seen;
}

# Links of the file to other files and to headings. Addresses of other sites
# are only looked at for their form: a test needs no network.
sub broken_links
{
    my ($path) = @_;
    my $markdown = read_text($path);
    my $prose = $markdown;
    $prose =~ s/^\s*```.*?^\s*```\s*$//gms;
    $prose =~ s/`[^`\n]*`/`code`/g;

    my @complaints;
    push @complaints, "reference link: $1" if $prose =~ /(\[[^\]\n]+\]\[[^\]\n]*\])/;
    for my $target ($prose =~ /\]\(([^)\s]*)[^)]*\)/g)
    {
        next if $target =~ m{^https://[\w.-]+\.\w+(?:/\S*)?$};
        my ($file, $anchor) = $target =~ /^([^#]*)(?:#(.*))?$/;
        my $full = $file eq '' ? $path : File::Spec->catfile(dirname($path), $file);
        if ($target eq '' || !-e $full) { push @complaints, "broken link: $target"; next }
        next unless defined $anchor;
        push @complaints, "no such heading: $target" unless anchors_of(read_text($full))->{$anchor};
    }
    return @complaints;
}

sub now_ms { return time * 1000 }

sub is_of_now
{
    my ($ms) = @_;
    return abs($ms - now_ms()) <= TOLERANCE_MS;
}

sub timestamp_ms
{
    my ($text) = @_;
    return unless $text =~ /^(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)/;
    return 1000 * timegm($6, $5, $4, $3, $2 - 1, $1 - 1900);
}

my $timestamp = qr/\d{4}-\d\d-\d\d\ \d\d:\d\d:\d\d(?:\.\d+)?(?:\+00)?/x;

# An ID in text, a prefix inserted or not: 18 or 19 digits in at most two runs.
sub id_in
{
    my ($token) = @_;
    return $token if $token =~ /^\d{18,19}$/;
    return unless $token =~ /^(\d{1,18})[^\d\s|]{1,12}(\d{1,18})$/;
    return length("$1$2") == 19 ? "$1$2" : undef;
}

# What kind of varying value a token is, and the ID if it is one.
sub kind_of
{
    my ($token) = @_;
    return ('time', timestamp_ms($token)) if $token =~ /^$timestamp$/;
    my $id = id_in($token);
    return ('id', ($id >> 22) + EPOCH_MS, $id) if defined $id;
    return ('ms', $token) if $token =~ /^\d{13}$/ && $token > EPOCH_MS;
    return ('offset', $token + EPOCH_MS) if $token =~ /^\d{11,13}$/;
    return ('other');
}

sub tokens_of
{
    my ($line) = @_;
    $line =~ s/\s+/ /g;
    $line =~ s/^ | $//g;
    $line =~ s/-{3,}/---/g;
    my @tokens;
    while ($line =~ /\G($timestamp|\d+[^\d\s|:.+]{1,12}\d+(?!\d)|\d+|[^\d]+?(?=\d|$))/g)
    {
        my $token = $1;
        push @tokens,
          $token =~ /^(\d+)(\D+)(\d+)$/ && !defined id_in($token) ? ($1, $2, $3) : $token;
    }
    return @tokens;
}

# Compares output as shown with output as it came. Times and IDs may differ
# where the real one is of now and the shown one of the same kind; two equal
# IDs must stay equal, two different ones different. All else must agree but
# for the width of columns. Hints name pages by the folder of the installed manual.
sub differences
{
    my ($shown, $real) = map { s{\S*/timeshard/(?=doc/|README)}{}gr } @_;
    my @shown = grep { /\S/ } split /\n/, $shown;
    my @real = grep { /\S/ } split /\n/, $real;
    return sprintf('%d lines shown, %d came', scalar @shown, scalar @real) if @shown != @real;

    my (%real_of, %shown_of);
    for my $i (0 .. $#shown)
    {
        my @s = tokens_of($shown[$i]);
        my @r = tokens_of($real[$i]);
        my $complaint = "shown: $shown[$i]\n came: $real[$i]";
        return $complaint if @s != @r;
        for my $j (0 .. $#s)
        {
            next if $s[$j] eq $r[$j];
            my ($shown_kind, undef, $shown_id) = kind_of($s[$j]);
            my ($kind, $ms, $id) = kind_of($r[$j]);
            return $complaint if $kind eq 'other' || $kind ne $shown_kind || !is_of_now($ms);
            next unless $kind eq 'id';
            (my $shown_form = $s[$j]) =~ s/\d+/0/g;
            (my $form = $r[$j]) =~ s/\d+/0/g;
            return $complaint if $shown_form ne $form;
            return "$complaint\n(an ID that should be the same, or another)"
              if ($real_of{ $shown_id + 0 } //= $id + 0) != $id
              || ($shown_of{ $id + 0 } //= $shown_id + 0) != $shown_id;
        }
    }
    return;
}

# Runs the SQL blocks in one psql session on the database; returns each one's
# output, errors and notices in their place, as a reader of "psql -q" sees it.
sub run_blocks
{
    my ($node, $database, @blocks) = @_;
    my $input = '';
    $input .= "\\echo === block $_\n$blocks[$_]{text}\n" for 0 .. $#blocks;
    my $output = '';
    utf8::encode($input);
    IPC::Run::run([ 'psql', '-X', '-q', '-w', '-d', $node->connstr($database) ],
        '<', \$input, '>&', \$output);
    utf8::decode($output);
    my @outputs;
    my @parts = split /^=== block (\d+)\n/m, $output, -1;
    shift @parts;
    while (my ($index, $text) = splice @parts, 0, 2) { $outputs[$index] = $text }
    return @outputs;
}

# What the server's parser says of SQL that is not to run: all of a message is parsed
# before its first statement, which fails.
sub syntax_complaints
{
    my ($node, $text) = @_;
    my ($out, $err) = ('', '');
    my $input = "SELECT 1 / 0;\n$text";
    utf8::encode($input);
    IPC::Run::run([ 'psql', '-X', '-q', '-w', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres'), '-c', $input ],
        '>', \$out, '2>', \$err);
    return $err =~ /^ERROR:  22012:/ ? () : "does not parse: $err";
}

# The Markdown with the given outputs in place of those shown, by fence line.
sub with_outputs
{
    my ($markdown, %output_at) = @_;
    my @lines = split /\n/, $markdown, -1;
    for my $fence (sort { $b <=> $a } keys %output_at)
    {
        my $count = 0;
        $count++ until $lines[ $fence + $count ] =~ /^\s*```\s*$/;
        (my $text = $output_at{$fence}) =~ s/\s+\z//;
        $text =~ s/[ \t]+$//gm;
        splice @lines, $fence, $count, split /\n/, $text;
    }
    return join "\n", @lines;
}

1;
