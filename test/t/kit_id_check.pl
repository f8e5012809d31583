# The fault suite's check of IDs must find duplicates, disorder and lost rows, or the
# suite proves nothing.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use FaultKit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test2::API qw(intercept);
use Test::More;

my $node = fault_cluster('kit', shim => 0, conf => "timeshard.node_id = 9\n");
my $writers = start_writers($node);

injected('a backend is killed');
kill9_backend($node);
ok($writers->await_progress, 'a backend is killed: all sessions are served again');

my $figures = check_ids($node, $writers);
cmp_ok($figures->{ids}, '>', 1000, 'IDs were taken');
cmp_ok($figures->{table}, '>', 100, 'rows were written');
cmp_ok($figures->{committed}, '>', 100, 'rows are known to be committed');
cmp_ok($figures->{table} - $figures->{committed}, '<', 100 * $writers->logs, 'and are nearly all of them');
ok($figures->{errors}{'08006'}, 'lost connections were counted');
ok(!$figures->{errors}{stuck}, 'no session got stuck');
my %total = report_figures();
is("$total{ids} $total{faults} $total{duplicates}", "$figures->{ids} 1 0", 'the figures add up');

# Committed rows that are lost, and a row that has the ID of somebody else.
sub table_ids
{
    my $file = $node->basedir . '/ids';
    $node->safe_psql('postgres', "\\copy fault_rows (id) TO '$file'");
    return $file;
}
my $rows = $writers->{logs}[0];
my ($committed) = slurp_file($rows) =~ /^I c \d+ \d+ \d+ (\d+)/m;
my ($unwritten) = slurp_file($rows) =~ /^I n \d+ \d+ \d+ (\d+)/m;
my ($transaction) = slurp_file($rows) =~ /^K (\d+)$/m;
my ($in_transaction) = slurp_file($rows) =~ /^I t $transaction \d+ \d+ (\d+)/m;
$node->safe_psql('postgres', "DELETE FROM fault_rows WHERE id IN ($committed, $in_transaction)");
my $events = intercept { $figures = check_ids($node, $writers) };
my @verdicts = map { $_->pass } grep { $_->isa('Test2::Event::Ok') } @$events;
is("@verdicts", '1 1 0', 'lost rows: the check fails');
is(explain_violations($figures), 'missing 2', 'lost rows: both are missing');
like("@{ $figures->{what} }", qr/$committed/, 'lost rows: the one of a statement');
like("@{ $figures->{what} }", qr/$in_transaction/, 'lost rows: the one of a transaction');
$node->safe_psql('postgres', "INSERT INTO fault_rows VALUES ($committed), ($in_transaction), ($unwritten)");
is(explain_violations(read_logs($writers->{logs}, table => table_ids())), 'duplicate 1',
    'a row that was given to somebody else: found');
$node->safe_psql('postgres', "DELETE FROM fault_rows WHERE id = $unwritten");
is(explain_violations(read_logs($writers->{logs}, table => table_ids())), '', 'all put right: nothing is found');

# Made logs: two sessions, two calls each.
sub explain_violations
{
    my ($figures) = @_;
    return join ', ', map { "$_ $figures->{violations}{$_}" } sort keys %{ $figures->{violations} };
}

my $made = 0;

sub made_logs
{
    return map {
        my $file = $node->basedir . '/made_' . ++$made;
        append_to_file($file, $_);
        $file
    } @_;
}
my $healthy = "O 90 1\nI n 0 100 200 10 11\nI c 0 300 400 20\n";
for my $case (
    [ 'a healthy one', '', "I n 0 150 250 12\nS 5\nI u 0 350 450 19\nE 500 57P01 gone 7\nX 600\n" ],
    [ 'twice in two sessions', 'duplicate 1', "I n 0 150 250 11 12\n" ],
    [ 'twice in one', 'duplicate 1, order 1', "I n 0 150 250 12\nI n 0 260 290 12\n" ],
    [ 'twice in a call', 'duplicate 1, order_in_call 1', "I n 0 150 250 12 12\n" ],
    [ 'falling in a call', 'order_in_call 1', "I n 0 150 250 13 12\n" ],
    [ 'falling between sessions', 'order 1', "I n 0 210 250 9\n" ],
    [ 'falling after a long while', 'order 1', "I n 0 410 500 21\nI n 0 510 600 22\nI n 0 910 999 15\n" ],
    [ 'falling, but the calls overlap', '', "I n 0 199 299 9\n" ],
    [ 'refused by the key', 'primary_key 1', "E 500 23505 duplicate key value violates unique constraint\n" ],
    [ 'a line that ends early', 'log 1', "I n 0 150\n" ],
    [ 'an ID that is none', 'log 1', "I n 0 150 250 12 -3\n" ],
    [ 'a line that is none', 'log 1', "hello\n" ])
{
    my ($name, $expected, $other) = @$case;
    is(explain_violations(read_logs([ made_logs($healthy, $other) ])), $expected, "made logs: $name");
}
is(explain_violations(read_logs([ made_logs($healthy, "I n 0 210 250 9\n") ], order => 0)), '',
    'made logs: falling between servers is no fault');
for ([ 5, 'order 1' ], [ 6, '' ])
{
    my ($apart, $expected) = @$_;
    is(explain_violations(read_logs([ made_logs($healthy, "I n 0 5000201 5000300 9\n") ], apart => $apart)), $expected,
        "made logs: falling after 5 ms, where $apart ms count");
}
is(explain_violations(read_logs([ made_logs($healthy, "I n 0 210 250 11\n") ], order => 0)), 'duplicate 1',
    'made logs: twice between servers is one');
$figures = read_logs([ made_logs($healthy, "I n 0 150 250 12\nE 500 57P01 gone 7\nE 500 57P01 gone 8\n") ]);
is_deeply([ @$figures{qw(ids calls committed least greatest errors messages)} ],
    [ 4, 3, 1, 10, 20, { '57P01' => 2 }, { '57P01' => ['gone 7'] } ], 'made logs: the figures');

$node->stop;

done_testing();
