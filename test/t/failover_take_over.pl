# doc/high-availability.md, "Taking rows over", by the page's own blocks, where it is
# hard: rows that one line has changed or deleted since the parting, a transaction
# that was open when it came, IDs that both have made, clients that go on all the
# while, and a clock that was ahead on the other line.
use strict;
use warnings FATAL => 'all';

use BusyClients;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use FaultKit;
use ManyServers;
use Manual qw(read_text);
use POSIX ();
use Standbys qw(await_replay copy_of);
use Test::More;
use Time::HiRes qw(time);
use Timeshard;
use TimeshardSession;

# db2 is the old primary, db1 the one that is promoted and kept.
my %node = (db2 => fault_cluster('db2', shim => 0, clock => 1, preload => 1, create => 0, init => [ allows_streaming => 1 ],
    conf => "timeshard.node_id = 7\ntimezone = 'UTC'\n"));
$node{db1} = copy_of($node{db2}, 'db1', preload => 1, clock => '+0');
my $folder = $node{db2}->basedir;
write_services("$folder/pg_service.conf", %node, shop => [ @node{qw(db1 db2)} ]);
start_with_env($node{db1});
my $page = ManyServers->new('high-availability.md', first => 'db2', folder => $folder);

sub query
{
    my ($name, $sql) = @_;
    return $node{$name}->safe_psql('postgres', $sql);
}

# A row for each item, in a transaction of its own.
sub insert
{
    my ($name, @items) = @_;
    query($name, "INSERT INTO orders (item) VALUES ('$_')") for @items;
    return;
}

# What a server has: item => "ID maker", of which the clients' rows are left out.
sub rows_of
{
    my ($name) = @_;
    return map { split /\|/ } split /\n/, query($name, "SELECT item, id || ' ' || made_on FROM orders WHERE item NOT LIKE 'client%'");
}

# The clocks of these servers stand still: in one millisecond all make the same IDs.
sub stand_still
{
    my ($seconds, @names) = @_;
    set_clock($node{$_}, POSIX::strftime('%Y-%m-%d %H:%M:%S', localtime $seconds)) for @names;
    return;
}

$page->ask($page->block('orders'));
query('db2', q{ALTER TABLE orders ADD number text GENERATED ALWAYS AS (timeshard_format(id, 'ORD_')) STORED UNIQUE});
insert('db2', map({ ("changed $_", "deleted $_") } qw(here there alike)), 'changed on both', 'changed here, deleted there');
my $open = TimeshardSession->new($node{db2});
$open->ask_ok(q(BEGIN; INSERT INTO orders (item) VALUES ('open at the parting')));
insert('db2', 'the last, deleted here');

# The parting, and what is written on the old primary right after it.
await_replay(@node{qw(db2 db1)});
query('db1', q(ALTER SYSTEM SET primary_conninfo = ''));
$node{db1}->reload;
$node{db1}->poll_query_until('postgres', 'SELECT count(*) = 0 FROM pg_stat_wal_receiver') or die 'db1 still receives';
insert('db2', 'made there 0');
$node{db1}->promote;
my $start = int(time) + 60;

$open->ask_ok('COMMIT');
for my $name (qw(db1 db2))
{
    my $where = $name eq 'db1' ? 'here' : 'there';
    query($name, "UPDATE orders SET item = item || ', new' WHERE item IN ('changed $where', 'changed alike')");
    query($name, "UPDATE orders SET item = item || ', $where' WHERE item = 'changed on both'");
    query($name, "DELETE FROM orders WHERE item IN ('deleted $where', 'deleted alike')");
}
query('db1', q(UPDATE orders SET item = item || ', new' WHERE item = 'changed here, deleted there'));
query('db2', q(DELETE FROM orders WHERE item = 'changed here, deleted there'));
query('db1', q(DELETE FROM orders WHERE item = 'the last, deleted here'));

# Since then both make IDs in the same millisecond, db2 more of them; then db2's clock is ahead.
stand_still($start, qw(db1 db2));
insert('db1', map { "made here $_" } 1 .. 5);
insert('db2', map { "made there $_" } 1 .. 9);
query('db2', q(DELETE FROM orders WHERE item IN ('made there 1', 'made there 8')));
query('db2', q(UPDATE orders SET item = item || ', new' WHERE item IN ('made there 2', 'made there 9')));
stand_still($start + 600, 'db2');
query('db2', q(INSERT INTO orders (item) SELECT 'made ahead ' || n FROM generate_series(1, 4000) AS n));

my %here = rows_of('db1');
my %there = rows_of('db2');
my @made = grep { /^made/ } keys %there;
my %used = map { s/ .*//r => 1 } values %here;
is(join(', ', sort grep { $used{ $there{$_} =~ s/ .*//r } } @made), 'made there 2, new, made there 3, made there 4, made there 5',
    'both lines have made the same IDs');

subtest 'what is found' => sub {
    my $output = $page->ask($page->block('both-lines'));
    my %count = $output =~ /^ (\S[^|]*?) +\| +(\d+) \|/mg;
    is_deeply(\%count, {
        'on both' => 2,             # lamp, changed alike
        'on both, changed' => 3,    # here, there, on both
        'on one, older' => 5,       # deleted here, there, there and changed here, the last, the open one
        'one ID, two rows' => 4,
        'only here' => 1,           # made here 1: db2 has deleted its row of that ID
        'only there' => 4004,       # made there 0, 6, 7, 9, made ahead
    }, 'rows from before the parting are told from those made since');

    # A table without made_on, by the condition that the page has for it.
    my ($condition) = read_text("$FindBin::RealBin/../../doc/high-availability.md") =~ /the first condition is\s+`([^`]+)`/;
    my ($query) = $page->block('both-lines') =~ /^CREATE VIEW both_lines AS\n(.*?);/ms;
    $query =~ s/here\.made_on <> there\.made_on/$condition/;
    $query =~ s/to_jsonb\((\w+)\)/(to_jsonb($1) - 'made_on')/g;
    my %without = $page->ask("SELECT found, count(*) FROM ($query) AS q GROUP BY 1;") =~ /^ (\S[^|]*?) +\| +(\d+)$/mg;
    is_deeply(\%without, \%count, 'where a table does not say who made a row, too');
};

my $take_over = $page->block('take-over');
subtest 'the clock of this line is where the other has been' => sub {
    stand_still($start + 600, 'db1');
    start_clients($node{db1}, 'postgres', (q(INSERT INTO orders (item) VALUES ('NAME'))) x 3);
    like($page->ask($take_over), qr/ERROR:  clock is \S+ s behind the floor/, 'taking over is refused');
    is_deeply({ rows_of('db1') }, \%here, 'and undone');
    fails_with($node{db1}, 'SELECT timeshard_next_id()', qr/clock is \S+ s behind the floor/, 'but the floor stays');
    is(query('db1', q(SELECT to_regclass('made_twice') IS NULL)), 't', 'as a whole');
};

subtest 'a client commits while rows are taken over' => sub {
    my $client = TimeshardSession->new($node{db1});
    my ($id) = split / /, $there{'made ahead 4000'};
    $client->ask_ok("BEGIN; INSERT INTO orders VALUES ($id, 'client, meanwhile')");
    my $rows = query('db1', 'SELECT count(*) FROM orders');
    set_clock($node{db1}, sprintf '%+d', $start + 610 - time);
    ok($node{db1}->poll_query_until('postgres', "SELECT count(*) > 20 + $rows FROM orders"), 'once the clock is past it, the clients go on');
    my $output = '';
    for my $statement (split /(?<=;)\n/, $take_over)
    {
        $client->ask_ok('COMMIT') if $statement =~ /^INSERT INTO orders .*\(there\)/s;
        $output .= $page->ask($statement);
    }
    like($output, qr/ERROR:  duplicate key value.*\n.*\(id\)=\($id\)/, 'an ID that was free is taken: an error');
    is_deeply({ rows_of('db1') }, \%here, 'and all is undone');
    $client->finish;
};

subtest 'taken over' => sub {
    # The clients, too, have made IDs that the other line has.
    my @taken = split /\n/, query('db1', 'SELECT id FROM orders');
    unlike($page->ask($take_over), qr/ERROR/, 'the rows are taken over');

    is(query('db1', q{SELECT count(*) FROM orders WHERE number IS DISTINCT FROM timeshard_format(id, 'ORD_')}), 0, 'with what is generated');
    my %renamed = map { split /\|/ } split /\n/, query('db1', 'SELECT old_id, id FROM made_twice');
    my %made = map { s/ .*//r => 1 } @there{@made};
    is_deeply([ sort keys %renamed ], [ sort grep { $made{$_} } @taken ], 'those have a new ID that were made twice');
    is(join(' ', grep { $_ <= (sort keys %made)[-1] } values %renamed), '', 'above all that there were');
    my %expected = (%here, map { $_ => $there{$_} =~ s/^(\d+)/$renamed{$1} \/\/ $1/er } @made);
    is_deeply({ rows_of('db1') }, \%expected, 'the rows made there are there once, and nothing else has come or changed');

    my @errors = grep { !/clock is \S+ s behind/ } stop_clients($node{db1}, 'postgres');
    is("@errors", '', 'the clients were refused, and nothing else');
    is(query('db1', 'SELECT count(*) FROM written WHERE name NOT IN (SELECT item FROM orders)'), 0, 'their rows are there');
};

subtest 'what is left to be compared by hand' => sub {
    my $listed = $page->ask($page->block('by-hand'));
    is(() = $listed =~ /^ on /mg, 8, 'all of it is listed');
    like($listed, qr/\Q$_\E/, $_) for 'changed here, new', 'changed there, new', 'changed on both, here', 'changed on both, there',
      'deleted here', 'deleted there', 'changed here, deleted there, new', 'the last, deleted here', 'open at the parting';
    unlike($listed, qr/alike|made|lamp/, 'nothing else');

    my $plan = query('db1', 'EXPLAIN (VERBOSE) SELECT found, count(*) FROM both_lines GROUP BY 1');
    like($plan, qr/Remote SQL: SELECT .* FROM public\.orders WHERE \(\(id >= \S*\d{17}/, 'the other server sends no older rows');
};

$page->skip_rest;
$page->finish;
$_->stop('immediate') for values %node;
done_testing();
