# doc/migration.md, from integer keys: small tables in one transaction, there and
# back; big ones under clients that insert, update and refer all the while; each
# step with the locks that the page names.
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

my $heading = 'From integer keys';
my $node = migration_cluster('integer');
my @tables = qw(tickets comments);
my $types = "SELECT string_agg(table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable, ', ' ORDER BY table_name, column_name)
    FROM information_schema.columns WHERE (table_name, column_name) IN (('tickets', 'id'), ('comments', 'ticket'))";
my $narrow = 'comments.ticket integer NO, tickets.id integer NO';
my $wide = 'comments.ticket bigint NO, tickets.id bigint NO';
my $content = "SELECT md5(string_agg(concat_ws(' ', t.id, t.title, c.id, c.body), ',' ORDER BY c.id))
    FROM tickets AS t JOIN comments AS c ON c.ticket = t.id WHERE c.id <= 2000";

my $wide_shape = sub { return $_[0] =~ s/^(tickets\.id|comments\.ticket) integer/$1 bigint/gmr };

subtest 'small tables' => sub {
    my $db = new_database($node, 'small');
    run_steps($node, $db, 'integer-tables');
    my ($before, $shape) = (query($node, $db, $content), shape_of($node, $db, @tables));
    locks_hold($node, $db, $heading, 'integer', 'small');
    is(query($node, $db, $types), $wide, 'wide');
    is(query($node, $db, $content), $before, 'the same rows');
    is(shape_of($node, $db, @tables), $wide_shape->($shape), 'the same constraints and indexes');
    run_steps($node, $db, 'integer-back');
    is(query($node, $db, $types), $narrow, 'back');
    is(query($node, $db, $content), $before, 'the same rows');
    is(query($node, $db, "INSERT INTO tickets (title) VALUES ('next') RETURNING id"), 1001, 'and the next number');

    run_steps($node, $db, 'integer-small');
    is(query($node, $db, "INSERT INTO tickets (title) VALUES ('new') RETURNING id > 1000000000000"), 't', 'a new key');
    fails_with($node, block_text('integer-back'), qr/22003: .*integer out of range/, 'after which there is no way back', dbname => $db);
};

subtest 'the locks' => sub {
    my $db = new_database($node, 'locks');
    run_steps($node, $db, 'integer-tables');
    my $shape = shape_of($node, $db, @tables);
    my @busy = map { [ $_->[0], $_->[1], "UPDATE $_->[0] SET id = id WHERE id = 7" ] }
      [ 'tickets', 'RowExclusive' ], [ 'comments', 'RowExclusive' ], [ 'tickets', 'ShareUpdateExclusive' ],
      [ 'comments', 'ShareUpdateExclusive' ];
    locks_hold($node, $db, $heading, 'integer', 1);
    watched_locks_hold($node, $db, $heading, 'integer', 2, @busy[ 0, 1 ]);
    is(query($node, $db, 'SELECT count(*) FROM tickets WHERE id_wide IS DISTINCT FROM id'), 0, 'every ticket is done');
    is(query($node, $db, 'SELECT count(*) FROM comments WHERE ticket_wide IS DISTINCT FROM ticket'), 0, 'every comment too');
    watched_locks_hold($node, $db, $heading, 'integer', 3, @busy[ 2, 3 ]);
    locks_hold($node, $db, $heading, 'integer', 4, 5);

    locks_hold($node, $db, $heading, 'integer', 'undo');
    is(shape_of($node, $db, @tables), $shape, 'the way back before the switch leaves nothing');
    run_steps($node, $db, map { "integer-$_" } 1 .. 5);

    my $files = "SELECT string_agg(pg_relation_filenode(oid)::text, ' ' ORDER BY oid) FROM pg_class WHERE relname IN ('tickets', 'comments')";
    my $before = query($node, $db, $files);
    my $prepared = TimeshardSession->new($node, $db);
    $prepared->ask_ok('PREPARE one AS SELECT id FROM tickets WHERE title = \'ticket 1\'; EXECUTE one');
    locks_hold($node, $db, $heading, 'integer', 6, 7);
    is(query($node, $db, $files), $before, 'the switch writes no table anew');
    like(($prepared->ask('EXECUTE one'))[1], qr/cached plan must not change result type/, 'what a prepared statement says');
    $prepared->finish;
    is(shape_of($node, $db, @tables), $wide_shape->($shape), 'in the end all is called as before');
};

subtest 'clients go on' => sub {
    my $db = new_database($node, 'live');
    run_steps($node, $db, 'integer-tables');
    query($node, $db, "ALTER TABLE tickets ADD COLUMN views integer NOT NULL DEFAULT 0");
    query($node, $db, "INSERT INTO tickets (title) SELECT 'more ' || n FROM generate_series(1, 40000) AS n");
    query($node, $db, "INSERT INTO comments (ticket, body) SELECT id, title FROM tickets WHERE title LIKE 'more%'");
    my $before = query($node, $db, $content);
    my $moved = "SELECT count(*) FROM comments AS c JOIN tickets AS t ON t.id = c.ticket WHERE t.title <> c.body AND c.body LIKE 'more%'";
    is(query($node, $db, $moved), 0, 'comments belong to their tickets');

    # A new ticket and its comment, which then moves on to the next ticket with its body.
    my $new = <<'SQL';
BEGIN;
INSERT INTO tickets (title) VALUES ('NAME') RETURNING id AS ticket \gset
INSERT INTO comments (ticket, body) VALUES (:ticket, 'NAME');
UPDATE comments SET ticket = :ticket, body = 'NAME' WHERE body = 'moving' || pg_backend_pid();
INSERT INTO comments (ticket, body) SELECT :ticket, 'moving' || pg_backend_pid() WHERE random() < 0.2;
COMMIT;
\echo :ticket
SQL
    # Views of old tickets, in no order, and an old comment that moves to another old ticket and takes its name.
    my $old = <<'SQL';
BEGIN;
SELECT 1001 + floor(random() * 40000)::integer AS one \gset
SELECT 2001 + floor(random() * 40000)::integer AS other \gset
UPDATE tickets SET views = views + 1 WHERE id = :one;
UPDATE comments SET ticket = t.id, body = t.title FROM tickets AS t WHERE t.id = :one AND comments.id = :other;
COMMIT;
SQL
    query($node, $db, 'CREATE ROLE clerk; GRANT SELECT, INSERT, UPDATE ON tickets, comments TO clerk;
        GRANT USAGE ON SEQUENCE tickets_id_seq, comments_id_seq TO clerk');
    ok(start_clients($node, $db, $new, "SET ROLE clerk;\n$new", $old, "SET ROLE clerk;\n$old"), 'clients write');
    for my $step (1 .. 7)
    {
        run_steps($node, $db, "integer-$step");
        ok(await_clients(), "clients go on after step $step");
    }
    is(join("\n", stop_clients($node, $db)), '', 'no client has met an error');

    is(query($node, $db, $types), $wide, 'wide');
    is(query($node, $db, "SELECT count(*) > 20 FROM written WHERE printed <> ''"), 't', 'they have written much');
    is(query($node, $db, "SELECT count(*) FROM written AS w WHERE printed <> '' AND NOT EXISTS (SELECT FROM tickets AS t
        JOIN comments AS c ON c.ticket = t.id WHERE t.title = w.name AND c.body = w.name AND t.id = w.printed::bigint)"),
        0, 'each row that was committed is there, with its key');
    is(query($node, $db, "SELECT sum(views) FROM tickets"), query($node, $db, "SELECT count(*) FROM written WHERE printed = ''"),
        'no update is lost');
    is(query($node, $db, $moved), 0, 'comments belong to their tickets');
    is(query($node, $db, "SELECT count(*) FROM comments LEFT JOIN tickets AS t ON t.id = ticket WHERE t.id IS NULL"), 0, 'no reference leads nowhere');
    is(query($node, $db, "SELECT count(DISTINCT id > 1000000000000) FROM tickets WHERE title LIKE 'client%'"), 2, 'new keys are IDs');
    is(query($node, $db, $content), $before, 'rows that nobody has touched are as they were');
};

subtest 'a reference that may be null' => sub {
    my $db = new_database($node, 'nulls');
    run_steps($node, $db, 'integer-tables');
    my $null = "INSERT INTO comments (ticket, body) VALUES (NULL, 'none')";
    query($node, $db, "ALTER TABLE comments ALTER COLUMN ticket DROP NOT NULL; $null");
    run_steps($node, $db, map { "integer-$_" } 1 .. 3);
    query($node, $db, block_text('integer-4') =~ s/CHECK \(ticket_wide IS NOT NULL\)/null_check('ticket_wide', 'ticket')/er);
    query($node, $db, $null);
    run_steps($node, $db, 'integer-5');
    query($node, $db, block_text('integer-6') =~ s/^ +ALTER TABLE comments ALTER COLUMN ticket SET NOT NULL;\n//mr);
    query($node, $db, $null);
    is(query($node, $db, $types), $wide =~ s/ticket bigint NO/ticket bigint YES/r, 'wide');
    is(query($node, $db, 'SELECT count(*) FROM comments WHERE ticket IS DISTINCT FROM coalesce(ticket_narrow, ticket) OR ticket IS NULL'), 3,
        'the nulls and all others are as they were');
};

subtest 'an identity column' => sub {
    for my $form ('small', 'big')
    {
        my $db = new_database($node, "identity_$form");
        query($node, $db, block_text('integer-tables') =~ s/id serial/id integer GENERATED ALWAYS AS IDENTITY/r);
        my ($drop) = page_text() =~ /identity column says `(ALTER COLUMN id DROP IDENTITY)` before\s+`SET DEFAULT`/ or die 'the page does not say how';
        if ($form eq 'small')
        {
            query($node, $db, block_text('integer-small') =~ s/(?=ALTER COLUMN id SET DEFAULT)/$drop, /r);
        }
        else
        {
            run_steps($node, $db, map { "integer-$_" } 1 .. 5);
            query($node, $db, block_text('integer-6') =~ s/ALTER COLUMN id_narrow DROP DEFAULT/ALTER COLUMN id_narrow DROP IDENTITY/r);
            run_steps($node, $db, 'integer-7');
        }
        is(query($node, $db, $types), $wide, "$form: wide");
        is(query($node, $db, "INSERT INTO tickets (title) VALUES ('new') RETURNING id > 1000000000000"), 't', "$form: new keys are IDs");
    }
};

# A child that inherits is found by neither the pages nor the rows of its parent.
subtest 'a table that others inherit from' => sub {
    my $db = new_database($node, 'inherits');
    query($node, $db, 'CREATE TABLE t (n integer, m integer); CREATE TABLE child () INHERITS (t);
        INSERT INTO t SELECT generate_series(1, 5); INSERT INTO child SELECT generate_series(1, 100000)');
    query($node, $db, "CALL in_batches('t', 'm = n', 'm IS NULL')");
    is(query($node, $db, 'SELECT tableoid::regclass, count(m) FROM t GROUP BY 1 ORDER BY 2'), "child|0\nt|5", 'is filled without them');
    query($node, $db, "CALL in_batches('child', 'm = n', 'm IS NULL')");
    is(query($node, $db, 'SELECT count(*) FROM t WHERE m IS DISTINCT FROM n'), 0, 'and each of them by its own name');
};

subtest 'an index that fails' => sub {
    my $db = new_database($node, 'failed_index');
    run_steps($node, $db, 'integer-tables', 'integer-1', 'integer-2');
    query($node, $db, 'ALTER TABLE tickets DISABLE TRIGGER zz_widen; UPDATE tickets SET id_wide = 8 WHERE id = 7');
    fails_with($node, block_text('integer-3'), qr/could not create unique index/, 'a value that is there twice', dbname => $db);
    is(query($node, $db, block_text('invalid')), 'tickets_id_wide', 'the page finds what is left behind');
    query($node, $db, 'UPDATE tickets SET id_wide = id WHERE id = 7; ALTER TABLE tickets ENABLE TRIGGER zz_widen');
    fails_with($node, 'ALTER TABLE tickets ALTER id_wide SET NOT NULL, ADD CONSTRAINT tickets_wide PRIMARY KEY USING INDEX tickets_id_wide',
        qr/is not valid/, 'it does not become a key unnoticed', dbname => $db);
    query($node, $db, 'DROP INDEX CONCURRENTLY tickets_id_wide');
    run_steps($node, $db, map { "integer-$_" } 3 .. 7);
    is(query($node, $db, block_text('invalid')), '', 'once it is dropped, all goes on');
};

subtest 'rows that cannot be done' => sub {
    my $db = new_database($node, 'stuck');
    query($node, $db, 'CREATE TABLE t AS SELECT n, NULL::integer AS m FROM generate_series(1, 5) AS n');
    fails_with($node, "CALL in_batches('t', 'm = nullif(n, 3)', 'm IS NULL')", qr/the change leaves rows of t undone/,
        'a change that does not do it', dbname => $db);
    query($node, $db, helpers_text() =~ s/idle > 600/idle > 3/r =~ s/CREATE PROCEDURE/CREATE OR REPLACE PROCEDURE/gr);
    my $holder = TimeshardSession->new($node, $db);
    $holder->ask_ok("BEGIN;\nSELECT FROM t WHERE n = 3 FOR UPDATE");
    fails_with($node, "SET lock_timeout = '10s';\nCALL in_batches('t', 'm = n', 'm IS NULL')", qr/rows of t are left that others have locked/,
        'rows that are locked for long', dbname => $db);
    is(query($node, $db, 'SELECT string_agg(n::text, \' \') FROM t WHERE m IS NULL'), 3, 'the others are done');
    $holder->ask_ok('COMMIT');
    $holder->finish;
    query($node, $db, "CALL in_batches('t', 'm = n', 'm IS NULL')");
    is(query($node, $db, 'SELECT count(*) FROM t WHERE m = n'), 5, 'called again, it does the rest');

    query($node, $db, "CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN RAISE 'audited'; END \$\$;
        CREATE TRIGGER audit AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION audit(); ALTER TABLE t ADD COLUMN k integer");
    fails_with($node, "CALL in_batches('t', 'k = n', 'k IS NULL')", qr/audited/, 'triggers fire', dbname => $db);
    query($node, $db, "SET session_replication_role = replica;\nCALL in_batches('t', 'k = n', 'k IS NULL')");
    is(query($node, $db, 'SELECT count(*) FROM t WHERE k = n'), 5, 'but not if they are left out');
};

$node->stop;
done_testing();
