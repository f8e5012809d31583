# Range partitions by ID: bounds from times, rows on the right side of them to
# the millisecond, pruning when planned and when executed; and the recipe for
# pg_partman, doc/partman.sql, with its limits.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

my $node = new_cluster('partitions', conf => <<'CONF');
timeshard.node_id = 345
timezone = 'UTC'
autovacuum = off
CONF

my $epoch = $node->safe_psql('postgres', 'SELECT custom_epoch FROM timeshard_config()');

sub query
{
    my ($sql) = @_;
    return $node->safe_psql('postgres', $sql);
}

# Which of the partitions a plan reads, and what it says of the others.
sub plan_of
{
    my ($sql, $setup) = @_;
    my $plan = query(($setup // '') . "EXPLAIN (COSTS OFF) $sql");
    my %seen = map { $_ => 1 } $plan =~ /Scan.* on (\w+?_2026_\d\d)\b/g;
    my ($removed) = $plan =~ /Subplans Removed: (\d+)/;
    return join ' ', (map { s/.*2026_//r } sort keys %seen), defined $removed ? "removed $removed" : ();
}

# Twelve months with bounds by the immutable form, and the same by the stable one:
# a bound is a number once it is there, whichever gave it.
my %bound = (events => "timeshard_lower_bound('%s', $epoch)", visits => "timeshard_lower_bound('%s')");
for my $table (sort keys %bound)
{
    my $sql = "CREATE TABLE $table (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), n integer) PARTITION BY RANGE (id);\n";
    for my $month (1 .. 12)
    {
        my @month = map { sprintf '%d-%02d-01 00:00+00', @$_ } [ 2026, $month ], $month < 12 ? [ 2026, $month + 1 ] : [ 2027, 1 ];
        $sql .= sprintf "CREATE TABLE ${table}_2026_%02d PARTITION OF $table FOR VALUES FROM ($bound{$table}) TO ($bound{$table});\n",
          $month, @month;
    }
    query($sql);
}
my $bounds = sub { query("SELECT string_agg(pg_get_expr(relpartbound, oid), ' ' ORDER BY relname) FROM pg_class
    WHERE relispartition AND relkind = 'r' AND relname LIKE '$_[0]_2026_%'") };
is($bounds->('events'), $bounds->('visits'), 'both forms give the same bounds');
like($bounds->('events'), qr/^FOR VALUES FROM \('\d+'\) TO \('\d+'\) FOR/, 'which are numbers');

subtest 'rows lie in the month of their time' => sub {
    query(<<'SQL');
INSERT INTO events (id, n)
SELECT id, 0 FROM generate_series('2026-01-01'::timestamptz, '2026-12-01', '1 month') AS month,
    LATERAL (SELECT timeshard_lower_bound(month) AS first, timeshard_lower_bound(month + interval '1 month') - 1 AS last,
                    timeshard_lower_bound(month + interval '1 month' - interval '1 ms') AS last_ms) AS edges,
    unnest(ARRAY[first, first + 1, last_ms, last]) AS id;
INSERT INTO events (id, n)
SELECT timeshard_lower_bound('2026-01-01'::timestamptz + i * interval '1 hour') + 12345, 1 FROM generate_series(1, 8000) AS i;
SQL
    is( query("SELECT count(*), count(*) FILTER (WHERE tableoid::regclass::text <> to_char(timeshard_time(id), '\"events\"_YYYY_MM')) FROM events"),
        '8048|0', 'each row');
    is( query("SELECT tableoid::regclass, timeshard_time(id) FROM events
               WHERE id IN (timeshard_lower_bound('2026-03-01') - 1, timeshard_lower_bound('2026-03-01')) ORDER BY id"),
        "events_2026_02|2026-02-28 23:59:59.999+00\nevents_2026_03|2026-03-01 00:00:00+00", 'the last ID of February and the first of March');
    fails_with($node, "INSERT INTO events (id) VALUES (timeshard_lower_bound('2027-01-01'))", qr/no partition of relation/,
        'the first ID after the last partition');
    query("CREATE TABLE events_later PARTITION OF events FOR VALUES FROM (timeshard_lower_bound('2027-01-01', $epoch)) TO (MAXVALUE)");
    is( query("INSERT INTO events DEFAULT VALUES RETURNING tableoid::regclass =
               CASE WHEN now() < '2027-01-01' THEN to_char(now(), '\"events\"_YYYY_MM') ELSE 'events_later' END::regclass"),
        't', 'an ID by default lies in the present');
    query('DROP TABLE events_later');
};

# Some partitions are left out before the plan is made: it does not name them.
# Others are when it is executed, at its start: it says how many.
subtest 'pruning' => sub {
    query('ANALYZE events');
    my $count = 'SELECT count(*) FROM events WHERE';
    my @range = ('2026-03-15', '2026-04-15');
    my $immutable = "id >= timeshard_lower_bound('$range[0]', $epoch) AND id < timeshard_lower_bound('$range[1]', $epoch)";
    my $stable = "timeshard_between(id, '$range[0]', '$range[1]')";
    my $by_time = "timeshard_time(id) >= '$range[0]' AND timeshard_time(id) < '$range[1]'";

    is(plan_of("$count $immutable"), '03 04', 'when planned, with the epoch given');
    is(plan_of("$count $stable"), '03 04 removed 10', 'when executed, by timeshard_between');
    is(plan_of("$count id >= timeshard_lower_bound('2026-11-30')"), '11 12 removed 10', 'when executed, by a lower bound');
    is(plan_of("$count id >= timeshard_lower_bound('2026-12-01')"), '12 removed 11', 'to the very edge');
    is(plan_of("$count id < timeshard_lower_bound('2026-02-01', $epoch)"), '01', 'and from below');
    is(plan_of("$count id >= timeshard_lower_bound('2026-02-01') AND id < timeshard_lower_bound('2026-03-01')"),
        '02 removed 11', 'a whole month');
    # Its condition is id > the last ID before; PostgreSQL does not know that no
    # number lies between that one and the partition's end.
    is(plan_of("$count timeshard_between(id, '2026-02-01', '2026-03-01')"), '01 02 removed 10',
        'a whole month by timeshard_between: with the one that ends there');
    is(query("$count timeshard_between(id, '2026-02-01', '2026-03-01')"),
        query("$count timeshard_time(id) >= '2026-02-01' AND timeshard_time(id) < '2026-03-01'"), 'which has no row of it');
    is(plan_of("$count $by_time"), join(' ', map { sprintf '%02d', $_ } 1 .. 12), 'not by timeshard_time, which no bound knows');
    is(query("$count $immutable"), query("$count $by_time"), 'as many rows, when planned');
    is(query("$count $stable"), query("$count $by_time"), 'as many rows, when executed');

    like(plan_of("$count timeshard_between(id, now() - '1 year'::interval * 200, now() - '1 year'::interval * 100)"),
        qr/removed (?:11|12)$/, 'by now()');

    my $prepare = "PREPARE ranged (timestamptz, timestamptz) AS $count %s;";
    my @forms = ([ "id >= timeshard_lower_bound(\$1, $epoch) AND id < timeshard_lower_bound(\$2, $epoch)", '03 04' ],
        [ 'timeshard_between(id, $1, $2)', '03 04 removed 10' ]);
    for my $form (@forms)
    {
        my ($condition, $custom) = @$form;
        my $setup = sprintf($prepare, $condition);
        is(plan_of("EXECUTE ranged ('$range[0]', '$range[1]')", "SET plan_cache_mode = force_custom_plan; $setup"),
            $custom, "a custom plan: $condition");
        is(plan_of("EXECUTE ranged ('$range[0]', '$range[1]')", "SET plan_cache_mode = force_generic_plan; $setup"),
            '03 04 removed 10', "a generic plan: $condition");
    }

    my $join = query("SET enable_hashjoin = off; SET enable_mergejoin = off; EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF)
        SELECT count(*) FROM generate_series('2026-05-02'::timestamptz, '2026-05-04', '1 day') AS day
        JOIN events ON timeshard_between(id, day, day + interval '1 day')");
    is(scalar(() = $join =~ / on events_2026_\d\d .*never executed/g), 11, 'for each row of a join');
};

# pg_partman keeps partitions by numbers.
subtest 'the recipe for pg_partman' => sub {
    unless (query("SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_partman'"))
    {
        diag("pg_partman is not installed (Debian: postgresql-$server_major-partman): its recipe is not tested");
        plan skip_all => 'no pg_partman';
    }
    my ($out, $err) = ('', '');
    my $ok = IPC::Run::run([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'),
        '-f', "$FindBin::RealBin/../../doc/partman.sql" ], '>', \$out, '2>', \$err);
    ok($ok, 'runs to its end') or diag($err);
    unlike($err, qr/ERROR|WARNING/, 'without complaint');
    like($out, qr/^(?:t\n)?(?:public\.metrics_default\|0\n)?\z/, 'nothing is in the default partition');
    note('pg_partman ' . query("SELECT extversion FROM pg_extension WHERE extname = 'pg_partman'"));

    is(query("SELECT count(*), min(until - since), max(until - since), count(*) FILTER (WHERE since <= now() AND now() < until) FROM metrics_partitions"),
        '31|1 day|1 day|1', 'today and thirty days ahead');
    is( query("SELECT DISTINCT (since AT TIME ZONE 'UTC')::time = (to_timestamp($epoch / 1000.0) AT TIME ZONE 'UTC')::time FROM metrics_partitions"),
        't', "a day begins at the epoch's time of day");

    query("INSERT INTO metrics (name) SELECT 'now' FROM generate_series(1, 1000)");
    query("INSERT INTO metrics (id, name) SELECT id, 'edge' FROM metrics_partitions,
        LATERAL (VALUES (timeshard_lower_bound(since)), (timeshard_lower_bound(until) - 1)) AS edges (id)
        WHERE since < now() + interval '10 days'");
    my $misplaced = "SELECT count(*) FROM metrics AS m LEFT JOIN metrics_partitions AS p ON p.partition = m.tableoid::regclass::text
        WHERE (timeshard_time(m.id) >= p.since AND timeshard_time(m.id) < p.until) IS NOT TRUE";
    is(query($misplaced), 0, 'rows lie where their times say');
    my $plan = query("EXPLAIN (COSTS OFF) SELECT count(*) FROM metrics WHERE id < timeshard_lower_bound(now()) + (1::bigint << 22)");
    like($plan, qr/Subplans Removed: (?:30|31)/, 'others are pruned');

    # Time goes by: what is to come is made, what is old is dropped.
    my $last = sub { query("SELECT round(extract(epoch FROM max(until) - now()) / 86400) FROM metrics_partitions") };
    my $live = sub {
        my ($day) = @_;
        query("INSERT INTO metrics (id, name) VALUES (timeshard_lower_bound(now() + $day * interval '1 day'), 'day $day')");
        query('CALL partman.run_maintenance_proc()');
    };
    $live->(20);
    cmp_ok($last->(), '>=', 49, 'maintenance makes the next days');
    $live->($_) for 40, 60, 80;
    is(query("SELECT count(*) FROM metrics WHERE name = 'now'"), 1000, 'rows of the last 90 days are kept');
    $live->(102);
    is(query("SELECT count(*) FROM metrics WHERE name = 'now'"), 0, 'then they are dropped');
    cmp_ok(query('SELECT extract(day FROM max(until) - min(since)) FROM metrics_partitions'), '<=', 90 + 30 + 3, 'with their partitions');

    # The limit: it goes by the largest ID, not by the clock.
    my $beyond = 'SELECT timeshard_lower_bound(max(until) + interval \'2 days\') FROM metrics_partitions';
    query("INSERT INTO metrics (id, name) VALUES (($beyond), 'late')");
    is(query("SELECT tableoid::regclass FROM metrics WHERE name = 'late'"), 'metrics_default', 'a row past the last partition');
    is(query('SELECT * FROM partman.check_default()'), 'public.metrics_default|1', 'check_default tells');
    # Version 5 goes round such a row without a word.
    my $version = query("SELECT extversion FROM pg_extension WHERE extname = 'pg_partman'");
    fails_with($node, "SELECT partman.run_maintenance('public.metrics')", qr/would be violated by some row/, 'maintenance')
      if $version =~ /^4\./;
    query("CALL partman.partition_data_proc('public.metrics', p_quiet := true)");
    is(query($misplaced), 0, 'partition_data_proc puts it right');
    query('CALL partman.run_maintenance_proc()');
    cmp_ok(query('SELECT extract(day FROM max(until) - timeshard_time(max(id))) FROM metrics_partitions, metrics'), '>=', 29,
        'and maintenance goes on');
};

$node->stop;
done_testing();
