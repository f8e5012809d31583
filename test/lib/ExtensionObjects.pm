# All that the catalog knows of the extension's objects, so that two
# installations can be compared object by object.
package ExtensionObjects;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';

our @EXPORT_OK = qw(objects_of differences_between);

# One row a fact: the object, the fact's name, its value. Numbers that the
# catalog gives by chance (oids) are resolved to names or left out. The
# functions' own columns are taken as they are, so that one that a later
# PostgreSQL adds is compared too.
my $facts = <<'SQL';
WITH extension AS (
    SELECT * FROM pg_extension WHERE extname = 'timeshard'
), member AS (
    SELECT d.classid, d.objid, pg_describe_object(d.classid, d.objid, 0) AS name
    FROM pg_depend AS d JOIN extension AS e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
    WHERE d.deptype = 'e'
), fact AS (
    SELECT name, 'class' AS fact, classid::regclass::text AS value FROM member
    UNION ALL
    SELECT name, 'comment', coalesce(obj_description(objid, classid::regclass::name), 'none') FROM member
    UNION ALL
    SELECT name, 'initial rights', coalesce(i.privtype::text || ' ' || array(SELECT unnest(i.initprivs)::text ORDER BY 1)::text, 'none')
    FROM member AS m LEFT JOIN pg_init_privs AS i ON (i.classoid, i.objoid) = (m.classid, m.objid)
    UNION ALL
    SELECT m.name, 'definition', pg_get_functiondef(m.objid)
    FROM member AS m WHERE m.classid = 'pg_proc'::regclass
    UNION ALL
    SELECT m.name, c.key, c.value
    FROM member AS m JOIN pg_proc AS p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid,
        LATERAL jsonb_each_text(to_jsonb(p)) AS c
    WHERE c.key NOT IN ('oid', 'proname', 'pronamespace', 'proowner', 'prolang', 'provariadic', 'prorettype',
        'proargtypes', 'proallargtypes', 'proacl', 'prosqlbody', 'proargdefaults')
    UNION ALL
    SELECT m.name, 'rights', coalesce(array(SELECT unnest(p.proacl)::text ORDER BY 1)::text, 'those of everybody')
    FROM member AS m JOIN pg_proc AS p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid
    UNION ALL
    SELECT m.name, f.fact, f.value
    FROM member AS m JOIN pg_proc AS p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid,
        LATERAL (VALUES ('signature', concat(pg_get_function_arguments(p.oid), ' returns ', pg_get_function_result(p.oid))),
            ('language', (SELECT lanname FROM pg_language AS l WHERE l.oid = p.prolang)::text),
            ('schema', CASE WHEN p.pronamespace = (SELECT extnamespace FROM extension) THEN 'the extension''s' ELSE 'another' END),
            ('owner', p.proowner::regrole::text)) AS f(fact, value)
    UNION ALL
    SELECT m.name, f.fact, f.value
    FROM member AS m JOIN pg_type AS t ON m.classid = 'pg_type'::regclass AND t.oid = m.objid,
        LATERAL (VALUES ('kind', concat(t.typtype, t.typcategory, ' length ', t.typlen, ' aligned ', t.typalign)),
            ('rights', coalesce(array(SELECT unnest(t.typacl)::text ORDER BY 1)::text, 'those of everybody')),
            ('owner', t.typowner::regrole::text)) AS f(fact, value)
    UNION ALL
    SELECT m.name, concat('attribute ', a.attnum), concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
        CASE WHEN a.attisdropped THEN 'dropped' END, CASE WHEN a.attnotnull THEN 'not null' END, a.attcollation::regcollation,
        ':', coalesce(col_description(a.attrelid, a.attnum), 'no comment'))
    FROM member AS m JOIN pg_type AS t ON m.classid = 'pg_type'::regclass AND t.oid = m.objid
        JOIN pg_attribute AS a ON a.attrelid = t.typrelid AND a.attnum > 0
    UNION ALL
    SELECT m.name, 'needs', concat(pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid), ' (', d.deptype, ')')
    FROM member AS m JOIN pg_depend AS d ON d.classid = m.classid AND d.objid = m.objid
    UNION ALL
    SELECT 'the extension', f.fact, f.value
    FROM extension AS e,
        LATERAL (VALUES ('version', e.extversion), ('relocatable', e.extrelocatable::text), ('owner', e.extowner::regrole::text),
            ('configuration tables', coalesce((SELECT array_agg(t::regclass::text) FROM unnest(e.extconfig) AS t)::text, 'none')),
            ('conditions', coalesce(e.extcondition::text, 'none')),
            ('comment', obj_description(e.oid, 'pg_extension'))) AS f(fact, value)
)
SELECT name, fact, value FROM fact ORDER BY name COLLATE "C", fact COLLATE "C", value COLLATE "C"
SQL

# The classes of objects whose every fact is compared. A new class of objects in
# the extension (an operator, a cast, a view) needs facts of its own above.
my %known_class = map { $_ => 1 } qw(pg_proc pg_type);

# The facts of the extension in a database, by object; dies where there are none.
sub objects_of
{
    my ($node, $database) = @_;
    my %object;
    my $rows = $node->safe_psql($database, $facts, extra_params => [ '-F', "\x1f", '-R', "\x1e" ]);
    for my $row (split /\x1e/, $rows)
    {
        my ($name, $fact, $value) = split /\x1f/, $row, 3;
        die "nothing compares objects of $value, such as $name" if $fact eq 'class' && !$known_class{$value};
        push @{ $object{$name} }, "$fact: $value";
    }
    die "$database has no extension" unless $object{'the extension'};
    return \%object;
}

# What differs between two of them, as lines; none is good.
sub differences_between
{
    my ($found, $expected) = @_;
    my @lines;
    for my $name (sort keys %{ { %$found, %$expected } })
    {
        if (!$found->{$name}) { push @lines, "$name: missing"; next }
        if (!$expected->{$name}) { push @lines, "$name: too much"; next }
        my %of = map { $_ => 1 } @{ $found->{$name} };
        my %should = map { $_ => 1 } @{ $expected->{$name} };
        push @lines, map { "$name: has $_" } grep { !$should{$_} } sort keys %of;
        push @lines, map { "$name: lacks $_" } grep { !$of{$_} } sort keys %should;
    }
    return @lines;
}

1;
