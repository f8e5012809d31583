# Public codes: the manual's vectors hold in SQL, in Python and in Bouncy Castle; every
# ID comes back; an index serves a lookup by code; databases of all encodings, parallel
# workers and a standby agree.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use Manual qw(blocks_of read_text);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SealKeys;
use Test::More;
use Timeshard;

my $doc = "$FindBin::RealBin/../../doc";
my @vectors = vectors("$doc/public_codes.tsv");
my $node = seal_cluster('codes', [ 0, 1, 2, 3 ], init => [ allows_streaming => 1, extra => [ '--locale=C.UTF-8', '--encoding=UTF8' ] ]);

sub in_utf8 { my ($text) = @_; utf8::encode($text); return $text }

# Each key in turn is the first, which seals. All open.
cmp_ok(scalar @vectors, '>=', 20, 'vectors');
is("$_->[0] $_->[1]\n", key_line($_->[0]), "the key of $_->[4] is that of the tests") for @vectors;
my $values = '(VALUES ' . (join ', ', map { "($_->[0], '$_->[2]', $_->[3], '$_->[4]')" } @vectors) . ') AS vectors (number, purpose, id, code)';
for my $first (0 .. 3)
{
    write_key_file($node->{key_file}, join '', map { key_line($_) } $first, grep { $_ != $first } 0 .. 3);
    reload_and_wait($node);
    is($node->safe_psql('postgres', "SELECT code FROM $values WHERE timeshard_open(code, purpose) <> id"), '', "all open, key $first first");
    is($node->safe_psql('postgres', "SELECT code FROM $values WHERE number = $first AND timeshard_seal(id, purpose) <> code"), '', "key $first seals");
}

subtest 'typed keys' => sub {
    $node->safe_psql('postgres', q(SELECT timeshard_create_type('order_id', 'ORD_'), timeshard_create_type('bill_id', 'BIL_'); CREATE ROLE plain));
    my $id = 390236751975849984;
    my $code = $node->safe_psql('postgres', "SELECT order_id_seal($id\::order_id)");
    is($code, 'ORD_' . $node->safe_psql('postgres', "SELECT timeshard_seal($id, 'ORD_')"), 'the prefix, and the code for it as the purpose');
    is($node->safe_psql('postgres', "SELECT order_id_open('$code')"), "ORD_0$id", 'gives the key back');
    is($node->safe_psql('postgres', "SELECT order_id_open('" . substr($code, 0, 4) . lc(substr $code, 4) . "')"), "ORD_0$id", 'in lower case too');
    fails_with($node, "SELECT bill_id_open('$code')", qr/22P02: invalid public code: "$code"\nDETAIL:  A code of this type starts with "BIL_"/, 'another type\'s prefix');
    fails_with($node, "SELECT order_id_open('$code' || '0')", qr/22P02: invalid public code: "${code}0"\nDETAIL:  A code has 13 characters/, 'too long');
    is($node->safe_psql('postgres', 'SELECT order_id_open(NULL) IS NULL, order_id_seal(NULL) IS NULL'), 't|t', 'null is null');
    for my $call ("order_id_seal('ORD_0$id')", "order_id_open('$code')")
    {
        fails_with($node, "SET ROLE plain; SELECT $call", qr/42501: permission denied for function order_id_/, "not for everybody: $call");
    }
    $node->safe_psql('postgres', q(SELECT timeshard_drop_type('order_id'), timeshard_drop_type('bill_id'); DROP ROLE plain));
    is($node->safe_psql('postgres', q(SELECT count(*) FROM pg_proc WHERE proname ~ '^(order|bill)_id')), 0, 'dropped with the type');
};

subtest 'other languages agree' => sub {
    my ($out, $err) = ('', '');
    my @python = ('/usr/bin/python3', '-B');
    my $all = 'import sys; from public_codes import *
for line in list(open(sys.argv[1], encoding="utf-8"))[1:]:
    number, key, purpose, id, code = line.rstrip("\n").split("\t")
    number, key, id = int(number), bytes.fromhex(key), int(id)
    assert seal(number, key, purpose, id) == code, line
    assert open_code({number: key}, purpose, code.lower()) == id, line';
    {
        local $ENV{PYTHONPATH} = $doc;
        ok(IPC::Run::run([ @python, '-c', $all, "$doc/public_codes.tsv" ], '>&', \$out), 'Python') or diag($out);
    }
    my (undef, undef, $purpose, $id, $code) = map { @$_ } (grep { $_->[0] == 3 } @vectors)[0];
    for my $case ([ seal => $id, $code ], [ open => lc $code, $id ])
    {
        my ($action, $value, $result) = @$case;
        IPC::Run::run([ @python, "$doc/public_codes.py", $node->{key_file}, $action, $purpose, $value ], '>&', \$out);
        is($out, "$result\n", "Python: $action $value");
    }
    my ($jar) = glob '/usr/share/java/bcprov.jar';
    SKIP: {
        skip 'Bouncy Castle is not installed (Debian: libbcprov-java)', 1 unless $jar;
        IPC::Run::run([ 'java', '-cp', $jar, "$FindBin::RealBin/../probes/PublicCodes.java", "$doc/public_codes.tsv" ], '>', \$out, '2>', \$err);
        is("$out$err", scalar @vectors . " agree\n", 'Bouncy Castle');
    }
};

subtest 'the page sets a server up, and shows vectors of the file' => sub {
    my $page = read_text("$doc/public-codes.md");
    my ($setup) = map { $_->{text} } grep { $_->{lang} eq 'sh' && $_->{info} eq 'setup' } blocks_of($page);
    my $folder = PostgreSQL::Test::Utils::tempdir;
    # Not as root: the file already belongs to who runs the server.
    is(system('sh', '-ec', "sudo() { \"\$@\"; }; chown() { test \"\$1\" = postgres; }\n" . $setup =~ s{/etc/postgresql}{$folder}gr), 0, 'the commands run');
    my $made = "$folder/timeshard.keys";
    is(sprintf('%04o', (stat $made)[2] & 07777), '0600', 'the mode of the file');
    my $one = new_cluster('set_up', conf => "timeshard.node_id = 3\ntimeshard.seal_key_file = '$made'\n");
    is($one->safe_psql('postgres', "SELECT timeshard_open(timeshard_seal(4711, 'video'), 'video')"), 4711, 'the server takes it');
    $one->stop;

    my %known = map { join('|', @$_) => 1 } @vectors;
    my @shown = map { [ map { s/^`|`$//gr } @$_ ] } map { [ split / *\| */, in_utf8($_) ] } $page =~ /^\| ([0-3] \| `[0-9a-f]{64}` .*) \|$/mg;
    cmp_ok(scalar @shown, '>=', 5, 'vectors on the page');
    ok($known{ join '|', @$_ }, "$_->[4] is in the file") for @shown;
};

is($node->safe_psql('postgres', <<'SQL'), '200000|t|200000|200000', 'IDs come back, no two share a code, upper or lower case');
SELECT count(*), count(DISTINCT code) = count(DISTINCT id), count(*) FILTER (WHERE timeshard_open(code, 'video') = id),
    count(*) FILTER (WHERE timeshard_open(lower(code), 'video') = id)
FROM (SELECT id, timeshard_seal(id, 'video') AS code
    FROM (SELECT (random() * 9223372036854774784)::bigint >> (n % 63) | n FROM generate_series(1, 199998) AS n
        UNION ALL VALUES (0), (9223372036854775807)) AS ids (id)) AS s
SQL

# I and L are 1, and O is 0, as in all codes.
my ($digits) = grep { /0/ && /1/ } map { $_->[4] } @vectors;
(my $letters = $digits) =~ tr/01/OI/;
is($node->safe_psql('postgres', "SELECT timeshard_open('$letters') = timeshard_open('$digits'), timeshard_open(translate('$letters', 'I', 'l')) = timeshard_open('$digits')"),
    't|t', 'letters that look like digits');

subtest 'a lookup by code uses the primary key' => sub {
    $node->safe_psql('postgres', q{CREATE TABLE videos (id bigint PRIMARY KEY, title text);
        INSERT INTO videos SELECT n, 'title ' || n FROM generate_series(1, 10000) AS n; ANALYZE videos});
    my $code = $node->safe_psql('postgres', "SELECT timeshard_seal(4711, 'video')");
    my $lookup = "PREPARE lookup (text) AS SELECT title FROM videos WHERE id = timeshard_open(\$1, 'video');";
    for my $mode ('force_custom_plan', 'force_generic_plan')
    {
        my $plan = $node->safe_psql('postgres', "SET plan_cache_mode = $mode; $lookup EXPLAIN EXECUTE lookup('$code')");
        like($plan, qr/Index Scan using videos_pkey/, $mode);
        is($node->safe_psql('postgres', "SET plan_cache_mode = $mode; $lookup EXECUTE lookup('$code')"), 'title 4711', "$mode: the row");
    }
    is($node->safe_psql('postgres', "$lookup EXECUTE lookup(timeshard_seal(4711, 'audio'))"), '', 'another purpose finds another row or none');
};

subtest 'parallel workers agree with their leader' => sub {
    my $sql = "SELECT sum(hashtextextended(timeshard_seal(id, 'video'), 0)), bool_and(timeshard_open(timeshard_seal(id, 'video'), 'video') = id) FROM videos";
    my $parallel = "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET max_parallel_workers_per_gather = 2;";
    like($node->safe_psql('postgres', "$parallel EXPLAIN $sql"), qr/Parallel Seq Scan/, 'the plan is parallel');
    is($node->safe_psql('postgres', "$parallel $sql"), $node->safe_psql('postgres', "SET max_parallel_workers_per_gather = 0; $sql"), 'same codes');
};

subtest 'a purpose counts as UTF-8 in every database' => sub {
    $node->safe_psql('postgres', "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
    $node->safe_psql('latin', 'CREATE EXTENSION timeshard');
    my $sql = in_utf8("SET client_encoding = 'UTF8'; SELECT timeshard_seal(390233979859673088, 'Gr\x{f6}\x{df}e')");
    is($node->safe_psql('latin', $sql), $node->safe_psql('postgres', $sql), 'LATIN1');
};

subtest 'a standby seals and opens' => sub {
    $node->backup('base');
    my $standby = PostgreSQL::Test::Cluster->new('codes_standby');
    $standby->init_from_backup($node, 'base', has_streaming => 1);
    $standby->start;
    is($standby->safe_psql('postgres', "SELECT timeshard_open(timeshard_seal(4711, 'video'), 'video'), pg_is_in_recovery()"), '4711|t', 'there and back');
    is($standby->safe_psql('postgres', "SELECT timeshard_seal(4711, 'video')"), $node->safe_psql('postgres', "SELECT timeshard_seal(4711, 'video')"), 'the code of the primary');
    $standby->stop;
};

$node->stop;
done_testing();
