# Reads the errors and warnings of the sources: what each says, its SQLSTATE, and
# the section of the manual that its hint names.
package SourceErrors;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use Manual qw(read_text anchor_of);

our @EXPORT_OK = qw(errors_of sections_in message_pattern);

# The texts of one of ereport's helpers, as C++ would join them, each conversion
# as an ellipsis: those that follow each other are one. The folder of the installed
# manual is left out.
sub texts_of
{
    my ($call, $helper) = @_;
    my @texts;
    while ($call =~ /\b$helper(?:_internal)?\(((?:\s*(?:"(?:[^"\\]|\\.)*"|TIMESHARD_MANUAL))+)/g)
    {
        my $text = join '', $1 =~ /"((?:[^"\\]|\\.)*)"/g;
        $text =~ s/%[-.*\d]*(?:ll|z)?[a-z]/\x{2026}/g;
        $text =~ s/\x{2026}+/\x{2026}/g;
        $text =~ s/\\(["\\])/$1/g;
        push @texts, $text;
    }
    return @texts;
}

# The text from an opening bracket to the one that closes it.
sub bracketed
{
    my ($text) = @_;
    my $depth = 0;
    while ($text =~ /\G(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|([()])|[^"'()]+)/g)
    {
        next unless $1;
        $depth += $1 eq '(' ? 1 : -1;
        return substr $text, 0, pos $text if $depth == 0;
    }
    die 'a bracket that nothing closes';
}

# PostgreSQL's names of SQLSTATEs, by its own header.
sub sqlstates
{
    chomp(my $directory = `pg_config --includedir-server`);
    return map { /^#define (ERRCODE_\w+) MAKE_SQLSTATE\((.*)\)$/ ? ("$1" => join('', $2 =~ /'(.)'/g)) : () }
      split /\n/, read_text("$directory/utils/errcodes.h");
}

# The errors and warnings of a script in SQL, whose RAISE stands in PL/pgSQL. A hint can
# stand in a variable.
sub errors_of_script
{
    my ($file, %state) = @_;
    my $source = read_text($file);
    my $text = qr/'((?:[^']|'')*)'/;
    my @variable = $source =~ /^\s*hint pg_catalog\.text := $text;/mg;
    push @variable, map { s{timeshard/(?=doc/)}{}r } $source =~ /^\s*hint := $text;/mg;
    my @errors;
    while ($source =~ /RAISE (EXCEPTION|WARNING) USING (.*?);\n/sg)
    {
        my ($level, $call) = ($1, $2);
        my ($code) = $call =~ /\bERRCODE = '(\w+)'/;
        my $known = $code && $state{ 'ERRCODE_' . uc $code };
        die "$file: no SQLSTATE is called $code" if $code && !$known;
        my %texts = map {
            my $part = $_;
            $part => [ map { s/''/'/gr =~ s/%[sIL]/\x{2026}/gr } $call =~ /\b$part = (?:format\(|coalesce\()?$text/g ]
        } qw(MESSAGE DETAIL HINT);
        push @{ $texts{HINT} }, @variable if $call =~ /HINT = hint\b/;
        push @errors, {
            file => $file,
            level => $level eq 'WARNING' ? $level : 'ERROR',
            sqlstate => $known // 'of the cause',
            messages => $texts{MESSAGE},
            details => $texts{DETAIL},
            hints => $texts{HINT},
        };
    }
    return @errors;
}

# The errors and warnings, in the order of the sources: file, level, sqlstate
# ("of the cause" where the operating system's error gives it), messages,
# details and hints. One call can have several of each, by circumstance.
sub errors_of
{
    my ($root) = @_;
    my %state = sqlstates();
    my @errors = errors_of_script("$root/sql/timeshard_partitions.sql", %state);
    for my $file (sort glob "$root/src/{server,sql,registry}/*.cpp")
    {
        my $source = read_text($file);
        while ($source =~ /\b(ereport|TIMESHARD_INPUT_ERROR)\(/g)
        {
            my $input = $1 ne 'ereport';
            my $call = bracketed(substr $source, pos($source) - 1);
            my ($level) = $input ? 'ERROR' : $call =~ /^\(\s*(\w+)/;
            next unless $level =~ /^(?:ERROR|WARNING|FATAL|PANIC)$/;
            my ($code) = $call =~ /\berrcode\((\w+)\)/;
            die "$file: no SQLSTATE is called $code" if $code && !$state{$code};
            push @errors, {
                file => $file,
                level => $level,
                sqlstate => $code ? $state{$code}
                : $call =~ /errcode_for_file_access/ ? 'of the cause'
                : $level eq 'WARNING' ? '01000'
                : 'XX000',
                messages => [ texts_of($call, 'errmsg') ],
                details => [ texts_of($call, 'errdetail') ],
                hints => [ texts_of($call, 'errhint') ],
            };
        }
    }
    return @errors;
}

# The sections that a text names, as links from doc/: See "Title" in doc/page.md.
sub sections_in
{
    my ($text) = @_;
    my @links;
    while ($text =~ m{"([^"]+)" in ((?:doc/)?[\w-]+\.md)}g)
    {
        my ($title, $page) = ($1, $2);
        push @links, ($page =~ s{^doc/}{}r =~ s{^README}{../README}r) . '#' . anchor_of($title);
    }
    return @links;
}

# What a message matches in the manual, which may put an ellipsis for more than
# one of its values.
sub message_pattern
{
    my ($message) = @_;
    return join '.*', map { quotemeta } split /\x{2026}/, $message, -1;
}

1;
