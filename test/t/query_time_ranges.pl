# Ranges of time over five million rows: by the primary key, inlined, with row
# estimates that hold, reading no page more than a created_at column needs, and
# no slower; the same for text keys; BRIN.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use JSON::PP qw(decode_json);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

my $rows = 5_000_000;

# One processor for one query, or plans and times would depend on who else is there.
my $node = new_cluster('time_ranges', conf => <<'CONF');
timeshard.node_id = 345
timezone = 'UTC'
autovacuum = off
jit = off
max_parallel_workers_per_gather = 0
maintenance_work_mem = 256MB
CONF

# Fifty days that grow busier. Half of the rows come from another server, whose
# clock differs a little, so that neighbours are not in exact order. Each midnight
# has the last ID of the millisecond before it and the first of its own.
$node->safe_psql('postgres', <<"SQL");
SELECT setseed(0.5);
CREATE UNLOGGED TABLE events AS
SELECT timeshard_lower_bound(at) + lower AS id, at AS created_at, i AS n
FROM (SELECT i, date_trunc('milliseconds', '2026-01-01'::timestamptz + random() * interval '2 s'
                 + power(i / ${rows}::float8, 0.8) * interval '50 days') AS at,
             (CASE i % 2 WHEN 0 THEN 345 ELSE 17 END << 12) + i % 7 AS lower
      FROM generate_series(1, $rows - 100) AS i) AS made
UNION ALL
SELECT timeshard_lower_bound(midnight) + edge, midnight + edge * interval '1 ms', 0
FROM generate_series('2026-01-01'::timestamptz, '2026-02-19', '1 day') AS midnight, (VALUES (-1), (0)) AS edges (edge);
ALTER TABLE events ADD PRIMARY KEY (id);
CREATE INDEX by_time ON events (created_at);
VACUUM (ANALYZE, FREEZE) events;

CREATE FUNCTION plan_of(query text, options text) RETURNS jsonb LANGUAGE plpgsql AS \$\$
DECLARE plan json;
BEGIN
    EXECUTE format('EXPLAIN (FORMAT JSON%s) %s', options, query) INTO plan;
    RETURN plan->0;
END \$\$;
SQL

# The plans of the queries, in one session, after what $setup sets there.
sub plans
{
    my ($setup, $options, @queries) = @_;
    my $out = $node->safe_psql('postgres', join "\n", "$setup;",
        map { "SELECT plan_of(\$q\$$_\$q\$, '$options');" } @queries);
    return map { decode_json($_) } grep { /^\{/ } split /\n/, $out;
}

# The nodes of a plan, from the top down.
sub nodes
{
    my ($node) = @_;
    return ($node, map { nodes($_) } @{ $node->{Plans} // [] });
}

# The scan of the events or orders; with an index, the scan of that.
sub scan_of
{
    my ($plan) = @_;
    my @scans = grep { $_->{'Index Name'} || $_->{'Relation Name'} } nodes($plan->{Plan});
    return $scans[-1];
}

sub buffers
{
    my ($plan) = @_;
    return $plan->{Plan}{'Shared Hit Blocks'} + $plan->{Plan}{'Shared Read Blocks'};
}

sub uses_key
{
    my ($plan, $name, $index) = @_;
    my $scan = scan_of($plan);
    $index //= 'events_pkey';
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    like("$scan->{'Node Type'} " . ($scan->{'Index Name'} // ''), qr/^(?:Bitmap )?Index Scan $index$/, "$name: by the index");
    is(join(' ', map { $_->{Filter} // () } nodes($plan->{Plan})), '', "$name: the index does it all");
    return;
}

sub within_factor_two
{
    my ($estimate, $real, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok($estimate <= 2 * $real && $real <= 2 * $estimate, "$name: $estimate rows expected, $real there");
    return;
}

# Every way to write one range: each must plan well, find what created_at finds,
# and read what it reads.
my $sum = 'SELECT sum(n) FROM events WHERE';
my @ranges = (
    [ 'a day',            '2026-01-20',              '2026-01-21' ],
    [ 'the first day',    '2026-01-01',              '2026-01-02' ],
    [ 'an hour',          '2026-02-03 10:00',        '2026-02-03 11:00' ],
    [ 'half a millisecond off', '2026-02-03 10:00:00.0005', '2026-02-04 00:00:00.0005' ],
    [ 'up to a time',     '-infinity',               '2026-01-04' ],
    [ 'from a time on',   '2026-02-17',              'infinity' ],
    [ 'all',              '1900-01-01',              '3000-01-01' ]);

my @by_id = map { "timeshard_between(id, '$_->[1]', '$_->[2]')" } @ranges;
my @by_time = map { "created_at >= '$_->[1]' AND created_at < '$_->[2]'" } @ranges;
is( $node->safe_psql('postgres', 'SELECT ' . join(', ', map { "count(*) FILTER (WHERE ($by_id[$_]) <> ($by_time[$_]))" } 0 .. $#ranges)
          . ' FROM events'),
    join('|', (0) x @ranges), 'each range holds exactly the rows of created_at');

for my $i (0 .. $#ranges)
{
    my ($name, $since, $until) = @{ $ranges[$i] };
    next if $name eq 'all';
    my ($reference, $literal) = plans('', ', ANALYZE, BUFFERS, TIMING OFF', "$sum $by_time[$i]", "$sum $by_id[$i]");
    my ($parameter) = plans("SET plan_cache_mode = force_custom_plan;
        PREPARE ranged (timestamptz, timestamptz) AS $sum timeshard_between(id, \$1, \$2)",
        ', ANALYZE, BUFFERS, TIMING OFF', "EXECUTE ranged ('$since', '$until')");
    my ($generic) = plans("SET plan_cache_mode = force_generic_plan;
        PREPARE ranged (timestamptz, timestamptz) AS $sum timeshard_between(id, \$1, \$2)",
        ', ANALYZE, BUFFERS, TIMING OFF', "EXECUTE ranged ('$since', '$until')");
    uses_key($reference, "$name, created_at", 'by_time');
    my $real = scan_of($reference)->{'Actual Rows'};
    my $expected = scan_of($reference)->{'Plan Rows'};
    for ([ 'literals', $literal ], [ 'parameters', $parameter ], [ 'a generic plan', $generic ])
    {
        my ($how, $plan) = ("$name, $_->[0]", $_->[1]);
        my $scan = scan_of($plan);
        uses_key($plan, $how);
        unlike($scan->{'Index Cond'}, qr/timeshard_between/, "$how: inlined");
        is($scan->{'Actual Rows'}, $real, "$how: so many rows");
        # The two indexes are of one size, but their pages may end elsewhere.
        cmp_ok(buffers($plan), '<=', 1.01 * buffers($reference) + 3, "$how: as few pages as created_at");
        if ($plan == $generic)
        {
            # ANALYZE knows the number of rows to within a sample.
            cmp_ok(abs($scan->{'Plan Rows'} - 0.005 * $rows), '<', 0.001 * 0.005 * $rows, "$how: a guess of 0.5 %");
            next;
        }
        within_factor_two($scan->{'Plan Rows'}, $real, $how);
        # One sample serves both columns.
        cmp_ok(abs($scan->{'Plan Rows'} - $expected), '<=', 0.02 * $expected + 10, "$how: the estimate of created_at");
    }
}

# NOT gives the other rows, all of them, also where no row can be inside.
subtest 'the rows outside a range' => sub {
    my @all = (@ranges, [ 'after the end', 'infinity', 'infinity' ], [ 'past the last ID', '2200-01-01', 'infinity' ],
        [ 'before the beginning', '-infinity', '-infinity' ]);
    for my $mode ('custom', 'generic')
    {
        my $calls = join ', ', map { "(SELECT sum(n) FROM counts('$_->[1]', '$_->[2]') AS n)" } @all;
        my $counts = "SET plan_cache_mode = force_${mode}_plan;
            CREATE OR REPLACE FUNCTION counts(since timestamptz, until timestamptz) RETURNS SETOF bigint LANGUAGE plpgsql AS \$\$
            BEGIN
                RETURN NEXT (SELECT count(*) FROM events WHERE timeshard_between(id, since, until));
                RETURN NEXT (SELECT count(*) FROM events WHERE NOT timeshard_between(id, since, until));
            END \$\$;";
        is($node->safe_psql('postgres', "$counts SELECT $calls"), join('|', ($rows) x @all), "and those inside are all, $mode plan");
    }
    is($node->safe_psql('postgres', "SELECT count(*) FROM events WHERE NOT timeshard_between(id, 'infinity', 'infinity')"),
        $rows, 'with literals');
};

subtest 'a day reads its own pages and little else' => sub {
    my $range = "timeshard_between(id, '2026-01-20', '2026-01-21')";
    my ($plan) = plans('', ', ANALYZE, BUFFERS, TIMING OFF', "$sum $range");
    my ($count, $heap, $key_pages, $all) = split /\|/, $node->safe_psql('postgres', <<"SQL");
SELECT count(*), count(DISTINCT (ctid::text::point)[0]),
       ceil(count(*) * pg_relation_size('events_pkey') / 8192.0 / $rows),
       pg_relation_size('events') / 8192 FROM events WHERE $range
SQL
    # Neighbours are out of order by two seconds, some rows: a row may lie on a page
    # that the scan has just left. Other than that, the descent and the ends.
    note(buffers($plan) . " pages for $count rows on $heap pages, $key_pages of the key; the table has $all");
    cmp_ok(buffers($plan), '>=', $heap, 'the pages are counted');
    cmp_ok(buffers($plan), '<=', 1.5 * $heap + $key_pages + 10, 'no page is read in vain');
    cmp_ok(1.5 * $heap + $key_pages + 10, '<', $all / 20, 'which is a small part');
};

subtest 'other ways to ask' => sub {
    my $analyze = ', ANALYZE, BUFFERS, TIMING OFF';
    my $from = sub { $node->safe_psql('postgres', "SELECT count(*) FROM events WHERE created_at >= '$_[0]'") };
    my $seconds = $node->safe_psql('postgres', "SELECT floor(extract(epoch FROM now() - '2026-02-15'))");
    my ($epoch) = $node->safe_psql('postgres', 'SELECT custom_epoch FROM timeshard_config()');
    my %lower = (
        'a lower bound' => "id >= timeshard_lower_bound('2026-02-15')",
        'a lower bound by the epoch' => "id >= timeshard_lower_bound('2026-02-15', $epoch)",
        'a lower bound in a subquery' => "id >= (SELECT timeshard_lower_bound('2026-02-15'))");
    for my $name (sort keys %lower)
    {
        my ($plan) = plans('', $analyze, "$sum $lower{$name}");
        uses_key($plan, $name);
        is(scan_of($plan)->{'Actual Rows'}, $from->('2026-02-15'), "$name: so many rows");
        within_factor_two(scan_of($plan)->{'Plan Rows'}, scan_of($plan)->{'Actual Rows'}, $name) if $name !~ /subquery/;
    }
    my ($subqueries) = plans('', $analyze,
        "$sum timeshard_between(id, (SELECT '2026-02-15'::timestamptz), (SELECT max(created_at) + interval '1 s' FROM events))");
    is((grep { ($_->{'Index Cond'} // '') =~ /^\(\(id > timeshard_last_before/ } nodes($subqueries->{Plan})), 1, 'subqueries: by the key');

    my ($prepared) = plans("SET plan_cache_mode = force_custom_plan;
        PREPARE since (timestamptz) AS $sum id >= timeshard_lower_bound(\$1)", $analyze, "EXECUTE since ('2026-02-15')");
    uses_key($prepared, 'a lower bound by parameter');
    within_factor_two(scan_of($prepared)->{'Plan Rows'}, scan_of($prepared)->{'Actual Rows'}, 'a lower bound by parameter');
    my ($unknown) = plans("SET plan_cache_mode = force_generic_plan;
        PREPARE since (timestamptz) AS $sum id >= timeshard_lower_bound(\$1)", '', "EXECUTE since ('2026-02-15')");
    cmp_ok(abs(scan_of($unknown)->{'Plan Rows'} - $rows / 3), '<', 0.001 * $rows, 'a lower bound in a generic plan: a guess of a third');

    my ($recent) = plans('', $analyze,
        "$sum timeshard_between(id, now() - interval '$seconds s', now() - interval '$seconds s' + interval '1 day')");
    uses_key($recent, 'by now()');
    within_factor_two(scan_of($recent)->{'Plan Rows'}, scan_of($recent)->{'Actual Rows'}, 'by now()');

    # The inner side of a join cannot know its range, and still goes by the key.
    my ($join) = plans('', $analyze, "SELECT day, sum(n) FROM generate_series('2026-01-05'::timestamptz, '2026-01-07', '1 day')
        AS day JOIN events ON timeshard_between(id, day, day + interval '1 day') GROUP BY day");
    uses_key($join, 'a join on days');

    my ($latest) = plans('', $analyze, "SELECT n FROM events WHERE timeshard_between(id, '2026-02-01', '2026-02-10')
        ORDER BY id DESC LIMIT 20");
    uses_key($latest, 'the latest 20');
    is(scan_of($latest)->{'Scan Direction'}, 'Backward', 'the latest 20: no sort');
    cmp_ok(buffers($latest), '<=', 25, 'the latest 20: a few pages');

    # From another schema, with nothing on the search path, as another role.
    my ($bare) = plans('CREATE ROLE reader; GRANT SELECT ON events TO reader; SET ROLE reader; SET search_path = public', '',
        "$sum timeshard_between(id, '2026-01-20', '2026-01-21')");
    uses_key($bare, 'as another role');
    fails_with($node, "REVOKE EXECUTE ON FUNCTION timeshard_last_before FROM PUBLIC; SET ROLE reader;
        $sum timeshard_between(id, '2026-01-20', '2026-01-21')", qr/permission denied for function timeshard_last_before/,
        'without the right to what is inlined');
    $node->safe_psql('postgres', 'GRANT EXECUTE ON FUNCTION timeshard_last_before TO PUBLIC');
};

# What the checks above would say if it were not inlined, or not stable.
subtest 'the checks can fail' => sub {
    $node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION strict_between(id bigint, since timestamptz, until timestamptz) RETURNS boolean LANGUAGE sql STABLE STRICT
    RETURN id > timeshard_last_before(since) AND id <= timeshard_last_before(until);
SQL
    my ($strict, $volatile) = plans('', '', "$sum strict_between(id, '2026-01-20', '2026-01-21')",
        "$sum timeshard_between(id, clock_timestamp() - interval '1 day', clock_timestamp())");
    is(scan_of($strict)->{'Node Type'}, 'Seq Scan', 'a function that is not inlined reads the table');
    is(scan_of($volatile)->{'Node Type'}, 'Seq Scan', 'so does a time that changes from row to row');
    my $estimate = scan_of($strict)->{'Plan Rows'};
    cmp_ok($estimate, '>', 200_000, 'and its estimate is a guess');
};

# The two ways take turns, so that what disturbs one disturbs the other. The
# strict check is that of pages, above. Medians were seen within a quarter of each
# other, either way round, with five busy processes to a processor: hence half.
subtest 'a day is as fast as by created_at' => sub {
    my @queries = ("$sum timeshard_between(id, '2026-01-20', '2026-01-21')",
        "$sum created_at >= '2026-01-20' AND created_at < '2026-01-21'");
    my @plans = plans('', ', ANALYZE, TIMING OFF', (@queries) x 12);
    splice @plans, 0, 2;
    my $median = sub { my @sorted = sort { $a <=> $b } @_; $sorted[ @sorted / 2 ] };
    my @time = map { my $kind = $_; $median->(map { $plans[ 2 * $_ + $kind ]{'Execution Time'} } 0 .. 10) } 0, 1;
    note(sprintf 'by ID %.1f ms, by created_at %.1f ms', @time);
    cmp_ok($time[0], '<=', 1.5 * $time[1], 'no slower');
};

subtest 'text keys' => sub {
    $node->safe_psql('postgres', <<'SQL');
CREATE UNLOGGED TABLE orders AS
SELECT timeshard_format(id, prefix) COLLATE "C" AS id, created_at, prefix, n
FROM events, LATERAL (SELECT (ARRAY['INV_', 'ORD_', 'PAY_'])[1 + n % 3] AS prefix) AS p WHERE n % 5 = 0;
ALTER TABLE orders ADD PRIMARY KEY (id);
VACUUM (ANALYZE, FREEZE) orders;
SQL
    my $bound = sub { "timeshard_format(timeshard_lower_bound('$_[0]'), '$_[1]')" };
    my $check = sub {
        my ($name, $by_id, $by_time, $no_estimate) = @_;
        my ($plan) = plans('', ', ANALYZE, BUFFERS, TIMING OFF', "SELECT sum(n) FROM orders WHERE $by_id");
        uses_key($plan, $name, 'orders_pkey');
        is($node->safe_psql('postgres', "SELECT count(*) FROM orders WHERE ($by_id) IS DISTINCT FROM ($by_time)"),
            0, "$name: exactly the rows of the time");
        within_factor_two(scan_of($plan)->{'Plan Rows'}, scan_of($plan)->{'Actual Rows'}, $name) unless $no_estimate;
    };
    $check->('from a time on', 'id >= ' . $bound->('2026-02-15', 'PAY_'), "created_at >= '2026-02-15' AND prefix = 'PAY_'");
    $check->('ten days', 'id >= ' . $bound->('2026-01-20', 'ORD_') . ' AND id < ' . $bound->('2026-01-30', 'ORD_'),
        "created_at >= '2026-01-20' AND created_at < '2026-01-30' AND prefix = 'ORD_'");

    $check->('a day', 'id >= ' . $bound->('2026-01-20', 'ORD_') . ' AND id < ' . $bound->('2026-01-21', 'ORD_'),
        "created_at >= '2026-01-20' AND created_at < '2026-01-21' AND prefix = 'ORD_'", 1);

    # Of every day, what the planner expects and what there is.
    my $days = sub {
        my ($table, $prefix) = @_;
        my $number = 'SELECT day, timeshard_lower_bound(day) AS low, timeshard_lower_bound(day + interval \'1 day\') AS high
            FROM generate_series(\'2026-01-01\'::timestamptz, \'2026-02-18\', \'1 day\') AS day';
        return map { [ split /\|/ ] } split /\n/, $node->safe_psql('postgres', $prefix eq 'n' ? <<"BY_NUMBER" : <<"BY_TEXT");
SELECT day::date, (plan_of(format('SELECT FROM $table WHERE number >= %s AND number < %s', low, high), '')->'Plan'->>'Plan Rows')::integer,
       (SELECT count(*) FROM $table WHERE number >= low AND number < high) FROM ($number) AS days
BY_NUMBER
SELECT day::date, (plan_of(format('SELECT FROM $table WHERE id >= %L AND id < %L', since, until), '')->'Plan'->>'Plan Rows')::integer,
       (SELECT count(*) FROM $table WHERE id >= since AND id < until)
FROM ($number) AS days, LATERAL (SELECT timeshard_format(low, '$prefix') AS since, timeshard_format(high, '$prefix') AS until) AS ends
BY_TEXT
    };
    my $orders = $node->safe_psql('postgres', 'SELECT count(*) FROM orders');
    my $in_buckets = sub {
        my ($statistics, $name) = @_;
        for my $prefix ('INV_', 'ORD_', 'PAY_')
        {
            my ($worst) = sort { $b <=> $a } map { abs($_->[1] - $_->[2]) * $statistics / $orders } $days->('orders', $prefix);
            cmp_ok($worst, '<', 3, sprintf "$prefix, $name: off by %.2f buckets at most, both ends together", $worst);
        }
    };
    my $factor_two = sub {
        my ($name, @found) = @_;
        my @ratios = sort { $a <=> $b } map { $_->[1] / $_->[2] } @found;
        is(scalar(@ratios), 49, "$name: days");
        ok($ratios[0] >= 0.5 && $ratios[-1] <= 2, sprintf "$name: %.2f to %.2f times the rows expected of every day", @ratios[ 0, -1 ]);
    };

    # Each bucket's ends are those of a sample, and so about right: two buckets, and a half for each.
    $in_buckets->(100, 'default statistics');
    my @default = $days->('orders', 'ORD_');
    cmp_ok(scalar(grep { $_->[1] > 2 * $_->[2] || $_->[2] > 2 * $_->[1] } @default), '>', 5,
        'with them a day is too short to be expected right: the manual must go when this does');

    # The manual's three ways out: four buckets for the shortest range, here the
    # first day, that of fewest rows; the number beside it; no letters.
    my ($fewest) = sort { $a <=> $b } map { $_->[2] } map { $days->('orders', $_) } 'INV_', 'ORD_', 'PAY_';
    my $target = int(4 * $orders / $fewest) + 1;
    note("$fewest rows of $orders: statistics $target");
    $node->safe_psql('postgres', "ALTER TABLE orders ALTER COLUMN id SET STATISTICS $target; ANALYZE orders");
    $in_buckets->($target, 'statistics for a day');
    $factor_two->("$_, statistics for a day", $days->('orders', $_)) for 'INV_', 'ORD_', 'PAY_';
    $check->('a day, statistics for it', 'id >= ' . $bound->('2026-01-20', 'ORD_') . ' AND id < ' . $bound->('2026-01-21', 'ORD_'),
        "created_at >= '2026-01-20' AND created_at < '2026-01-21' AND prefix = 'ORD_'");

    $node->safe_psql('postgres', <<'SQL');
CREATE UNLOGGED TABLE plain AS SELECT timeshard_format(id, '') COLLATE "C" AS id, id AS number FROM events WHERE n % 5 = 0;
ALTER TABLE plain ADD PRIMARY KEY (id), ADD UNIQUE (number);
VACUUM (ANALYZE, FREEZE) plain;
SQL
    $factor_two->('digits only', $days->('plain', ''));
    $factor_two->('the number beside it', $days->('plain', 'n'));
};

subtest 'BRIN' => sub {
    my $key_size = $node->safe_psql('postgres', "SELECT pg_relation_size('events_pkey')");
    $node->safe_psql('postgres', 'ALTER TABLE events DROP CONSTRAINT events_pkey; DROP INDEX by_time;
        CREATE INDEX events_brin ON events USING brin (id); ANALYZE events');
    my $range = "timeshard_between(id, '2026-01-20', '2026-01-21')";
    my ($plan) = plans('', ', ANALYZE, BUFFERS, TIMING OFF', "$sum $range");
    my $scan = scan_of($plan);
    is("$scan->{'Node Type'} " . ($scan->{'Index Name'} // ''), 'Bitmap Index Scan events_brin', 'is used');
    my ($heap, $all) = split /\|/, $node->safe_psql('postgres', "SELECT max(page) - min(page) + 1, pg_relation_size('events') / 8192
        FROM (SELECT (ctid::text::point)[0] AS page FROM events WHERE $range AND n > 0) AS pages");
    # Blocks of 128 pages, of which the first and the last belong to the range in part.
    # The rows for the midnights are at the table's end, and widen one block's range.
    note(buffers($plan) . " pages read; the range lies on $heap, the table has $all");
    cmp_ok(buffers($plan), '<=', $heap + 4 * 128 + 20, 'reads the blocks of the range');
    cmp_ok(buffers($plan), '<', $all / 10, 'which are a small part');
    my $size = $node->safe_psql('postgres', "SELECT pg_relation_size('events_brin')");
    cmp_ok($size, '<', $key_size / 500, "$size bytes, the B-tree $key_size");
};

$node->stop;
done_testing();
