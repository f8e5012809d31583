# timeshard_maintain_partitions() while others read and write: no insert fails, no
# wait is longer than lock_timeout, and a partition that cannot be made or dropped
# now is by the next call. Others who change things in the middle, roles that may not,
# and clocks that differ or jump.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;
use TimeshardSession;

my $node;

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

# The arguments of a call that drops what is older than a day.
my $daily = "'1 day', ahead => %d, keep => '1 day'";

# What a call says, without its CONTEXT lines.
sub maintain
{
    my ($arguments, $role, $settings) = @_;
    my $call = "\\set VERBOSITY verbose\n\\set SHOW_CONTEXT never\nCALL timeshard_maintain_partitions($arguments)";
    my (undef, undef, $err) = $node->psql('postgres', $settings ? "$settings;\n$call" : $call, extra_params => [ $role ? ('-U', $role) : () ]);
    return $err =~ s/^psql:<stdin>:\d+: //mgr =~ s/^LOCATION:.*\n?//mgr;
}

sub count_of
{
    my ($text, $pattern) = @_;
    return scalar(() = $text =~ /$pattern/g);
}

# Partitions of days long ago.
sub make_old
{
    my ($table, $days) = @_;
    query("SELECT command FROM timeshard_partition_plan('$table', '1 day', ahead => 1, at => now() - interval '$days days')\n\\gexec");
    return;
}

# A table with its partitions to another role.
sub give
{
    my ($table, $role) = @_;
    query("SELECT format('ALTER TABLE %s OWNER TO $role', t) FROM (SELECT '$table'::regclass UNION SELECT partition FROM timeshard_partitions('$table')) AS t (t)\n\\gexec");
    return;
}

sub to_drop
{
    my ($table) = @_;
    return query("SELECT count(*) FROM timeshard_partition_plan('$table', " . sprintf($daily, 3) . ") WHERE action = 'drop'");
}

# lock_timeout needs the true clock: libfaketime gives it to signals that interrupt a wait.
$node = new_cluster('maintain', conf => "timezone = 'UTC'\nautovacuum = off");

subtest 'writers and readers while partitions come and go' => sub {
    new_table('visits');
    my $said = maintain("'visits', " . sprintf($daily, 1));
    cmp_ok(count_of($said, qr/NOTICE: .*made partition/), '>=', 2, 'the first call makes the present one and the next') or diag($said);

    my $log = $node->basedir . '/visits';
    my $script = $node->basedir . '/writers.pgbench';
    append_to_file($script, <<'SQL');
INSERT INTO visits (n) VALUES (1);
INSERT INTO visits (id) VALUES (timeshard_next_id() + (3600000::bigint << 22));
BEGIN;
INSERT INTO visits (n) SELECT 2 FROM generate_series(1, 10);
SELECT count(*) FROM visits WHERE timeshard_between(id, now() - interval '1 second', now());
END;
SQL
    my ($out, $err) = ('', '');
    my $writers = IPC::Run::start([ 'pgbench', '-n', '-h', $node->host, '-p', $node->port, '-f', $script, '-c', 4, '-T', 3600,
        '-l', "--log-prefix=$log", 'postgres' ], '>', \$out, '2>', \$err);
    my ($rows, $made, $dropped, $other) = (0, 0, 0, '');
    for my $round (2 .. 9)
    {
        eventually(sub { query('SELECT count(*) FROM visits') > $rows }) or die "nothing is written: $err";
        make_old('visits', 10 * $round);
        $said = maintain("'visits', " . sprintf($daily, $round) . ", lock_timeout => '1 s'");
        $made += count_of($said, qr/made partition/);
        $dropped += count_of($said, qr/dropped partition/);
        $other .= $said =~ s/^NOTICE: .*\n?//mgr;
        $rows = query('SELECT count(*) FROM visits');
    }
    $writers->signal('INT');
    $writers->finish;
    my @latencies = map { /^\d+ \d+ (\d+) / ? $1 : () } map { split /\n/, slurp_file($_) } glob "$log.*";
    my ($longest) = sort { $b <=> $a } @latencies;
    cmp_ok($made, '>=', 8, 'each call makes one');
    cmp_ok($dropped, '>=', 14, 'and drops the old ones') or diag($other);
    is($other =~ s/^(?:WARNING:  55P03: could not drop|DETAIL:  canceling|HINT:  The next call).*\n?//mgr, '', 'with nothing else to say');
    unlike("$out$err", qr/ERROR|aborted/i, 'no statement failed');
    cmp_ok(scalar(@latencies), '>', 100, 'many were run');
    cmp_ok($longest / 1e6, '<', 3, 'none waited for long');
    note(scalar(@latencies) . ' transactions, the longest took ' . $longest / 1e3 . " ms; made $made, dropped $dropped");
};

subtest 'a long transaction' => sub {
    new_table('orders');
    maintain("'orders', '1 day', ahead => 1");
    make_old('orders', 10);
    my $old = to_drop('orders');
    my $writer = TimeshardSession->new($node);
    $writer->ask_ok('BEGIN; INSERT INTO orders DEFAULT VALUES');
    my $said = maintain("'orders', '1 day', ahead => 3, lock_timeout => '100 ms'");
    is(count_of($said, qr/^NOTICE:  00000: made partition public\.orders_\S+, \S+ 00:00:00 to \S+ 00:00:00 UTC$/m), 2, 'does not hold up what is made');
    unlike($said, qr/WARNING|ERROR/, 'not at all');

    # Others queue behind the drop, but for lock_timeout only.
    my $caller = TimeshardSession->new($node);
    $caller->ask_ok('\set SHOW_CONTEXT never');
    $caller->send("CALL timeshard_maintain_partitions('orders', " . sprintf($daily, 3) . ", lock_timeout => '3 s')");
    $caller->await("wait_event_type = 'Lock'");
    my $start = monotonic();
    query('INSERT INTO orders DEFAULT VALUES');
    my $lasted = monotonic() - $start;
    (undef, $said) = $caller->receive;
    cmp_ok($lasted, '<', 6, 'an insert meanwhile gets through');
    is(count_of($said, qr/^WARNING:  55P03: could not drop partition public\.orders_\S+ now\n(?:LOCATION.*\n)?DETAIL:  canceling statement due to lock timeout\nHINT:  The next call tries again\.$/m),
        1, 'nothing is dropped, with a warning, after which no other drop holds up others') or diag($said);
    unlike($said, qr/ERROR|dropped/, 'and no error');

    # Another caller waits for lock_timeout only.
    $caller->send("CALL timeshard_maintain_partitions('orders', " . sprintf($daily, 3) . ", lock_timeout => '1 h')");
    $caller->await("wait_event_type = 'Lock'");
    $said = maintain("'orders', " . sprintf($daily, 100) . ", lock_timeout => '100 ms'");
    like($said, qr/^WARNING:  55P03: could not maintain partitions of table "orders" now\nDETAIL:  Another session [^\n]+\nHINT:  The next call tries again\.\n?\z/, 'a second caller gives up');
    $writer->ask_ok('COMMIT');
    (undef, $said) = $caller->receive;
    is(count_of($said, qr/NOTICE:  00000: dropped partition/), $old, 'what waited is dropped when the transaction ends') or diag($said);
    unlike($said, qr/WARNING|ERROR/, 'without a complaint');
    is(to_drop('orders'), 0, 'so nothing is left to drop');
    is(query('SELECT count(*) FROM orders'), 2, 'and every row of the present is there');
    $_->finish for $writer, $caller;
};

subtest 'time zones' => sub {
    # Some of these times have another distance from now in Berlin than in UTC.
    for my $days (100, 200)
    {
        new_table("hours_$days");
        query("SELECT command FROM timeshard_partition_plan('hours_$days', '1 hour', ahead => 3, at => now() - interval '$days days 2 hours')\n\\gexec");
        my $said = maintain("'hours_$days', '1 hour', keep => '$days days'", undef, "SET timezone = 'Europe/Berlin'; SET statement_timeout = '1 min'");
        like($said, qr/dropped partition/, "$days days ago in Berlin");
        unlike($said, qr/ERROR/, 'without an error');
        is(query("SELECT count(*) FROM timeshard_partition_plan('hours_$days', '1 hour', keep => '$days days') WHERE action = 'drop' AND until < now() - interval '$days days 1 minute'"), 0,
            'all is dropped that the plan says');
    }
};

subtest 'what a person has to see to' => sub {
    new_table('pages');
    query('CREATE TABLE pages_default PARTITION OF pages DEFAULT; INSERT INTO pages DEFAULT VALUES');
    my $said = maintain("'pages', '1 day', ahead => 2");
    cmp_ok(count_of($said, qr/made partition/), '>=', 2, 'rows in the default partition do not keep others back');
    like($said, qr/^ERROR:  23514: could not make or drop every partition of table "pages"\nDETAIL:  Could not make partition public\.pages_\S+: .*"pages_default"/m, 'they are told of');
    my ($find) = $said =~ /Find the rows: (.*)/;
    is(query($find =~ s/\*/count(*)/r), 1, 'with a query that finds them');
    query('DELETE FROM pages_default');
    is(count_of(maintain("'pages', '1 day', ahead => 2"), qr/made partition/), 1, 'the next call makes it when they are gone');

    make_old('pages', 10);
    my $old = to_drop('pages');
    query("CREATE TABLE links (page bigint REFERENCES pages); INSERT INTO pages (id) VALUES (timeshard_lower_bound(now() - interval '10 days'));
        INSERT INTO links SELECT id FROM pages");
    $said = maintain("'pages', " . sprintf($daily, 4));
    is(count_of($said, qr/made partition/), 2, 'a row that is referenced holds up nothing that is made');
    is(count_of($said, qr/dropped partition/), $old - 1, 'nor other drops');
    like($said, qr/^ERROR:  23503: could not make or drop .*\nDETAIL:  Could not drop partition public\.pages_\S+: removing partition .* violates foreign key constraint .*\nKey .* is still referenced from table "links"\.\nHINT:  .+\.$/m,
        'its partition stays, with an error');
    is(query('SELECT count(*) FROM pages JOIN links ON page = id'), 1, 'and its rows');
};

# A session that calls, and waits for a lock by now.
sub waiting_caller
{
    my ($arguments, $settings) = @_;
    my $caller = TimeshardSession->new($node);
    $caller->ask_ok('\set SHOW_CONTEXT never');
    $caller->ask_ok($settings) if $settings;
    $caller->send("CALL timeshard_maintain_partitions($arguments)");
    $caller->await("wait_event_type = 'Lock'");
    return $caller;
}

sub answer_of
{
    my ($caller) = @_;
    my (undef, $said) = $caller->receive;
    $caller->finish;
    return $said;
}

subtest 'others change things in the middle' => sub {
    my $other = TimeshardSession->new($node);
    new_table('days');
    $other->ask_ok('BEGIN; LOCK TABLE days IN SHARE UPDATE EXCLUSIVE MODE');
    my @callers = map { waiting_caller("'days', '1 day', lock_timeout => '1 min'", "SET default_transaction_isolation = '$_'") } 'repeatable read', 'serializable';
    $other->ask_ok('COMMIT');
    my $said = join '', map { answer_of($_) } @callers;
    is(count_of($said, qr/made partition/), query("SELECT count(*) FROM timeshard_partitions('days')"), 'of two callers one makes each partition, at any isolation level');
    unlike($said, qr/ERROR|WARNING/, 'and the other sees it');

    # As VACUUM FULL locks it.
    my $present = query("SELECT partition FROM timeshard_partitions('days') ORDER BY first_id LIMIT 1");
    $other->ask_ok("BEGIN; LOCK TABLE $present IN ACCESS EXCLUSIVE MODE");
    $said = maintain("'days', " . sprintf($daily, 5) . ", lock_timeout => '100 ms'");
    is(count_of($said, qr/made partition/), 2, 'another partition that is locked holds up nothing');
    unlike($said, qr/ERROR|WARNING/, 'not at all');
    $other->ask_ok('COMMIT');

    make_old('days', 10);
    query('INSERT INTO days DEFAULT VALUES');
    my ($old) = split /\n/, query("SELECT partition FROM timeshard_partitions('days') ORDER BY first_id");
    my $today = query('SELECT tableoid::regclass FROM days');
    $other->ask_ok('BEGIN; LOCK TABLE ONLY days IN ACCESS SHARE MODE');
    my $caller = waiting_caller("'days', " . sprintf($daily, 5) . ", lock_timeout => '1 min'");
    query("BEGIN; ALTER TABLE $old RENAME TO renamed; ALTER TABLE $today RENAME TO $old; COMMIT");
    $other->ask_ok('COMMIT');
    like(answer_of($caller), qr/ERROR:  55006: could not make or drop .*\n(?:LOCATION.*\n)?DETAIL:  Could not drop partition public\.$old: partition public\.$old was renamed meanwhile/, 'a name that another partition has got');
    is(query('SELECT count(*) FROM days'), 1, 'is not dropped');

    $other->ask_ok('BEGIN; SELECT FROM days');
    my $detacher = TimeshardSession->new($node);
    $detacher->send("ALTER TABLE days DETACH PARTITION $old CONCURRENTLY");
    $detacher->await("wait_event_type = 'Lock'");
    query('SELECT pg_cancel_backend(' . $detacher->pid . ')');
    $detacher->receive;
    $other->ask_ok('COMMIT');
    $said = maintain("'days', " . sprintf($daily, 5));
    my ($finish) = $said =~ /^DETAIL:  Partition public\.$old is half detached: .* finish it: (.*)$/m;
    ok($finish, 'a partition that is half detached is told of') or diag($said);
    query($finish);
    unlike(maintain("'days', " . sprintf($daily, 5)), qr/ERROR|WARNING/, 'until it is detached');
    $_->finish for $other, $detacher;
};

subtest 'who may' => sub {
    query('CREATE ROLE keeper LOGIN; CREATE ROLE cron LOGIN IN ROLE keeper; CREATE SCHEMA kept AUTHORIZATION keeper');
    new_table('kept.visits');
    query('ALTER TABLE kept.visits OWNER TO keeper');
    my $superuser = query('SELECT current_user');
    for my $role ('cron', $superuser)
    {
        like(maintain("'kept.visits', '1 day'", $role), qr/^ERROR:  42501: role "$role" must not maintain .* of role "keeper"\nDETAIL:  Code of .*\nHINT:  Connect as role "keeper"\.$/m, "not $role");
    }
    like(maintain("'kept.visits', '1 day'", 'keeper'), qr/made partition/, 'the owner');
    is(query("SELECT string_agg(DISTINCT relowner::regrole::text, ' ') FROM timeshard_partitions('kept.visits') JOIN pg_class ON oid = partition"),
        'keeper', 'whose the partitions are');

    # Rows that the owner may not see are referenced all the same.
    make_old('kept.visits', 10);
    give('kept.visits', 'keeper');
    query("INSERT INTO kept.visits (id) VALUES (timeshard_lower_bound(now() - interval '10 days'));
        CREATE TABLE kept.clicks AS SELECT id AS visit FROM kept.visits; ALTER TABLE kept.clicks OWNER TO keeper, ADD FOREIGN KEY (visit) REFERENCES kept.visits;
        ALTER TABLE kept.clicks ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY none ON kept.clicks USING (false)");
    like(maintain("'kept.visits', " . sprintf($daily, 3), 'keeper'), qr/Could not drop partition .*: query would be affected by row-level security policy for table "clicks"/, 'rows that the owner may not see');
    is(query('SELECT count(*) FROM kept.visits JOIN kept.clicks ON id = visit'), 1, 'keep what they reference');
    query('DROP TABLE kept.clicks');
    query('CREATE TABLE kept.tenants (t bigint PRIMARY KEY); ALTER TABLE kept.tenants OWNER TO keeper, ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
        ALTER TABLE kept.visits ADD COLUMN tenant bigint REFERENCES kept.tenants');
    like(maintain("'kept.visits', '1 day', ahead => 4", 'keeper'), qr/\ANOTICE: .*made partition [^\n]*\n\z/, 'but hold up none that is made');

    # One that cannot be dropped holds up no other.
    my ($oldest) = split /\n/, query("SELECT partition FROM timeshard_partitions('kept.visits') ORDER BY first_id");
    query("CREATE SCHEMA closed; ALTER TABLE $oldest SET SCHEMA closed");
    my $said = maintain("'kept.visits', " . sprintf($daily, 3), 'keeper');
    like($said, qr/^DETAIL:  Could not drop partition closed\.\S+: permission denied for schema closed$/m, 'a partition in a closed schema');
    like($said, qr/dropped partition kept/, 'holds up no other');
    query('DROP SCHEMA closed CASCADE');

    # A superuser's table in the schema of somebody who would put another in its place.
    give('kept.visits', $superuser);
    query('GRANT CREATE ON DATABASE postgres TO keeper');
    query('ALTER TABLE kept.visits DROP COLUMN tenant');
    my $next = query("SELECT partition FROM timeshard_partition_plan('kept.visits', '1 day', ahead => 5) LIMIT 1");
    my $holder = TimeshardSession->new($node);
    $holder->ask_ok('BEGIN; LOCK TABLE kept.visits IN SHARE UPDATE EXCLUSIVE MODE');
    my $caller = waiting_caller("'kept.visits', '1 day', ahead => 5, lock_timeout => '1 min'");
    fails_with($node, "SET ROLE keeper; SET lock_timeout = '200 ms'; ALTER SCHEMA kept RENAME TO other", qr/canceling statement due to lock timeout/, 'the schema cannot be renamed meanwhile');
    $holder->ask_ok('ROLLBACK');
    like(answer_of($caller), qr/made partition \Q$next\E/, 'and the partition is made');

    # Or who joins a table to it in the middle.
    query('CREATE TABLE kept.clicks (visit bigint); ALTER TABLE kept.clicks OWNER TO keeper; GRANT REFERENCES ON kept.visits TO keeper');
    $holder->ask_ok('SET ROLE keeper; BEGIN; ALTER TABLE kept.clicks ADD FOREIGN KEY (visit) REFERENCES kept.visits');
    $caller = waiting_caller("'kept.visits', '1 day', ahead => 6, lock_timeout => '1 min'");
    $holder->ask_ok('COMMIT');
    my $refused = answer_of($caller);
    like($refused, qr/^ERROR:  42501: partitions of table "visits" must not be maintained beside table kept\.clicks of role "keeper"$/m, 'a table of another role');
    unlike($refused, qr/made|dropped/, 'before any step');
    $holder->finish;
};
$node->stop;

subtest 'clocks' => sub {
    $node = new_cluster('maintain_clock', clock => 1, conf => "timezone = 'UTC'\nautovacuum = off");
    # Just after an hour began; servers' clocks are up to an hour away.
    my $offset = 3660 - query('SELECT extract(epoch FROM now())::integer % 3600');
    set_clock($node, "+$offset");
    new_table('clicks');
    maintain("'clicks', '1 hour', ahead => 1");
    for my $away ('-59 minutes', '0', '59 minutes')
    {
        is(query("INSERT INTO clicks (id) VALUES (timeshard_lower_bound(now() + interval '$away')) RETURNING id > 0"),
            't', "an ID by a clock that is $away away");
    }
    query('SELECT timeshard_next_id()');
    my $other = TimeshardSession->new($node);
    $other->ask_ok('BEGIN; LOCK TABLE clicks IN SHARE UPDATE EXCLUSIVE MODE');
    set_clock($node, sprintf '%+d', $offset + 1000 * 86400);
    my $caller = waiting_caller("'clicks', '1 hour', keep => '90 days', lock_timeout => '1 min'");
    set_clock($node, "+$offset");
    $other->ask_ok('COMMIT');
    $other->finish;
    unlike(answer_of($caller), qr/dropped|ERROR/, 'a clock that was ahead when the call began drops nothing');
    my $present = query("SELECT count(*) FROM timeshard_partitions('clicks') WHERE timeshard_time(first_id) < now() + interval '1 day'");

    set_clock($node, sprintf '%+d', $offset + 1000 * 86400);
    my $said = maintain("'clicks', '1 hour', keep => '90 days'");
    like($said, qr/ERROR:  55000: clock has jumped ahead/, 'a clock that has jumped ahead is refused');
    unlike($said, qr/dropped/, 'and nothing is dropped by it');
    is(query('SELECT count(*) FROM clicks'), 3, 'all rows are there');
    query('SELECT timeshard_accept_clock()');
    $said = maintain("'clicks', '1 hour', keep => '90 days'");
    is(count_of($said, qr/dropped partition/), $present, 'until the clock is accepted') or diag($said);
    $node->stop;
};

subtest 'a lost epoch' => sub {
    my $epoch = 'timeshard.custom_epoch = ' . 1000 * (time - 300 * 86400);
    $node = new_cluster('maintain_epoch', conf => "timezone = 'UTC'\n$epoch");
    new_table('sales');
    maintain("'sales', '1 day', ahead => 3");
    query('INSERT INTO sales DEFAULT VALUES');
    configure($node, "timezone = 'UTC'");
    restart_with_env($node);
    for (', ahead => 5', ", keep => '90 days'")
    {
        my $said = maintain("'sales', '1 day'$_");
        like($said, qr/^ERROR:  55000: partition public\.sales_\S+ was made with another epoch\nDETAIL:  Its comment is /m, "is noticed$_");
        unlike($said, qr/made partition|dropped/, 'and nothing is made or dropped by it');
    }
    configure($node, "timezone = 'UTC'", $epoch);
    restart_with_env($node);
    is(query('SELECT count(*) FROM sales'), 1, 'all rows are there');
    unlike(maintain("'sales', '1 day', ahead => 3, keep => '90 days'"), qr/ERROR|dropped/, 'and with the epoch of before it works');
    $node->stop;
};

done_testing();
