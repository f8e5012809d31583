# doc/migration.md, from UUID keys, on tables that are not like the page's example.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use Migration;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

my $node = migration_cluster('unlike');

# Tables in their owner's schema, whose search_path is the default one, and a clerk
# with another, a table of the same name and no right to read accounts. The programs
# give the UUIDs, a reference may be null, and row security hides accounts.
subtest 'another schema, rights, row security, nulls, UUIDs by the programs' => sub {
    my $may_be_null = sub { return block_text($_[0]) =~ s/^ +ALTER TABLE logins ALTER COLUMN account_id SET NOT NULL;\n//mr =~ s/(?<=logins)(.*?)CHECK \(new_account_id IS NOT NULL\)/"$1" . null_check('new_account_id', 'account_id')/er };
    for my $form ('small', 'big')
    {
        my $db = new_database($node, "unlike_$form");
        query($node, $db, 'CREATE ROLE shopowner; CREATE ROLE seller') if $form eq 'small';
        query($node, $db, 'CREATE SCHEMA shopowner AUTHORIZATION shopowner; GRANT USAGE ON SCHEMA shopowner TO seller;
            GRANT CREATE ON SCHEMA public TO shopowner');
        my $as_owner = sub { return query($node, $db, "SET ROLE shopowner;\n$_[0]") };
        $as_owner->(block_text('uuid-tables'));
        $as_owner->("ALTER TABLE accounts ALTER COLUMN id DROP DEFAULT;
            ALTER TABLE logins ALTER COLUMN account_id DROP NOT NULL; INSERT INTO logins (device) VALUES ('nobody');
            ALTER TABLE accounts ENABLE ROW LEVEL SECURITY;
            GRANT SELECT, INSERT ON logins TO seller; GRANT INSERT ON accounts TO seller;
            CREATE POLICY writes ON accounts FOR INSERT TO seller WITH CHECK (true)");
        my $one = query($node, $db, 'SELECT id FROM shopowner.accounts ORDER BY email LIMIT 1');
        # By whatever the key is. The writer's own table has other IDs for all.
        my $write = sub {
            my ($device, $key) = @_;
            return query($node, $db, "SET ROLE seller;
                CREATE TEMP TABLE accounts AS SELECT '$one'::uuid AS uuid, 1 AS new_id, '$key' AS id;
                INSERT INTO shopowner.logins (account_id, device) VALUES ('$key', '$device'), (NULL, 'nobody')");
        };
        $as_owner->($may_be_null->('uuid-switch'));
        if ($form eq 'small')
        {
            $as_owner->(block_text('uuid-small'));
        }
        else
        {
            $as_owner->(block_text("uuid-$_")) for 1 .. 5;
            $write->('before', $one);
            $as_owner->(block_text('uuid-6'));
            $as_owner->(block_text('uuid-7'));
            $as_owner->($may_be_null->('uuid-8'));
            $write->('before', $one);
            $as_owner->(block_text("uuid-$_")) for 9, 10;
        }
        $write->('after', query($node, $db, "SELECT id FROM shopowner.accounts WHERE uuid = '$one'"));
        query($node, $db, "SET ROLE seller; INSERT INTO shopowner.accounts (email) VALUES ('new')");
        is(query($node, $db, "SELECT email FROM shopowner.accounts WHERE uuid IS NOT NULL AND id > 1000000000000 AND email = 'new'"), 'new',
            "$form: a new account has a key and a UUID");
        my $belong = 'SELECT count(*) > 2000, count(*) FILTER (WHERE account_id IS NULL) > 1,
                count(*) FILTER (WHERE (a.id, a.uuid) IS DISTINCT FROM (l.account_id, l.account_uuid))
            FROM shopowner.logins AS l LEFT JOIN shopowner.accounts AS a ON a.id = l.account_id';
        is(query($node, $db, $belong), 't|t|0', "$form: logins have both keys of their account, or none");
    }
};

# Which the trigger cannot find, since the row is not there yet.
subtest 'a row that is written before the one that it refers to' => sub {
    my $db = new_database($node, 'child_first');
    query($node, $db, block_text('uuid-tables') =~ s/REFERENCES accounts/REFERENCES accounts DEFERRABLE INITIALLY DEFERRED/r);
    my $child_first = "SELECT gen_random_uuid() AS id \\gset\nBEGIN;\nINSERT INTO logins (account_id, device) VALUES (:'id', 'first');\n"
      . "INSERT INTO accounts (id, email) VALUES (:'id', 'first');\nCOMMIT;\n";
    run_steps($node, $db, 'uuid-switch', map { "uuid-$_" } 1 .. 5);
    query($node, $db, $child_first);
    is(query($node, $db, "SELECT new_account_id IS NULL FROM logins WHERE device = 'first'"), 't', 'carries nothing');
    run_steps($node, $db, map { "uuid-$_" } 6 .. 8);
    fails_with($node, $child_first, qr/new_account_id_there/, 'and is refused from step 8 on', dbname => $db);
    run_steps($node, $db, 'uuid-9', 'uuid-10');
    is(query($node, $db, "SELECT count(*) FROM logins AS l JOIN accounts AS a ON (a.id, a.uuid) = (l.account_id, l.account_uuid)"), 2001,
        'step 6 gives it what it lacks');
};

subtest 'a table that refers to itself' => sub {
    my $db = new_database($node, 'itself');
    my ($itself) = page_text() =~ /`carry_id` begins with\s+`(IF .*?)`/ or die 'the page does not say how';
    query($node, $db, "CREATE TABLE accounts (id uuid PRIMARY KEY, parent uuid REFERENCES accounts,
            new_id bigint DEFAULT timeshard_next_id(), new_parent bigint);
        CREATE FUNCTION carry_id() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN $itself SELECT a.new_id INTO new.new_parent FROM accounts AS a WHERE a.id = new.parent; RETURN new; END';
        CREATE TRIGGER zz_carry BEFORE INSERT OR UPDATE ON accounts FOR EACH ROW EXECUTE FUNCTION carry_id();
        WITH top AS (SELECT gen_random_uuid() AS id)
        INSERT INTO accounts SELECT id, id FROM top UNION ALL SELECT gen_random_uuid(), id FROM top");
    is(query($node, $db, 'SELECT count(*), count(DISTINCT new_parent), bool_or(new_id = new_parent) FROM accounts'), '2|1|t',
        'a row that is its own parent, and its child');
};

$node->stop;
done_testing();
