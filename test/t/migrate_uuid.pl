# doc/migration.md, from UUID keys: small tables in one transaction, there and back;
# big ones under clients that speak of UUIDs until the switch and of IDs after it;
# what IDs the old rows get, and each step with the locks that the page names.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use BusyClients;
use Migration;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;
use TimeshardSession;

my $heading = 'From UUID keys';
my $node = migration_cluster('uuid');

sub shape
{
    my ($db) = @_;
    return shape_of($node, $db, qw(accounts logins));
}
my $by_uuid = 'SELECT md5(string_agg(concat_ws(\' \', a.%1$s, a.email, l.id, l.device), \',\' ORDER BY l.id))
    FROM accounts AS a JOIN logins AS l ON l.%2$s = a.%1$s WHERE a.email LIKE \'user%%\'';
my $in_order = "SELECT bool_and(in_order), min(timeshard_time(id)) > now() - interval '1 hour'
    FROM (SELECT id, email, id > lag(id, 1, 0::bigint) OVER (ORDER BY created_at, uuid) AS in_order FROM accounts) AS a
    WHERE email LIKE 'user%'";

my $each_id = "SELECT md5(string_agg(uuid || ' ' || id, ',' ORDER BY uuid)) FROM accounts";

subtest 'small tables' => sub {
    my $db = new_database($node, 'small');
    run_steps($node, $db, 'uuid-tables', 'uuid-switch');
    my ($shape, $content) = (shape($db), query($node, $db, sprintf $by_uuid, 'id', 'account_id'));
    locks_hold($node, $db, $heading, 'uuid', 'small');
    is(query($node, $db, sprintf $by_uuid, 'uuid', 'account_uuid'), $content, 'the UUIDs are as they were');
    is(query($node, $db, 'SELECT count(*) FROM logins AS l JOIN accounts AS a ON a.id = l.account_id AND a.uuid = l.account_uuid'),
        2000, 'and the IDs lead to the same accounts');
    is(query($node, $db, $in_order), 't|t', 'IDs in the order of created_at, of the time of the migration');
    is(query($node, $db, "INSERT INTO accounts (email) VALUES ('new') RETURNING id > (SELECT max(id) FROM accounts)"), 't', 'new ones are above');
    query($node, $db, "INSERT INTO logins (account_id, device) SELECT id, 'new' FROM accounts WHERE email = 'new'");

    my $ids = query($node, $db, $each_id);
    locks_hold_back($db);
    is(query($node, $db, sprintf $by_uuid, 'id', 'account_id'), $content, 'the way back leads to the same rows');
    is(query($node, $db, $each_id =~ s/ id/ new_id/r =~ s/uuid/id/gr), $ids, 'which keep their IDs beside');
    query($node, $db, "INSERT INTO accounts (email) VALUES ('later') RETURNING new_id");
    run_steps($node, $db, map { "uuid-$_" } 7 .. 10);
    is(query($node, $db, "$each_id WHERE email <> 'later'"), $ids, 'and have them again after another switch');
    run_steps($node, $db, 'uuid-back', 'uuid-undo');
    is(shape($db), $shape, 'given up, all is as it was at the beginning');
    is(query($node, $db, "SELECT device FROM logins JOIN accounts AS a ON a.id = account_id WHERE email = 'new'"), 'new',
        'and those that came meanwhile');
    run_steps($node, $db, 'uuid-small');
    is(query($node, $db, $in_order), 't|t', 'and there again');
};

# "back" is tried in a transaction with the VALIDATE, which reads, behind it.
sub locks_hold_back
{
    my ($db) = @_;
    my $session = TimeshardSession->new($node, $db);
    my ($call, $validate) = block_text('uuid-back') =~ /^(CALL.*?;\n)(ALTER.*)\z/s;
    my (undef, $log) = $session->ask("SET client_min_messages = debug1;\nBEGIN;\n$call");
    unlike($log, qr/ERROR/, 'back: no error');
    $session->ask('SET LOCAL client_min_messages = warning');
    is( $session->ask_ok("SELECT string_agg(DISTINCT relation::regclass::text, ' ') FROM pg_locks JOIN pg_class AS c ON c.oid = relation
            WHERE pid = pg_backend_pid() AND mode = 'AccessExclusiveLock' AND relkind = 'r'"),
        'accounts logins', 'back: the lock');
    unlike($log, qr/DEBUG: .*(?:rewriting|verifying|validating|building)/, 'back: for how long');
    $session->ask('ROLLBACK');
    $session->finish;
    return run_steps($node, $db, 'uuid-back');
}

subtest 'the locks' => sub {
    my $db = new_database($node, 'locks');
    run_steps($node, $db, 'uuid-tables', 'uuid-switch');
    my $shape = shape($db);
    my $to_switch = sub {
        locks_hold($node, $db, $heading, 'uuid', 1 .. 3);
        watched_locks_hold($node, $db, $heading, 'uuid', 4,
            [ 'accounts', 'RowExclusive', "UPDATE accounts SET email = email WHERE email = 'user7\@example.com'" ]);
        locks_hold($node, $db, $heading, 'uuid', 5);
        watched_locks_hold($node, $db, $heading, 'uuid', 6,
            [ 'logins', 'RowExclusive', "UPDATE logins SET device = device WHERE id = (SELECT min(id) FROM logins)" ]);
        watched_locks_hold($node, $db, $heading, 'uuid', 7,
            [ 'accounts', 'ShareUpdateExclusive', "INSERT INTO accounts (email) VALUES ('holder')" ],
            [ 'logins', 'ShareUpdateExclusive', "INSERT INTO logins (account_id, device) SELECT id, 'x' FROM accounts WHERE email = 'user9\@example.com'" ]);
        locks_hold($node, $db, $heading, 'uuid', 8, 9);
    };
    $to_switch->();
    locks_hold($node, $db, $heading, 'uuid', 'undo');
    is(shape($db), $shape, 'the way back before the switch leaves nothing');
    run_steps($node, $db, map { "uuid-$_" } 1 .. 9);
    locks_hold($node, $db, $heading, 'uuid', 10);
    my $switched = shape($db);
    fails_with($node, block_text('uuid-undo'), qr/column "new_id" of relation "accounts" does not exist/, 'after the switch it is refused', dbname => $db);
    is(shape($db), $switched, 'and changes nothing');
    locks_hold_back($db);
    run_steps($node, $db, map { "uuid-$_" } 7 .. 10);
    is(shape($db), $switched, 'there and back and there again');
    locks_hold($node, $db, $heading, 'uuid', 11);
    is(query($node, $db, $in_order), 't|t', 'IDs in the order of created_at');
};

subtest 'clients go on' => sub {
    my $db = new_database($node, 'live');
    run_steps($node, $db, 'uuid-tables', 'uuid-switch');
    query($node, $db, "ALTER TABLE accounts ADD COLUMN visits integer NOT NULL DEFAULT 0");
    query($node, $db, "INSERT INTO accounts (email, created_at) SELECT 'user' || n, timestamptz '2025-01-01' + (n * 7919 % 30000) * interval '1 minute'
        FROM generate_series(1001, 30000) AS n");
    query($node, $db, "INSERT INTO logins (account_id, device) SELECT id, email FROM accounts WHERE email NOT LIKE '%\@%'");
    query($node, $db, 'ANALYZE');

    # By whatever the key is: quoted, it is a UUID or an ID.
    my $new = <<'SQL';
BEGIN;
INSERT INTO accounts (email) VALUES ('NAME') RETURNING id AS account \gset
INSERT INTO logins (account_id, device) VALUES (:'account', 'NAME');
UPDATE logins SET account_id = :'account', device = 'NAME' WHERE device = 'moving' || pg_backend_pid();
INSERT INTO logins (account_id, device) SELECT :'account', 'moving' || pg_backend_pid() WHERE random() < 0.2;
COMMIT;
\echo :account
SQL
    my $old = <<'SQL';
BEGIN;
SELECT 'user' || 1001 + floor(random() * 29000)::integer AS one, 'user' || 1001 + floor(random() * 29000)::integer AS other \gset
UPDATE accounts SET visits = visits + 1 WHERE email = :'one';
UPDATE logins SET account_id = a.id, device = a.email FROM accounts AS a WHERE a.email = :'one' AND logins.device = :'other';
COMMIT;
SQL
    query($node, $db, 'CREATE INDEX ON logins (device)');
    # One who has rights to write, and to look at accounts, and another search_path.
    query($node, $db, 'CREATE ROLE clerk; GRANT SELECT, INSERT, UPDATE ON accounts, logins TO clerk');
    my $elsewhere = sub { return "SET ROLE clerk;\nSET search_path = pg_catalog;\n" . ($_[0] =~ s/\b(INTO|UPDATE|FROM) (?=accounts|logins)/$1 public./gr) };
    ok(start_clients($node, $db, $new, $elsewhere->($new), $old, $elsewhere->($old)), 'clients write');
    for my $step (1 .. 9)
    {
        run_steps($node, $db, "uuid-$step");
        ok(await_clients(), "clients go on after step $step");
    }
    is(query($node, $db, 'SELECT count(*) > 0 FROM account_map JOIN accounts ON id = old_id WHERE email LIKE \'client%\''), 't',
        'rows that came before step 2 are in the map');
    run_steps($node, $db, 'uuid-10');
    ok(await_clients(), 'clients go on after the switch');
    run_steps($node, $db, 'uuid-back');
    ok(await_clients(), 'and after the way back');
    run_steps($node, $db, map { "uuid-$_" } 7 .. 10);
    ok(await_clients(), 'and there again');
    query($node, $db, 'CREATE TABLE kept AS SELECT * FROM account_map');
    run_steps($node, $db, 'uuid-11');
    ok(await_clients(), 'and at the end');
    is(join("\n", stop_clients($node, $db)), '', 'no client has met an error');

    is(query($node, $db, "SELECT count(*) > 20 FROM written WHERE printed LIKE '%-%-%'"), 't', 'they have written much by UUID');
    is(query($node, $db, "SELECT count(*) > 4 FROM written WHERE printed ~ '^\\d{18,19}\$'"), 't', 'and by ID');
    is(query($node, $db, "SELECT count(*) FROM written AS w WHERE printed <> '' AND NOT EXISTS (SELECT FROM accounts AS a
        JOIN logins AS l ON l.account_id = a.id WHERE a.email = w.name AND l.device = w.name AND w.printed IN (a.id::text, a.uuid::text))"),
        0, 'each row that was committed is there, with its key, by whatever name it was given');
    is(query($node, $db, 'SELECT count(*) FROM accounts LEFT JOIN kept ON old_id = uuid WHERE id <= (SELECT max(new_id) FROM kept) AND old_id IS NULL'),
        0, 'rows that came later are above all old ones');
    is(query($node, $db, 'SELECT count(*) FROM accounts AS a JOIN kept ON old_id = uuid WHERE a.id <> new_id'), 0, 'which have the IDs of the map');
    is(query($node, $db, $in_order), 't|t', 'in the order of created_at');
    is(query($node, $db, "SELECT count(*) FROM logins AS l JOIN accounts AS a ON a.id = account_id WHERE device LIKE 'user%' AND device <> email"), 0,
        'logins belong to their accounts');
    is(query($node, $db, 'SELECT count(*) FROM logins LEFT JOIN accounts AS a ON a.id = account_id WHERE a.id IS NULL'), 0, 'no reference leads nowhere');
    is(query($node, $db, 'SELECT sum(visits) FROM accounts'), query($node, $db, "SELECT count(*) FROM written WHERE printed = ''"), 'no update is lost');
};

subtest 'too few IDs were taken' => sub {
    my $db = new_database($node, 'few');
    run_steps($node, $db, 'uuid-tables', 'uuid-1');
    query($node, $db, 'DELETE FROM account_ids WHERE n > 999');
    run_steps($node, $db, 'uuid-2');
    fails_with($node, block_text('uuid-3'), qr/23502: .*account_map/, 'step 3 says so', dbname => $db);
};

subtest 'IDs with the old times' => sub {
    my $db = new_database($node, 'times');
    run_steps($node, $db, 'uuid-old-times');
    is(query($node, $db, 'SELECT count(*) FROM visit_map AS m JOIN visits AS v ON v.id = m.old_id, timeshard_parse(m.new_id) AS p
        WHERE p.node_id = 1023 AND p.datetime = v.created_at AND p.sequence = m.n'), 1000, 'their parts');
    is(query($node, $db, "SELECT count(*) FROM visit_map WHERE timeshard_between(new_id, '2025-06-01', '2025-06-02')"), 1000, 'a range finds them');
    query($node, $db, 'DROP TABLE visit_map; INSERT INTO visits SELECT gen_random_uuid(), \'2025-07-01\' FROM generate_series(1, 4097)');
    my ($map) = block_text('uuid-old-times') =~ /(CREATE TABLE visit_map.*?CHECK.*?;)/s;
    fails_with($node, $map, qr/23514: /, 'too many in a millisecond', dbname => $db);
    query($node, $db, 'DROP TABLE visit_map; UPDATE visits SET created_at = \'2020-01-01\'');
    fails_with($node, $map, qr/22023: no ID can carry that time/, 'before the epoch', dbname => $db);
};

$node->stop;
done_testing();
