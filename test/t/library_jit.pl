# Queries that the server compiles: generated IDs keep what they promise, and every
# function gives the answers that it gives without the compiler.
#
# The server hands LLVM the bitcode of our functions to merge into the query. Whether
# it is merged is LLVM's to say: for many processors PostgreSQL's stub in between is
# marked in a way that forbids it, and the call stays one of the library. So the
# bitcode is also made a library of its own, and asked the same.
use strict;
use warnings FATAL => 'all';

use File::Spec;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

my $compiled = settings('jit = on', 'jit_above_cost = 0', 'jit_inline_above_cost = 0',
    'jit_optimize_above_cost = 0', 'max_parallel_workers_per_gather = 0');
my $parallel = $compiled . settings('max_parallel_workers_per_gather = 2', 'parallel_setup_cost = 0',
    'parallel_tuple_cost = 0', 'min_parallel_table_scan_size = 0');

# What is the same for the same arguments.
my @answers = (
    'timeshard_format(id, $$ORD_$$)', 'timeshard_format(id, $$-TAX-$$, 4)', 'timeshard_encode(id)',
    'timeshard_decode(timeshard_encode(id))', 'timeshard_time(id)', 'timeshard_time(id, 0)',
    'timeshard_lower_bound(timeshard_time(id))', 'timeshard_lower_bound(timeshard_time(id, 0), 0)',
    'timeshard_parse(id)', 'timeshard_parse(id, 5, 1288834974657)',
    'timeshard_parse($$INV-7-$$ || lpad(id::text, 19, $$0$$), $$INV-7-$$)',
    'timeshard_parse(timeshard_format(id, $$ORD_$$), $$ORD_$$)',
    'timeshard_between(id, $$2026-01-01$$, $$2040-01-01$$)',
);

sub settings
{
    return join '', map { "SET $_;\n" } @_;
}

# How a statement ran: EXPLAIN leaves the part on JIT out where it leaves out costs.
sub explained
{
    my ($node, $settings, $statement) = @_;
    return $node->safe_psql('postgres', "$settings EXPLAIN (ANALYZE, TIMING OFF) $statement");
}

sub was_compiled
{
    my ($plan, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return like($plan, qr/^JIT:.*Inlining true, Optimization true/ms, "$name: compiled, with inlining") || diag($plan);
}

# The server writes what it compiles into its data directory, with what it found to
# merge. Without bitcode a function's name alone is there; with it the names of our
# own functions that it calls in turn come along.
sub offered_symbols
{
    my ($node, $statement) = @_;
    my $is_dump = qr{/\d+\.\d+(?:\.optimized)?\.bc$};
    unlink grep { /$is_dump/ } glob($node->data_dir . '/*.bc');
    my $plan = explained($node, "$compiled SET jit_dump_bitcode = on;", $statement);
    was_compiled($plan, 'a dumped query');
    my @dumps = grep { /$is_dump/ } glob($node->data_dir . '/*.bc');
    ok(scalar @dumps, 'the server has dumped what it compiled');
    return map { slurp_file($_) =~ /(_ZN9timeshard\w+)/g } @dumps;
}

# Makes a shared library of the installed bitcode, by the compiler that made it; it
# was made for a program, where a name can be said to be close by.
sub library_of_bitcode
{
    my ($node) = @_;
    my $folder = $node->config_data('--pkglibdir');
    my $settings = slurp_file("$folder/pgxs/src/Makefile.global");
    my ($clang) = $settings =~ /^CLANG\s*=\s*(\S+)/m;
    my ($llvm) = $settings =~ /^LLVM_BINPATH\s*=\s*(\S+)/m;
    return unless $clang && $llvm && -x $clang && -x "$llvm/llvm-dis";

    my @texts;
    for my $module (glob("$folder/bitcode/timeshard/src/*/*.bc"))
    {
        my $text = $node->basedir . '/' . @texts . '.ll';
        system_or_bail("$llvm/llvm-dis", '-o', $text, $module);
        my $code = slurp_file($text) =~ s/\bdso_local //gr;
        unlink $text;
        append_to_file($text, $code);
        push @texts, $text;
    }
    my $library = File::Spec->rel2abs($node->basedir . '/timeshard_bitcode.so');
    system_or_bail($clang, '-w', '-O2', '-fPIC', '-shared', '-Wl,-Bsymbolic', '-o', $library, @texts);
    return $library;
}

# The extension's objects in a database of their own, on another library. Without what
# only CREATE EXTENSION can do for the registry's tables.
sub create_on_library
{
    my ($node, $database, $library) = @_;
    my $version = $node->safe_psql('postgres', "SELECT extversion FROM pg_extension WHERE extname = 'timeshard'");
    my $script = slurp_file($node->config_data('--sharedir') . "/extension/timeshard--$version.sql");
    $script =~ s/^\\echo .*//m;
    $script =~ s/MODULE_PATHNAME/$library/g;
    $script =~ s/^DO \$body\$\nDECLARE\n    owner text.*?^\$body\$;\n//ms;
    $script =~ s/^SELECT pg_catalog\.pg_extension_config_dump.*\n//mg;
    $node->safe_psql('postgres', "CREATE DATABASE $database");
    $node->safe_psql($database, $script);
    return;
}

my $node = new_cluster('jit', conf => <<'CONF', create => 0);
timeshard.node_id = 298
max_parallel_workers = 4
autovacuum = off
CONF

# The provider is a library of its own, in some systems a package of its own.
if ($node->safe_psql('postgres', 'SET jit = on; SELECT pg_jit_available()') ne 't')
{
    BAIL_OUT('the server has no JIT provider') if $ENV{TIMESHARD_NEEDS_JIT};
    $node->stop;
    plan skip_all => 'the server has no JIT provider installed';
}

my $index = $node->config_data('--pkglibdir') . '/bitcode/timeshard.index.bc';
ok(-s $index, 'the bitcode is installed beside the library') or diag("$index is not there");

$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION timeshard;
CREATE TABLE numbers AS SELECT n FROM generate_series(1, 100000) AS n;
ALTER TABLE numbers SET (parallel_workers = 2);
ANALYZE numbers;
CREATE FUNCTION own_next_id() RETURNS bigint LANGUAGE C PARALLEL SAFE AS '$libdir/timeshard', 'timeshard_next_id';
CREATE FUNCTION ms(at timestamptz) RETURNS bigint IMMUTABLE LANGUAGE sql
    RETURN floor(extract(epoch FROM at) * 1000)::bigint;
SQL

# Each from a session that has not loaded the library before.
my @symbols = offered_symbols($node, 'SELECT timeshard_next_id() FROM numbers');
ok(scalar @symbols, 'the bitcode of timeshard_next_id is there to be merged');

# An ID per row of one scan: rising in its order, with this server's node ID, and
# of the time between the statement's start and end. By arithmetic, not by our
# own functions.
$node->safe_psql('postgres', 'CREATE TABLE span (since timestamptz, until timestamptz)');
$node->safe_psql('postgres', 'INSERT INTO span (since) VALUES (clock_timestamp())');
was_compiled(
    explained($node, $compiled,
        'CREATE TABLE made AS SELECT row_number() OVER () AS place, id FROM (SELECT timeshard_next_id() AS id FROM numbers OFFSET 0) AS s'),
    'IDs of one session');
$node->safe_psql('postgres', 'UPDATE span SET until = clock_timestamp()');
is( $node->safe_psql('postgres',
        'SELECT count(*), count(DISTINCT id), min(id >> 12 & 1023), max(id >> 12 & 1023) FROM made'),
    '100000|100000|298|298', 'compiled: every ID is there once, with the node ID');
is( $node->safe_psql('postgres',
        'SELECT count(*) FROM (SELECT id <= lag(id) OVER (ORDER BY place) AS falls FROM made) AS s WHERE falls'),
    0, 'compiled: IDs rise');
is( $node->safe_psql('postgres',
        'SELECT count(*) FROM made, span WHERE (id >> 22) + 1702385533000 NOT BETWEEN ms(since) AND ms(until)'),
    0, "compiled: each ID's millisecond is of its statement");

# Compiled and not, in turns and side by side, in workers too: one generator.
my $plan = explained($node, $parallel, 'CREATE TABLE by_workers AS SELECT own_next_id() AS id FROM numbers');
was_compiled($plan, 'IDs of parallel workers');
like($plan, qr/Workers Planned: [12]/, 'compiled: IDs are made by parallel workers');
$node->safe_psql('postgres', 'SET jit = off; CREATE TABLE plain AS SELECT timeshard_next_id() AS id FROM numbers');
is( $node->safe_psql('postgres', <<'SQL'), '300000|300000|t', 'compiled or not, no ID is made twice');
SELECT count(*), count(DISTINCT id),
       (SELECT max(id) FROM made) < (SELECT min(id) FROM by_workers)
           AND (SELECT max(id) FROM by_workers) < (SELECT min(id) FROM plain)
FROM (SELECT id FROM made UNION ALL SELECT id FROM by_workers UNION ALL SELECT id FROM plain) AS s
SQL

# The same table of answers, with the compiler and without. IDs are from all over
# the range: a cheap mixture of bits, which repeats.
my $values = join ', ', map { "($answers[$_])::text AS answer_$_" } 0 .. $#answers;
my $ids = <<'SQL';
CREATE TABLE ids AS
    SELECT (n * 2862933555777941757::numeric % 9223372036854775807)::bigint AS id FROM generate_series(1, 20000) AS n;
ANALYZE ids;
SQL
$node->safe_psql('postgres', "$ids SET jit = off; CREATE TABLE expected AS SELECT id, $values FROM ids");
was_compiled(explained($node, $compiled, "CREATE TABLE answers AS SELECT id, $values FROM ids"), 'answers');
@symbols = offered_symbols($node, "SELECT $values FROM ids LIMIT 1");
ok(scalar @symbols, 'the bitcode of functions that read IDs is there to be merged');
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT id) > 19000 FROM expected'),
    '20000|t', 'the IDs are many');
for my $i (0 .. $#answers)
{
    is( $node->safe_psql('postgres',
            "SELECT count(*) FROM expected AS e JOIN answers AS a USING (id) WHERE e.answer_$i IS DISTINCT FROM a.answer_$i"),
        0, "compiled, the same answers: $answers[$i]");
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM answers'), 20000, 'compiled: every answer is there');

SKIP:
{
    my $library = library_of_bitcode($node);
    skip 'the compiler that made the bitcode is not there to make a library of it', 4 unless $library;
    create_on_library($node, 'bitcode', $library);
    $node->safe_psql('bitcode', "$ids CREATE TABLE expected AS SELECT id, $values FROM ids");

    # A sum of each column, because the tables are in two databases.
    my $sums = 'SELECT ' . join(', ', map { "md5(string_agg(answer_$_, ' ' ORDER BY id))" } 0 .. $#answers) . ' FROM expected';
    my @sums = map { [ split /\|/, $node->safe_psql($_, $sums) ] } qw(postgres bitcode);
    is(join(', ', map { $sums[0][$_] eq $sums[1][$_] ? () : $answers[$_] } 0 .. $#answers),
        '', 'the bitcode gives the same answers');

    my $last = $node->safe_psql('postgres', 'SELECT timeshard_next_id()');
    is( $node->safe_psql('bitcode', <<"SQL"), '100000|298|298|t', "the bitcode's IDs are above the library's");
SELECT count(DISTINCT id), min(id >> 12 & 1023), max(id >> 12 & 1023), min(id) > $last
FROM (SELECT timeshard_next_id() AS id FROM generate_series(1, 100000) OFFSET 0) AS s
SQL
    fails_with($node, 'SELECT timeshard_encode(-1)', qr/ERROR: +22023: .*negative/, "the bitcode's error", dbname => 'bitcode');
}

# Errors leave compiled code by a jump, and the session goes on.
for my $case (
    [ 'timeshard_encode(-n)', qr/ERROR: +22023: .*negative/ ],
    [ 'timeshard_decode($$U$$ || n)', qr/ERROR: +22P02:/ ],
    [ 'timeshard_format(n, $$x$$, 20)', qr/ERROR: +22023:/ ])
{
    my ($call, $error) = @$case;
    fails_with($node, "$compiled SELECT $call FROM numbers;", $error, "compiled, an error: $call");
}

# A layout in which most calls wait for the next millisecond: the wait is left at
# a cancel, and the session makes IDs afterwards.
$node->append_conf('postgresql.conf', "timeshard.node_id_bits = 16");
restart_with_env($node);
my ($rc, $out, $err) = $node->psql('postgres', <<"SQL", on_error_stop => 0);
$compiled
\\set VERBOSITY verbose
SET statement_timeout = '500ms';
SELECT count(timeshard_next_id()) FROM numbers;
RESET statement_timeout;
SELECT count(DISTINCT id) FROM (SELECT timeshard_next_id() AS id FROM numbers WHERE n <= 1000) AS s;
SQL
like($err, qr/57014/, 'compiled: a wait is cancelled');
is($out, '1000', 'compiled: and the session makes IDs afterwards');

$node->stop;
done_testing();
