# Makes doc/reference.md from the comments in the catalog and the descriptions of the
# settings.
package ReferencePage;

use strict;
use warnings FATAL => 'all';
use utf8;

use Exporter 'import';

our @EXPORT_OK = qw(reference_page);

my $width = 118;

my $introduction = <<'MARKDOWN';
# Reference

Every function, type, view and setting. `make reference` writes this page from the comments in the catalog, which `\df+ timeshard_*`,
`\dT+ timeshard_*` and `\d+ timeshard_parts` show in psql, and from `pg_settings`. How to use them: [the manual](README.md). Every
error: [limits](limits.md#errors).

- [Functions](#functions)
- [Types](#types)
- [Tables and views](#tables-and-views)
- [Settings](#settings)

A strict function returns null if an argument is null. An immutable one may be used in an index or a generated column.
MARKDOWN
my $about_settings = <<'MARKDOWN';
A setting of the context `sighup` belongs to the server's configuration: no session can set it. More in
[the README](../README.md#the-settings), with the variables of the environment.
MARKDOWN

# The rows of a query, whatever is in the values.
sub rows
{
    my ($node, $sql) = @_;
    my $answer = $node->safe_psql('postgres', $sql, extra_params => [ '-F', "\x1f", '-R', "\x1e" ]);
    utf8::decode($answer);
    return map { [ split /\x1f/, $_, -1 ] } split /\x1e/, $answer;
}

# A comment as a sentence.
sub sentence
{
    my ($comment) = @_;
    return ($comment =~ /^[a-z]+\b(?!\()/ ? ucfirst $comment : $comment) . '.';
}

# The names of functions, settings, columns and arguments become code.
sub prose
{
    my ($text) = @_;
    $text =~ s/\b(timeshard\.\w+|[a-z]+(?:_[a-z]+)+(?:\([^()]*\))?)/`$1`/g;
    $text =~ s/\|/\\|/g;
    return $text;
}

# Broken into lines, but not within code.
sub wrapped
{
    my ($text, $indent) = @_;
    my @lines = ('');
    for my $word ($text =~ /((?:`[^`]*`|[^\s`])+)/g)
    {
        if ($lines[-1] eq '') { $lines[-1] = $word }
        elsif (length("$lines[-1] $word") <= $width) { $lines[-1] .= " $word" }
        else { push @lines, ($indent // '') . $word }
    }
    return join "\n", @lines;
}

sub table
{
    my ($heading, @rows) = @_;
    return join '', map { ('| ' . join(' | ', @$_) . " |\n") =~ s{  +}{ }gr } $heading, [ map { '---' } @$heading ], @rows;
}

my $functions = <<'SQL';
SELECT p.proname, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid), obj_description(p.oid, 'pg_proc'),
    CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END,
    p.proisstrict, CASE p.proparallel WHEN 's' THEN 'parallel safe' WHEN 'r' THEN 'parallel restricted' ELSE 'parallel unsafe' END,
    has_function_privilege('public', p.oid, 'EXECUTE'), 'internal'::regtype = ANY (p.proargtypes),
    p.proname ~ '^timeshard_(registry_(?!free$|restored$)|hmac$)|_as_owner$',
    (SELECT string_agg(format('%s %s', a.name, format_type(a.type, NULL)), ',' ORDER BY a.n)
     FROM unnest(p.proargnames, p.proallargtypes, p.proargmodes) WITH ORDINALITY AS a(name, type, mode, n) WHERE a.mode = 'o'),
    pg_get_function_identity_arguments(p.oid)
FROM pg_proc AS p
JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid AND e.extname = 'timeshard'
ORDER BY p.proname COLLATE "C", p.pronargs, pg_get_function_arguments(p.oid) COLLATE "C"
SQL

sub functions
{
    my ($node) = @_;
    my ($page, $internal, $behind, $last) = ('', '', '', '');
    for my $row (rows($node, $functions))
    {
        my ($name, $arguments, $result, $comment, $volatility, $strict, $parallel, $public, $for_planner, $for_registry, $columns) = @$row;
        if ($for_planner eq 't')
        {
            $internal .= wrapped("- `$name($arguments)`: " . prose($comment), '  ') . "\n";
            next;
        }
        if ($for_registry eq 't')
        {
            $behind .= wrapped("- `$name`: " . prose($comment), '  ') . "\n";
            next;
        }
        $arguments = join ', ', map { s/^IN //r } grep { !/^OUT / } split /, /, $arguments;
        $result = $result =~ /^SETOF/ ? 'rows' : 'one row' if $columns;
        $page .= "### $name\n\n" if $name ne $last;
        $last = $name;
        # A procedure has no result.
        $page .= $result eq '' ? "`CALL $name($arguments)`\n\n" : "`$name($arguments)` → `$result`\n\n" =~ s/`(one row|rows)`/$1/r;
        $page .= wrapped(prose(sentence($comment))) . "\n\n";
        $page .= ucfirst(join ', ', $volatility, $strict eq 't' ? 'strict' : (), $parallel);
        $page .= $public eq 't' ? ".\n\n" : ". Superuser only, unless granted.\n\n";
        $page .= table([ 'column', 'type' ], map { [ map { "`$_`" } /^(\S+) (.*)$/ ] } split /,/, $columns) . "\n" if $columns;
    }
    return $page . "For the planner only:\n\n$internal\nBehind the registry's functions:\n\n$behind\n";
}

my $types = <<'SQL';
SELECT t.typname, obj_description(t.oid, 'pg_type'), a.attname, format_type(a.atttypid, a.atttypmod), col_description(a.attrelid, a.attnum)
FROM pg_type AS t
JOIN pg_depend AS d ON d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'
JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid AND e.extname = 'timeshard'
JOIN pg_class AS c ON c.oid = t.typrelid AND c.relkind = 'c' -- in 19 the row types of tables are members, too
JOIN pg_attribute AS a ON a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY t.typname COLLATE "C", a.attnum
SQL

my $relations = <<'SQL';
SELECT c.relname, obj_description(c.oid, 'pg_class'), a.attname, format_type(a.atttypid, a.atttypmod), coalesce(col_description(a.attrelid, a.attnum), '')
FROM pg_class AS c
JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid AND e.extname = 'timeshard'
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'v')
ORDER BY c.relname COLLATE "C", a.attnum
SQL

# The types or relations that a query gives, with their attributes or columns.
sub with_columns
{
    my ($node, $query, $column) = @_;
    my (%rows, %comment);
    for (rows($node, $query))
    {
        my ($type, $comment, @attribute) = @$_;
        $comment{$type} = $comment;
        push @{ $rows{$type} }, [ "`$attribute[0]`", "`$attribute[1]`", prose($attribute[2]) ];
    }
    return join "\n", map {
        "### $_\n\n" . wrapped(prose(sentence($comment{$_}))) . "\n\n" . table([ $column, 'type', 'meaning' ], @{ $rows{$_} })
    } sort keys %rows;
}

# The range of a setting that is a text to the server: what the server says of a
# value that none of them takes.
sub range_of_text
{
    my ($node, $name) = @_;
    my (undef, undef, $error) = $node->psql('postgres', "LOAD 'timeshard'; ALTER SYSTEM SET $name = 'password='");
    die "$name takes anything" if $error eq '';
    my ($low, $high) = $error =~ /between (-?\d+) and (\d+)/ or return 'text';
    return "$low to $high" . ($error =~ /The word "(\w+)"/ ? ", or `$1`" : '');
}

sub settings
{
    my ($node) = @_;
    my @rows;
    for (rows($node, <<'SQL'))
LOAD 'timeshard';
SELECT name, boot_val, coalesce(unit, ''), coalesce(min_val, ''), coalesce(max_val, ''), context, short_desc, coalesce(extra_desc, '')
FROM pg_settings WHERE name LIKE 'timeshard.%' ORDER BY name COLLATE "C"
SQL
    {
        my ($name, $default, $unit, $low, $high, $context, $short, $extra) = @$_;
        my $range = $low ne '' ? "$low to $high" : $name =~ /_file$/ ? 'a path' : range_of_text($node, $name);
        push @rows, [ "`$name`", $default eq '' ? "`''`" : "`$default$unit`", join(' ', $range, $unit || ()), "`$context`", prose($extra eq '' ? $short : "$short $extra") ];
    }
    return table([ 'setting', 'default', 'range', 'context', 'meaning' ], @rows);
}

# The page, as the server $node tells it, which has the extension in its database
# postgres.
sub reference_page
{
    my ($node) = @_;
    return join "\n", $introduction, "## Functions\n", functions($node) . "## Types\n", with_columns($node, $types, 'attribute'),
      "## Tables and views\n", with_columns($node, $relations, 'column'), "## Settings\n", $about_settings, settings($node);
}

1;
