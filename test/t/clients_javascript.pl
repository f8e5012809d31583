# JavaScript: node-postgres reads keys and JSON documents without losing a digit,
# in every way that the manual advises, and loses them as the manual says in the
# others. What the manual's page says of JavaScript is run.
#
# Debian: nodejs and node-pg. Another copy of pg is found by NODE_PATH.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Manual qw(read_text);
use Timeshard;

my $client = "$FindBin::RealBin/../probes/javascript_client.js";
my $page = "$FindBin::RealBin/../../doc/javascript.md";

# Where Debian has its modules; another Node.js than Debian's does not look there.
$ENV{NODE_PATH} = join ':', grep { length } $ENV{NODE_PATH} // '', '/usr/share/nodejs', '/usr/lib/node_modules', '/usr/local/lib/node_modules';

sub run_node
{
    my (@arguments) = @_;
    my ($out, $err) = ('', '');
    my $ok = eval { IPC::Run::run([ 'node', @arguments ], '<', \undef, '>', \$out, '2>', \$err) };
    chomp $out;
    return ($ok, $out, $err || $@);
}

my ($has_pg, $version, $why_not) = run_node('-p', 'require("pg/package.json").version');
if (!$has_pg)
{
    diag('No JavaScript client: install nodejs and node-pg, or set NODE_PATH to where pg is. '
          . ((grep { /Error|[Nn]ot found|Cannot/ } split /\n/, $why_not)[0] // $why_not));
    plan skip_all => 'no node-postgres';
}
note("node-postgres $version");

# What the manual's page says that an expression gives.
my @said = read_text($page) =~ /^\| `([^`]+)` \| `([^`]+)` \|$/gm;
cmp_ok(@said / 2, '>=', 6, 'the page shows expressions');
while (my ($expression, $result) = splice @said, 0, 2)
{
    my ($ok, $out, $err) = run_node('-p', $expression);
    if ($result =~ /^\w+Error/) { like($err, qr/^\Q$result\E/m, "$expression fails") }
    else { is($out, $result, $expression) }
}
# And what it says of the library is done by the client.
my $source = read_text($client);
my @calls = read_text($page) =~ /`((?:pg|client)\.[^`]+)`/g;
cmp_ok(@calls, '>=', 3, 'the page shows calls');
isnt(index($source, $_), -1, "the client has $_") for @calls;

# IDs at the edges, then those of one statement, many in a millisecond. A double
# holds the first, and the ...088; it prints ...088 and ...089 as ...100.
my @fixed = qw(9007199254740991 9007199254740993 390233979859673088 390233979859673089
  390233979859673100 9223372036854775807);
my $node = new_cluster('javascript', conf => 'timeshard.node_id = 298');
$node->safe_psql('postgres', <<"SQL");
CREATE TABLE orders (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), n integer);
CREATE TABLE made (LIKE orders INCLUDING ALL);
INSERT INTO orders (id) SELECT unnest('{@{[ join ',', @fixed ]}}'::bigint[]);
INSERT INTO orders (n) SELECT generate_series(1, 500);
CREATE VIEW orders_for_clients AS SELECT id::text AS id, id AS key, n FROM orders;
SQL

@ENV{qw(PGHOST PGPORT PGDATABASE PGUSER)} = ($node->host, $node->port, 'postgres',
    $node->safe_psql('postgres', 'SELECT current_user'));
my ($ran, $out, $err) = run_node($client);
ok($ran, 'the client runs') or diag($err);
my %came = map { my $line = decode_json($_); $line->{way} => $line } split /\n/, $out;

sub server_text
{
    my ($table, $condition) = @_;
    return [ split /\n/, $node->safe_psql('postgres',
            "SELECT t.id::text FROM $table AS t WHERE $condition ORDER BY t.id") ];
}
my $truth = server_text('orders', 'true');
is(scalar @$truth, @fixed + 500, 'rows');

# The ways in which no digit may be lost, and the type that JavaScript has then.
my %right = (
    string => [
        'a key', 'a key, sent back', 'BigInt(), sent back', 'an array', 'an array of strings, sent back',
        'an array of BigInt, sent back', 'binary', 'a code, sent back', 'json, text', 'a row, ->>',
        'a row, ||', 'a row, jsonb_set', 'a view', 'a view, a row', 'a view, json_agg',
        'json with text, sent back', 'setTypeParser, BigInt, sent back',
        'setTypeParser, BigInt, an array', 'a document of BigInt, with a replacer' ],
    bigint => [
        'a code, sorted and decoded here', 'setTypeParser, BigInt', 'setTypeParser of arrays, BigInt' ],
);
for my $type (sort keys %right)
{
    for my $way (@{ $right{$type} })
    {
        my $line = delete $came{$way} // {};
        is_deeply($line->{ids}, $truth, "$way: every digit");
        is($line->{type}, $type, "$way: a $type");
    }
}
for ([ 'RETURNING', 'n <= 100', 'string' ], [ 'setTypeParser, BigInt, RETURNING', 'n > 100', 'bigint' ])
{
    my ($way, $rows, $type) = @$_;
    my $line = delete $came{$way} // {};
    is_deeply($line->{ids}, server_text('made', $rows), "$way: every digit");
    is($line->{type}, $type, "$way: a $type");
    is(scalar @{ $line->{ids} }, 100, "$way: every row");
}

# The ways that lose: a double prints what reads back as itself, which is neither
# the ID nor, past 2^53, the double's own value.
my @printed = qw(9007199254740991 9007199254740992 390233979859673100 390233979859673100
  390233979859673100);
for my $way ('Number()', 'json, a number', 'a row', 'a view, its other column', 'setTypeParser, Number', 'parseInt8')
{
    my $line = delete $came{$way} // {};
    is($line->{type}, 'number', "$way: a number");
    is_deeply([ @{ $line->{ids} }[ 0 .. 4, -1 ] ], [ @printed, '9223372036854776000' ], "$way: rounded");
    my %different = map { $_ => 1 } @{ $line->{ids} };
    cmp_ok(keys %different, '<', @$truth / 2, "$way: many IDs become one");
}
is_deeply([ @{ delete($came{'Number(), its value'})->{ids} }[ 0 .. 4 ] ],
    [ qw(9007199254740991 9007199254740992), ('390233979859673088') x 3 ],
    'the value of a double: some IDs, such as those of sequence 0, are held by luck');

# The row of another ID is found instead, or none, or the number is refused.
is_deeply([ @{ delete($came{'Number(), sent back'})->{ids} }[ 0 .. 4, -1 ] ],
    [ '9007199254740991', 'undefined', ('390233979859673100') x 3, '22003' ],
    'Number(), sent back: another row, or none');
is_deeply([ @{ delete($came{'json with numbers, sent back'})->{ids} }[ 0 .. 4 ] ], \@printed,
    'json with numbers, sent back: rounded');
is_deeply(delete($came{'a document of BigInt'})->{ids}, ['TypeError'], 'a document of BigInt is refused');
is_deeply([ sort keys %came ], [], 'every way has been looked at');

$node->stop;
done_testing();
