# What the server tells of itself: every object has a comment that reads well, psql
# shows them, every setting is described, and the hint of every error leads to a
# section of the manual that is there.

use strict;
use warnings FATAL => 'all';
use utf8;

use File::Spec;
use FindBin;
use lib "$FindBin::RealBin/../lib";

use Manual qw(read_text anchors_of);
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
    -- From 17 a row type's arrays are the extension's too; nobody looks at them.
    AND NOT EXISTS (SELECT FROM pg_type AS a WHERE d.classid = 'pg_type'::regclass AND a.typarray = d.objid)
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

# What is wrong with a comment: as PostgreSQL's own, it is a phrase in plain text,
# without a capital and a full stop; it says what holds of the arguments; and what
# it names exists.
sub complaints_of
{
    my ($comment, $arguments, $strict) = @_;
    return 'none' if !defined $comment || $comment eq '';
    my @complaints;
    push @complaints, 'not in lines of plain text' if $comment =~ /[^\x20-\x7e\n]|  |^\s|\s$| \n|\n\s/;
    push @complaints, 'with a line too long for \df+' if grep { length > 160 } split /\n/, $comment;
    push @complaints, 'with a capital at its start' if $comment =~ /^(?!ID)[A-Z]/;
    push @complaints, 'with a full stop' if $comment =~ /\.$/;
    push @complaints, 'too short' if $comment !~ / /;
    push @complaints, 'too long' if length $comment > 640 || ($comment =~ tr/;//) > 7;
    push @complaints, 'with a bracket open' if ($comment =~ tr/(//) != ($comment =~ tr/)//);
    push @complaints, "names $1, which is not there"
      for grep { !$exists{$_} } $comment =~ /\b(timeshard_\w+\(|timeshard\.\w+)/g;
    my %takes = map { /^(?:IN )?(\w+) / ? ($1 => 1) : () } grep { !/^OUT / } split /, /, $arguments // '';
    push @complaints, map { "does not say what $_ is" }
      grep { $takes{$_} && ($strict // 't') eq 't' && $comment !~ $promise{$_} } sort keys %promise;
    return @complaints;
}

my @commented = rows($commented);
cmp_ok(scalar @commented, '>', 20, 'there are objects');
no_complaints('comments',
    map { my $row = $_; map { "$row->[0]: $_: " . ($row->[1] // '') } complaints_of(@$row[ 1 .. 3 ]) } @commented);

for my $case (
    [ none => '' ], [ plain => "two\n\nlines of it" ], [ line => 'an ID ' . 'made anew ' x 16 . 'so' ], [ capital => 'An ID made anew' ], [ stop => 'an ID made anew.' ],
    [ short => 'ID' ], [ long => 'an ID ' x 110 . 'x' ], [ bracket => 'an ID (made anew' ], [ 'timeshard_none\(' => 'as timeshard_none() does it' ],
    [ 'timeshard.none' => 'see timeshard.none for it' ], [ at_position => 'an ID of digits', 'at_position integer' ],
    [ 'what id is' => 'an ID of digits', 'id bigint, prefix text' ])
{
    my ($complaint, $comment, $arguments) = @$case;
    like(join('; ', complaints_of($comment, $arguments)), qr/$complaint/, "a comment that is wrong is found out: $complaint");
}
is(join('', complaints_of('an ID (0 or more), by timeshard.node_id, as timeshard_next_id()', 'id bigint')), '', 'one that is right passes');

# As psql shows them.
my %shown = map { $_ => scalar $node->safe_psql('postgres', $_, extra_params => [ '-P', 'format=unaligned' ]) }
  ('\df+ timeshard_*', '\dT+ timeshard_*', '\d+ timeshard_parts', '\dx+ timeshard', '\dx timeshard');
my %lists = (function => '\df+ timeshard_*', type => '\dT+ timeshard_*', column => '\d+ timeshard_parts', extension => '\dx timeshard');
for my $row (@commented)
{
    my ($object, $comment) = @$row;
    my ($kind) = $object =~ /^(\w+)/;
    my $command = $lists{$kind};
    ok($command && index($shown{$command}, $comment) >= 0, "psql shows the comment: $object");
    ok(index($shown{'\dx+ timeshard'}, $object) >= 0, "\\dx+ lists it: $object") unless $kind =~ /column|extension/;
}

# Settings.
my @settings = rows(q{LOAD 'timeshard'; SELECT name, short_desc, coalesce(extra_desc, ''), context, coalesce(unit, ''), vartype,
    category FROM pg_settings WHERE name LIKE 'timeshard.%'});
cmp_ok(scalar @settings, '>=', 4, 'settings are described');
for (@settings)
{
    my ($name, $short, $extra, $context, $unit, $type, $category) = @$_;
    like($short, qr/^[A-Z].{10,120}\.$/, "$name: one sentence: $short");
    like($extra, qr/^(?:[A-Z0-9].*\.)$/, "$name: and what else there is: $extra");
    is($context, 'sighup', "$name: no session sets it");
    like("$short $extra", qr/takes effect when the server starts|refuses/, "$name: says when it takes effect, or what it refuses");
    like("$short $unit", qr/milliseconds|ms$/, "$name: has its unit") if $name =~ /epoch|wait/;
}

# Errors. The sections are those of the whole manual, as links from doc/.
my %anchor;
for my $page (glob("$root/doc/*.md"), "$root/README.md")
{
    my ($name) = $page =~ m{([^/]+)$};
    $name = "../$name" if $name eq 'README.md';
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

my %right = (messages => [ 'file "…" is damaged' ], sqlstate => '55000', details => [],
    hints => [ 'Restore it. See "A damaged mark" in doc/operations.md.' ]);
is(join('', error_complaints(\%right)), '', 'an error that is right passes');
for my $case (
    [ 'which is not there', hints => [ 'See "A damage" in doc/operations.md.' ] ],
    [ 'does not name', hints => [ 'Restore it.' ] ],
    [ 'does not link', hints => [ 'See "A damaged mark" in doc/operations.md, and "Monitoring" in doc/operations.md.' ] ],
    [ 'without its section', details => [ 'More in doc/operations.md.' ] ],
    [ 'SQLSTATE', sqlstate => '22023' ],
    [ 'not in the manual', messages => [ 'file "…" is lost' ] ])
{
    my ($complaint, %wrong) = @$case;
    like(join("\n", error_complaints({ %right, %wrong })), qr/$complaint/, "an error that is wrong is found out: $complaint");
}

$node->stop;
done_testing();
