# doc/typed-keys.md, a key that exists: which steps rewrite a table, and which locks they
# take. (The page's own blocks are run by manual_pages.pl.)
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

my $node = new_cluster('migrate_typed');
sub sql { return $node->safe_psql('postgres', $_[0]) }
sql(<<'SQL');
SELECT timeshard_create_type('account_id', 'ACC_'), timeshard_create_type('login_id', 'LOG_');
CREATE TABLE accounts (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), name text);
CREATE TABLE logins (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), account bigint CONSTRAINT of_account REFERENCES accounts);
CREATE INDEX ON logins (account);
INSERT INTO accounts (name) SELECT g FROM generate_series(1, 1000) AS g;
INSERT INTO logins (account) SELECT id FROM accounts;
CREATE TABLE keyed (id text PRIMARY KEY DEFAULT timeshard_next_id_with_prefix('ACC_'));
INSERT INTO keyed SELECT FROM generate_series(1, 1000);
SQL
my $content = "SELECT md5(string_agg(concat_ws(' ', l.id::bigint, a.id::bigint, name), ',' ORDER BY l.id)) FROM logins AS l JOIN accounts AS a ON account = a.id";
my $before = sql($content);

# Runs a step in a transaction, and returns the tables that it rewrote and each table's
# strongest lock.
sub step
{
    my ($step) = @_;
    my $files = "SELECT string_agg(relname || ' ' || relfilenode, ',' ORDER BY relname) FROM pg_class WHERE relname IN ('accounts', 'logins', 'keyed')";
    my %was = map { split / / } split /,/, sql($files);
    my $locks = sql(<<"SQL");
BEGIN;
$step;
SELECT string_agg(relname || ' ' || mode, ', ' ORDER BY relname) FROM (
    SELECT DISTINCT ON (relname) relname, mode
    FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
    WHERE pid = pg_backend_pid() AND relkind = 'r' AND relnamespace = 'public'::regnamespace
    ORDER BY relname, array_position('{AccessExclusiveLock,ShareRowExclusiveLock,ShareUpdateExclusiveLock,RowShareLock,AccessShareLock}', mode)
) AS s;
COMMIT;
SQL
    my %is = map { split / / } split /,/, sql($files);
    return (join(' ', grep { $was{$_} ne $is{$_} } sort keys %is), $locks);
}

sub is_step
{
    my ($step, $rewritten, $locks, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is_deeply([ step($step) ], [ $rewritten, $locks ], $name);
}

is_step('ALTER TABLE logins DROP CONSTRAINT of_account', '', 'accounts AccessExclusiveLock, logins AccessExclusiveLock', 'the foreign key goes');
is_step('ALTER TABLE accounts ALTER id TYPE account_id', '', 'accounts AccessExclusiveLock', 'bigint to a typed key: no rewrite');
is_step('ALTER TABLE logins ALTER id TYPE login_id, ALTER account TYPE account_id', '', 'logins AccessExclusiveLock', 'a reference too');
is_step('ALTER TABLE logins ADD CONSTRAINT of_account FOREIGN KEY (account) REFERENCES accounts NOT VALID', '',
    'accounts ShareRowExclusiveLock, logins ShareRowExclusiveLock', 'the foreign key comes back');
is_step('ALTER TABLE logins VALIDATE CONSTRAINT of_account', '', 'accounts RowShareLock, logins ShareUpdateExclusiveLock', 'and is checked, while others write');
is(sql($content), $before, 'all rows are as they were');
is(sql("INSERT INTO accounts (name) VALUES ('new') RETURNING id > (SELECT max(id) FROM logins)::bigint::account_id"), 't', 'new ones are larger');
sql("DELETE FROM accounts WHERE name = 'new'");

sql('ALTER TABLE logins DROP CONSTRAINT of_account');
is_step('ALTER TABLE accounts ALTER id TYPE bigint USING id::bigint', '', 'accounts AccessExclusiveLock', 'back: no rewrite');
is_step('ALTER TABLE logins ALTER id TYPE bigint USING id::bigint, ALTER account TYPE bigint USING account::bigint', '', 'logins AccessExclusiveLock', 'nor there');
is(sql($content), $before, 'all rows are as they were, back');

sql("INSERT INTO keyed VALUES ('ACC_x')");
fails_with($node, 'ALTER TABLE keyed ALTER id DROP DEFAULT, ALTER id TYPE account_id', qr/22P02.*ACC_x/s, 'a text that is no key');
is(sql('SELECT pg_typeof(id), count(*) FROM keyed GROUP BY 1'), 'text|1001', 'changes nothing');
sql("DELETE FROM keyed WHERE id = 'ACC_x'");
is_step('ALTER TABLE keyed ALTER id DROP DEFAULT, ALTER id TYPE account_id, ALTER id SET DEFAULT timeshard_next_id()', 'keyed', 'keyed AccessExclusiveLock', 'text to a typed key: rewritten');
is_step('ALTER TABLE keyed ALTER id DROP DEFAULT, ALTER id TYPE text USING id::text', 'keyed', 'keyed AccessExclusiveLock', 'and back');

done_testing();
