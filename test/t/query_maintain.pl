# timeshard_maintain_partitions() while others read and write: no insert fails, no
# wait is longer than lock_timeout, and a partition that cannot be made or dropped
# now is by the next call. By clocks that are stepped.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;
use TimeshardSession;

my $node = new_cluster('maintain', clock => 1, conf => <<'CONF');
timeshard.node_id = 345
timezone = 'UTC'
autovacuum = off
CONF

sub query
{
    my ($sql) = @_;
    return $node->safe_psql('postgres', $sql);
}

sub new_table
{
    my ($name) = @_;
    query("CREATE TABLE $name (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), n integer) PARTITION BY RANGE (id)");
    return;
}

# What a call says, without its CONTEXT lines, and how long it took.
sub maintain
{
    my ($arguments) = @_;
    my $start = monotonic();
    my (undef, undef, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n\\set SHOW_CONTEXT never\nCALL timeshard_maintain_partitions($arguments)");
    my $lasted = monotonic() - $start;
    return ($err =~ s/^psql:<stdin>:\d+: //mgr =~ s/^LOCATION:.*\n?//mgr, $lasted);
}

sub count_of
{
    my ($text, $pattern) = @_;
    return scalar(() = $text =~ /$pattern/g);
}

sub partitions_of
{
    my ($table) = @_;
    return query("SELECT count(*) FROM timeshard_partitions('$table')");
}

# The clock is stepped an hour at a time, into the third quarter of an hour, so
# that no hour passes by itself.
my ($second) = query('SELECT extract(epoch FROM now())::integer % 3600');
my $hour = 0;
my $offset = 2400 - $second;
sub step_hours
{
    my ($hours) = @_;
    $hour += $hours;
    set_clock($node, sprintf '%+d', $offset + 3600 * $hour);
    return;
}
step_hours(1);

subtest 'writers and readers while partitions come and go' => sub {
    new_table('visits');
    my ($said) = maintain("'visits', '1 hour', ahead => 2, keep => '1 hour'");
    is(count_of($said, qr/NOTICE: .*made partition/), 3, 'the first call makes the present one and two ahead') or diag($said);

    my $log = $node->basedir . '/visits';
    my $script = $node->basedir . '/visits.pgbench';
    append_to_file($script, <<'SQL');
INSERT INTO visits (n) VALUES (1);
INSERT INTO visits (id) VALUES (timeshard_next_id() + (3600000::bigint << 22));
BEGIN;
INSERT INTO visits (n) SELECT 2 FROM generate_series(1, 10);
SELECT count(*) FROM visits WHERE timeshard_between(id, now() - interval '1 minute', now());
END;
SQL
    my ($out, $err) = ('', '');
    my $writers = IPC::Run::start([ 'pgbench', '-n', '-h', $node->host, '-p', $node->port, '-f', $script, '-c', 4, '-T', 3600,
        '-l', "--log-prefix=$log", 'postgres' ], '>', \$out, '2>', \$err);
    my $rows = 0;
    my ($made, $dropped, $other) = (0, 0, '');
    for my $round (1 .. 8)
    {
        eventually(sub { query('SELECT count(*) FROM visits') > $rows }) or die "nothing is written: $err";
        step_hours(1);
        my ($said) = maintain("'visits', '1 hour', ahead => 2, keep => '1 hour', lock_timeout => '1 s'");
        $made += count_of($said, qr/made partition/);
        $dropped += count_of($said, qr/dropped partition/);
        $other .= $said =~ s/^NOTICE: .*\n?//mgr;
        $rows = query('SELECT count(*) FROM visits');
    }
    $writers->signal('INT');
    $writers->finish;
    my @latencies = map { (split / /)[2] } map { split /\n/, slurp_file($_) } glob "$log.*";
    my ($longest) = sort { $b <=> $a } @latencies;
    is($made, 8, 'each hour makes one');
    cmp_ok($dropped, '>=', 5, 'and drops one') or diag($other);
    is($other =~ s/^(?:WARNING:  55P03: could not drop|DETAIL:  canceling|HINT:  The next call).*\n?//mgr, '', 'with nothing else to say');
    unlike("$out$err", qr/ERROR|aborted/i, 'no statement failed');
    cmp_ok(scalar(@latencies), '>', 100, 'many were made');
    # Two locks can be waited for, each for a second.
    cmp_ok($longest / 1e6, '<', 4, 'none waited for long');
    note(scalar(@latencies) . " transactions, the longest took " . $longest / 1e3 . " ms; dropped $dropped");
};

subtest 'a long transaction' => sub {
    new_table('orders');
    maintain("'orders', '1 hour', ahead => 1");
    my $writer = TimeshardSession->new($node);
    $writer->ask_ok('BEGIN; INSERT INTO orders DEFAULT VALUES');
    step_hours(3);
    my ($said, $lasted) = maintain("'orders', '1 hour', ahead => 1, lock_timeout => '100 ms'");
    is(count_of($said, qr/^NOTICE:  00000: made partition public\.orders_\S+, \S+ \S+:00:00 to \S+ \S+:00:00 UTC$/m), 2, 'does not hold up what is made');
    unlike($said, qr/WARNING|ERROR/, 'not at all');

    # What waits for the table queues behind the drop, but for lock_timeout only.
    my $caller = TimeshardSession->new($node);
    $caller->ask_ok('\set SHOW_CONTEXT never');
    $caller->send("CALL timeshard_maintain_partitions('orders', '1 hour', keep => '1 hour', lock_timeout => '1 s')");
    $caller->await("wait_event_type = 'Lock'");
    my $start = monotonic();
    query('INSERT INTO orders DEFAULT VALUES');
    $lasted = monotonic() - $start;
    cmp_ok($lasted, '<', 2 * 2 + 1, 'an insert meanwhile waits for lock_timeout') or diag($lasted);
    (undef, $said) = $caller->receive;
    like($said, qr/^WARNING:  55P03: could not drop partition public\.orders_\S+ now\nDETAIL:  canceling statement due to lock timeout\nHINT:  The next call tries again\.$/m,
        'drops nothing, with a warning');
    unlike($said, qr/ERROR|dropped/, 'and no error');

    # Another caller does not wait.
    $caller->send("CALL timeshard_maintain_partitions('orders', '1 hour', keep => '1 hour', lock_timeout => '1 h')");
    $caller->await("wait_event_type = 'Lock'");
    ($said) = maintain("'orders', '1 hour', ahead => 100, keep => '1 hour'");
    like($said, qr/^NOTICE:  00000: nothing was made or dropped, because another session maintains table "orders"\n?\z/, 'a second caller returns at once');
    $writer->ask_ok('COMMIT');
    (undef, $said) = $caller->receive;
    is(count_of($said, qr/NOTICE:  00000: dropped partition/), 2, 'what waited is dropped when the transaction ends') or diag($said);
    unlike($said, qr/WARNING|ERROR/, 'without a complaint');
    is(query("SELECT count(*) FROM orders WHERE NOT timeshard_between(id, now() - interval '1 hour', now())"), 0, 'with its rows');
    $_->finish for $writer, $caller;
};

subtest 'clocks' => sub {
    new_table('clicks');
    # Just after the hour; servers' clocks are up to an hour away.
    set_clock($node, sprintf '%+d', $offset - 2400 + 60 + 3600 * ($hour + 1));
    maintain("'clicks', '1 hour', ahead => 1");
    for my $away ('-59 minutes', '0', '59 minutes')
    {
        is(query("INSERT INTO clicks (id) VALUES (timeshard_lower_bound(now() + interval '$away')) RETURNING timeshard_time(id) <= now() + interval '$away'"),
            't', "an ID from a clock that is $away away");
    }
    $hour++;
    step_hours(0);
    query('SELECT timeshard_next_id()');
    my $before = partitions_of('clicks');
    step_hours(1000 * 24);
    my ($said) = maintain("'clicks', '1 hour', keep => '90 days'");
    like($said, qr/ERROR:  55000: clock has jumped ahead/, 'a clock that has jumped ahead is refused');
    unlike($said, qr/dropped/, 'and nothing is dropped by it');
    is(query('SELECT count(*) FROM clicks'), 3, 'all rows are there');
    query('SELECT timeshard_accept_clock()');
    ($said) = maintain("'clicks', '1 hour', keep => '90 days'");
    is(count_of($said, qr/dropped partition/), $before, 'until the clock is accepted');
};

subtest 'what a person has to see to' => sub {
    new_table('pages');
    query('CREATE TABLE pages_default PARTITION OF pages DEFAULT; INSERT INTO pages DEFAULT VALUES');
    my ($said) = maintain("'pages', '1 hour', ahead => 2");
    is(count_of($said, qr/made partition/), 2, 'rows in the default partition do not keep others back');
    like($said, qr/^ERROR:  23514: could not make or drop every partition of table "pages"\nDETAIL:  Could not make partition public\.pages_\S+: .*"pages_default"/m, 'they are told of');
    my ($find) = $said =~ /Find the rows: (.*)/;
    is(query($find =~ s/\*/count(*)/r), 1, 'with a query that finds them');
    query('BEGIN; CREATE TEMP TABLE moved AS SELECT * FROM pages_default; DELETE FROM pages_default; COMMIT');
    ($said) = maintain("'pages', '1 hour', ahead => 2");
    is(count_of($said, qr/made partition/), 1, 'the next call makes it when they are gone');

    query("CREATE TABLE links (page bigint REFERENCES pages); INSERT INTO pages DEFAULT VALUES; INSERT INTO links SELECT id FROM pages");
    step_hours(8);
    ($said) = maintain("'pages', '1 hour', ahead => 2, keep => '1 hour'");
    is(count_of($said, qr/made partition/), 3, 'a row that is referenced holds up nothing that is made');
    is(count_of($said, qr/dropped partition/), 2, 'nor other drops');
    like($said, qr/^ERROR:  23503: could not make or drop .*\nDETAIL:  Could not drop partition public\.pages_\S+: removing partition .* violates foreign key constraint .*\nKey .* is still referenced from table "links"\.\nHINT:  .+\.$/m,
        'its partition stays, with an error');
    is(query('SELECT count(*) FROM pages JOIN links ON page = id'), 1, 'and its rows');
};

$node->stop;
done_testing();
