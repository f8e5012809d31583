# What the server tells of itself: every object has a comment, every setting is
# described, and the hint of every error names a section of the manual that exists.

use strict;
use warnings FATAL => 'all';
use utf8;

use File::Spec;
use FindBin;
use lib "$FindBin::RealBin/../lib";

use Manual qw(read_text anchors_of broken_links);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SourceErrors qw(errors_of sections_in message_pattern);
use Test::More;
use Timeshard;

my $root = File::Spec->rel2abs("$FindBin::RealBin/../..");
my $node = new_cluster('help');

sub rows
{
    my ($sql) = @_;
    my $answer = $node->safe_psql('postgres', $sql, extra_params => [ '-F', "\x1f", '-R', "\x1e" ]);
    utf8::decode($answer);
    return map { [ split /\x1f/, $_, -1 ] } split /\x1e/, $answer;
}

sub no_complaints
{
    my ($name, @complaints) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is(join("\n", @complaints), '', $name);
}

# All that can have a comment, with what a function takes.
my $commented = <<'SQL';
WITH member AS (
    SELECT d.classid, d.objid FROM pg_depend AS d
    JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid AND e.extname = 'timeshard'
    WHERE d.deptype = 'e'
    -- From 17 on these are members too, but nobody looks at them: arrays of types, and row types of tables and views.
    AND NOT EXISTS (SELECT FROM pg_type AS t LEFT JOIN pg_class AS c ON c.oid = t.typrelid
        WHERE d.classid = 'pg_type'::regclass AND (t.typarray = d.objid OR t.oid = d.objid AND c.relkind <> 'c'))
)
SELECT pg_describe_object(classid, objid, 0), obj_description(objid, classid::regclass::name),
    coalesce(CASE WHEN classid = 'pg_proc'::regclass THEN pg_get_function_identity_arguments(objid) END, ''),
    coalesce((SELECT proisstrict FROM pg_proc WHERE oid = objid AND classid = 'pg_proc'::regclass), false)
FROM member
UNION ALL
SELECT concat('column ', a.attname, ' of ', t.typname), col_description(a.attrelid, a.attnum), '', false
FROM member AS m JOIN pg_type AS t ON m.classid = 'pg_type'::regclass AND t.oid = m.objid
JOIN pg_attribute AS a ON a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'extension', obj_description(oid, 'pg_extension'), '', false FROM pg_extension WHERE extname = 'timeshard'
SQL
my %exists = map { $_->[0] => 1 } rows(q{LOAD 'timeshard'; SELECT name FROM pg_settings WHERE name LIKE 'timeshard.%'
    UNION SELECT proname || '(' FROM pg_proc});

# What a comment says of an argument of this name, where a function takes one:
# its range or its unit.
my %promise = (
    at_position => qr/\(0 to 19\)/,
    node_id_bits => qr/\(1 to 16\)/,
    custom_epoch => qr/\bms since 1970\b/,
    count => qr/\b0 or more\b/,
    id => qr/\b0 or more\b|\ban error for\b/,
);

# What is wrong with a comment: it must say what holds of the arguments, and what it
# names must exist.
sub complaints_of
{
    my ($comment, $arguments, $strict) = @_;
    return 'none' if ($comment // '') eq '';
    my @complaints = map { "names $_, which does not exist" } grep { !$exists{$_} } $comment =~ /\b(timeshard_\w+\(|timeshard\.\w+)/g;
    my %takes = map { /^(?:IN )?(\w+) / ? ($1 => 1) : () } grep { !/^OUT / } split /, /, $arguments;
    push @complaints, map { "does not say what $_ is" } grep { $takes{$_} && $strict eq 't' && $comment !~ $promise{$_} } sort keys %promise;
    return @complaints;
}

my @commented = rows($commented);
cmp_ok(scalar @commented, '>', 20, 'there are objects');
no_complaints('comments',
    map { my $row = $_; map { "$row->[0]: $_: " . ($row->[1] // '') } complaints_of(@$row[ 1 .. 3 ]) } @commented);

my @settings = rows(q{LOAD 'timeshard'; SELECT name, short_desc FROM pg_settings WHERE name LIKE 'timeshard.%'});
cmp_ok(scalar @settings, '>=', 4, 'there are settings');
isnt($_->[1], '', "$_->[0] is described") for @settings;

# Errors. The sections are those of the whole manual, as links from doc/.
my %anchor;
for my $page (glob("$root/doc/*.md"), "$root/README.md")
{
    my ($name) = $page =~ m{([^/]+)$};
    $name = "../$name" if $page eq "$root/README.md";
    $anchor{"$name#$_"} = 1 for keys %{ anchors_of(read_text($page)) };
}
my ($table) = read_text("$root/doc/limits.md") =~ /^\| message \|.*\n\|[- |]+\n((?:\|.*\n)+)/m;
my @table = map { [ map { s/^\s+|\s+$//gr } (split /(?<!\\)\|/, $_, -1)[ 1 .. 4 ] ] } split /\n/, $table;
$_->[0] =~ s/^`|`$//g for @table;

# The complaints about an error: its hint must lead to a section that exists, and
# so must the manual's table, to the same one.
sub error_complaints
{
    my ($error) = @_;
    my @complaints;
    my %named = map { $_ => 1 } map { sections_in($_) } @{ $error->{hints} }, @{ $error->{details} };
    push @complaints, map { "names the section $_, which is not there" } grep { !$anchor{$_} } sort keys %named;
    push @complaints, map { "names a page without its section: $_" } grep { !sections_in($_) && /\b\w+\.md\b/ }
      @{ $error->{hints} }, @{ $error->{details} };
    for my $message (@{ $error->{messages} })
    {
        my $pattern = message_pattern($message);
        my @told = grep { $_->[0] =~ /^$pattern$/ } @table;
        push @complaints, "is not in the manual's table: $message" unless @told;
        for my $row (@told)
        {
            my ($state) = $row->[1] =~ /(\w{5}|of the cause)$/;
            push @complaints, "has SQLSTATE $error->{sqlstate}, and the manual says $row->[1]: $message"
              unless ($state // '') eq $error->{sqlstate} || ($row->[1] eq 'a warning' && $error->{sqlstate} eq '01000');
            my %linked = map { $_ => 1 } $row->[3] =~ /\]\(([^)]+)\)/g;
            push @complaints, map { "its hint does not name $_, to which the manual's table links: $message" }
              grep { !$named{$_} } sort keys %linked;
            push @complaints, map { "its hint names $_, to which the manual's table does not link: $message" }
              grep { !$linked{$_} } sort keys %named;
        }
    }
    return @complaints;
}

my @errors = errors_of($root);
cmp_ok(scalar @errors, '>', 25, 'errors are in the sources');
cmp_ok(scalar(grep { map { sections_in($_) } @{ $_->{hints} } } @errors), '>=', 8, 'hints name sections');
no_complaints('errors and their hints', map { error_complaints($_) } @errors);

# A hint names a page by where `make install` has put it, from which its links go on.
my (undef, undef, $warning) = $node->psql('postgres', "CREATE EXTENSION IF NOT EXISTS timeshard;
    BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT timeshard_horizon(); COMMIT");
my ($named) = $warning =~ /HINT:  .* in (\S+\.md)\./;
chomp(my $documents = `pg_config --docdir`);
is($named, "$documents/timeshard/doc/event-streams.md", 'a hint names the installed page');
ok(-e $_, "$_ is installed") for "$documents/timeshard/README.md", $named;
no_complaints("$_, as installed", broken_links($_)) for glob "$documents/timeshard/*.md $documents/timeshard/doc/*.md";
is(join(' ', grep { !-e "$documents/timeshard/doc/$_" } map { m{([^/]+)$} } glob "$root/doc/*.md"), '', 'every page is installed');

$node->stop;
done_testing();
