# doc/migration.md, from an application's snowflakes and from pgEdge's sequences: the
# same epoch, an earlier and a later one; old generators beside the new one, and
# ahead of its clock; what the wrong epoch does. The old generators are played: the
# Python one by its formula, pgEdge's by a function of its extension's name.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use BusyClients;
use Migration;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use Timeshard;
use TimeshardSession;

my %epoch = (timeshard => 1702385533000, twitter => 1288834974657, late => 1735689600000, pgedge => 1672531200000);

# The Python Timeshard's formula, and that of every 41-10-12 snowflake.
sub made_by
{
    my ($epoch, $node_id, $sequence, $at_ms) = @_;
    return (int($at_ms // 1000 * time()) - $epoch) << 22 | $node_id << 12 | $sequence;
}

# Takes an ID as soon as the server makes one again.
sub next_when_right
{
    my ($node, $db, $sql) = @_;
    my $id;
    eventually(sub {
        my ($rc, $out, $err) = $node->psql($db, $sql, on_error_stop => 1);
        die $err if $rc != 0 && $err !~ /behind the floor/;
        $id = $out if $rc == 0;
        return $rc == 0;
    });
    return $id;
}

subtest 'the same epoch' => sub {
    my $node = new_cluster('same', conf => "timeshard.node_id = 298\n", create => 0);
    my $db = new_database($node, 'same');
    run_steps($node, $db, 'snowflake-tables', 'snowflake-2');
    is(query($node, $db, block_text('snowflake-2')), 't|t', 'old IDs are below new ones');
    is(query($node, $db, "SELECT DISTINCT node_id FROM events, timeshard_parse(id)"), 42, 'and parse to their node');

    # The application goes on while the server makes IDs too.
    my $python = "SELECT nextval('n') % 4096 AS n \\gset\n"
      . "INSERT INTO events VALUES ((((extract(epoch FROM clock_timestamp()) * 1000)::bigint - $epoch{timeshard}) << 22) | (42 << 12) | :n, 'NAME');\n";
    query($node, $db, 'CREATE SEQUENCE n');
    my $database = "INSERT INTO events (what) VALUES ('NAME') RETURNING id;\n";
    my $either = "SELECT column_default IS NOT NULL AS moved FROM information_schema.columns WHERE table_name = 'events' AND column_name = 'id' \\gset\n"
      . "\\if :moved\n$database\\else\n$python\\endif\n";
    ok(start_clients($node, $db, $python, $either, $either), 'the application makes IDs');
    locks_hold($node, $db, 'From an application\'s snowflakes', 'snowflake', 3);
    ok(await_clients(), 'and the server too');
    is(join("\n", stop_clients($node, $db)), '', 'no client has met an error');
    is(query($node, $db, "SELECT count(*) FROM written FULL JOIN (SELECT what FROM events WHERE what LIKE 'client%') AS e ON what = name
        WHERE name IS NULL OR what IS NULL"), 0, 'no row is lost, and none too many');
    is(query($node, $db, "SELECT string_agg(DISTINCT node_id::text, ' ') FROM events, timeshard_parse(id)"), '298 42', 'of both kinds');

    # The application's clock was ahead.
    my $ahead = made_by($epoch{timeshard}, 42, 0, 1000 * time() + 3000);
    query($node, $db, "INSERT INTO events VALUES ($ahead, 'ahead')");
    is(query($node, $db, block_text('snowflake-2')), 'f|f', 'step 2 finds a clock that was ahead');
    cmp_ok(query($node, $db, "INSERT INTO events (what) VALUES ('x') RETURNING id"), '<', $ahead, 'new IDs are below its');
    run_steps($node, $db, 'snowflake-4');
    cmp_ok(next_when_right($node, $db, "INSERT INTO events (what) VALUES ('x') RETURNING id"), '>', $ahead, 'after step 4 they are above');
    locks_hold($node, $db, 'From an application\'s snowflakes', 'snowflake', 2, 4);

    # With a year between, the epochs are told apart; and an ID of an earlier epoch is refused, as the page says.
    fails_with($node, "SELECT timeshard_raise_floor(timeshard_lower_bound('2024-01-01', $epoch{twitter}))", qr/22023: ID is more than a day ahead of the clock/, 'an ID by an earlier epoch', dbname => $db);
    $node->stop;
};

subtest 'an earlier epoch' => sub {
    my $wrong = new_cluster('default_epoch', conf => "timeshard.node_id = 298\n");
    my $right = new_cluster('earlier', conf => "timeshard.node_id = 298\ntimeshard.custom_epoch = '$epoch{twitter}'\n");
    for my $node ($wrong, $right)
    {
        my $name = $node->name;
        my $old = made_by($epoch{twitter}, 42, 7);
        $node->safe_psql('postgres', "CREATE TABLE events (id bigint PRIMARY KEY DEFAULT timeshard_next_id());
            INSERT INTO events VALUES ($old)");
        my $new = $node->safe_psql('postgres', 'INSERT INTO events DEFAULT VALUES RETURNING id');
        is($new > $old ? 'above' : 'below', $node == $right ? 'above' : 'below', "$name: a new ID");
        is($node->safe_psql('postgres', 'SELECT node_id FROM timeshard_parse(' . $old . ')'), 42, "$name: the old node");
        is($node->safe_psql('postgres', "SELECT abs(extract(epoch FROM timeshard_time($old) - now())) < 600"), $node == $right ? 't' : 'f',
            "$name: the old time");
        next if $node == $right;
        fails_with($node, 'SELECT timeshard_raise_floor(max(id)) FROM events', qr/22023: ID is more than a day ahead/, "$name: no floor bridges it");
    }

    # A server that has made IDs can move its epoch back, and not forward again.
    restart_with_env($wrong);
    configure($wrong, 'timeshard.node_id = 298', "timeshard.custom_epoch = '$epoch{twitter}'");
    restart_with_env($wrong);
    is($wrong->safe_psql('postgres', 'INSERT INTO events DEFAULT VALUES RETURNING id > (SELECT max(id) FROM events)'), 't',
        'the epoch moved back: above all');
    configure($wrong, 'timeshard.node_id = 298');
    restart_with_env($wrong);
    fails_with($wrong, 'SELECT timeshard_next_id()', qr/55000: the epoch has been moved forward/, 'and forward again');
    $_->stop for $wrong, $right;
};

subtest 'a later epoch' => sub {
    my $kept = new_cluster('kept', conf => "timeshard.node_id = 298\n");
    my $taken = new_cluster('taken', conf => "timeshard.node_id = 298\ntimeshard.custom_epoch = '$epoch{late}'\n");
    for my $node ($kept, $taken)
    {
        my $name = $node->name;
        my $old = made_by($epoch{late}, 42, 7);
        $node->safe_psql('postgres', 'SELECT pg_sleep(0.002)');
        cmp_ok($node->safe_psql('postgres', 'SELECT timeshard_next_id()'), '>', $old, "$name: a new ID is above");
        my $parse = $node == $kept ? "timeshard_parse($old, 10, $epoch{late})" : "timeshard_parse($old)";
        is($node->safe_psql('postgres', "SELECT node_id, sequence, abs(extract(epoch FROM datetime - now())) < 600 FROM $parse"), '42|7|t',
            "$name: how an old one parses");
        $node->stop;
    }
};

# What the extension's source does: a counter for each sequence, below the node or,
# in the first releases, above it; the time never behind the last key's.
my $pgedge = <<"SQL";
CREATE SCHEMA snowflake;
CREATE TABLE snowflake.last (sequence regclass PRIMARY KEY, ms bigint NOT NULL, count integer NOT NULL);
CREATE FUNCTION snowflake.nextval(regclass) RETURNS bigint LANGUAGE plpgsql AS \$\$
DECLARE
    now_ms bigint := (extract(epoch FROM clock_timestamp()) * 1000)::bigint - $epoch{pgedge}
                     + coalesce(current_setting('snowflake.ahead', true), '0')::integer;
    made snowflake.last;
BEGIN
    INSERT INTO snowflake.last AS l VALUES (\$1, now_ms, 0)
    ON CONFLICT (sequence) DO UPDATE SET ms = CASE WHEN now_ms > l.ms THEN now_ms WHEN l.count = 4095 THEN l.ms + 1 ELSE l.ms END,
        count = CASE WHEN now_ms > l.ms THEN 0 ELSE (l.count + 1) % 4096 END RETURNING l.* INTO made;
    RETURN made.ms << 22 | CASE WHEN current_setting('snowflake.old', true) = 'on' THEN made.count << 10 | current_setting('snowflake.node')::integer
                             ELSE current_setting('snowflake.node')::integer << 12 | made.count END;
END \$\$;
SQL

subtest 'pgEdge' => sub {
    my $default = new_cluster('pgedge_default', conf => "timeshard.node_id = 3\n", create => 0);
    my $db = new_database($default, 'shop');
    is(query($default, $db, block_text('pgedge-tables')), 'f', 'by the default epoch the keys are above new ones');
    is(query($default, $db, block_text('pgedge-2')), 'f|0|0|3|3', 'their layout');
    $default->stop;

    # With the lines that the page has for postgresql.conf.
    my ($conf) = Manual::read_text("$FindBin::RealBin/../../doc/migration.md") =~ /```conf postgresql\.conf\n(.*?)```/s;
    my $node = new_cluster('pgedge', conf => $conf =~ s/^ +//gmr, create => 0);
    $db = new_database($node, 'shop');
    query($node, $db, $pgedge);
    query($node, $db, "ALTER DATABASE $db SET snowflake.node = 3");
    query($node, $db, "CREATE TABLE shipments (id bigserial PRIMARY KEY, goods text);
        CREATE TABLE parts (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, shipment bigint REFERENCES shipments);
        INSERT INTO shipments (goods) VALUES ('of the sequence');
        ALTER TABLE shipments ALTER COLUMN id SET DEFAULT snowflake.nextval('shipments_id_seq')");
    # As convert_sequence_to_snowflake() does.
    query($node, $db, "UPDATE pg_attribute SET attidentity = '' WHERE attrelid = 'parts'::regclass AND attname = 'id';
        ALTER TABLE parts ALTER COLUMN id SET DEFAULT snowflake.nextval('parts_id_seq')");

    my $both = "BEGIN;\nINSERT INTO shipments (goods) VALUES ('NAME') RETURNING id \\gset\n"
      . "INSERT INTO parts (shipment) VALUES (:id);\nCOMMIT;\n\\echo :id";
    # Another server of the group, whose rows come by replication.
    my $other = "SET snowflake.node = 4;\nINSERT INTO shipments (id, goods) VALUES (snowflake.nextval('shipments_id_seq'), 'NAME') RETURNING id";
    ok(start_clients($node, $db, $both, $both, $other), 'clients write');
    my $is_layout = query($node, $db, block_text('pgedge-2') =~ s/FROM shipments/FROM shipments WHERE id > 1000000/r);
    like($is_layout, qr/^f\|\d+\|\d+\|3\|4$/, 'the layout of today, of two nodes');
    my $old = query($node, $db, 'SELECT max(id) FROM shipments');
    run_steps($node, $db, 'pgedge-3');
    query($node, $db, 'ALTER TABLE parts ALTER COLUMN id SET DEFAULT timeshard_next_id()');
    ok(await_clients(), 'clients go on, the other server by its sequence');
    is(join("\n", stop_clients($node, $db)), '', 'no client has met an error');
    is(query($node, $db, 'SELECT count(*) FROM written AS w WHERE NOT EXISTS (SELECT FROM shipments AS s WHERE s.goods = w.name AND s.id = w.printed::bigint)'),
        0, 'each row that was committed is there');
    cmp_ok(query($node, $db, "INSERT INTO shipments (goods) VALUES ('new') RETURNING id"), '>', $old, 'new keys are above the old');
    is(query($node, $db, "SELECT id = 1 FROM shipments WHERE goods = 'of the sequence'"), 't', 'which are as they were');

    # Keys ahead of the clock.
    my $ahead = query($node, $db, "SET snowflake.ahead = 2000; INSERT INTO shipments (id, goods) VALUES (snowflake.nextval('shipments_id_seq'), 'ahead') RETURNING id");
    cmp_ok(query($node, $db, 'SELECT timeshard_next_id()'), '<', $ahead, 'a key ahead of the clock');
    my ($floor) = Manual::read_text("$FindBin::RealBin/../../doc/migration.md") =~ /for each table: `(SELECT timeshard_raise_floor.*?)`/;
    query($node, $db, $floor);
    cmp_ok(next_when_right($node, $db, 'SELECT timeshard_next_id()'), '>', $ahead, 'new ones are above it, raised');

    query($node, $db, 'DROP SEQUENCE shipments_id_seq');
    fails_with($node, 'DROP SEQUENCE parts_id_seq', qr/because column id of table parts requires it/, 'a sequence that was an identity column\'s', dbname => $db);
    query($node, $db, 'DROP TABLE parts');
    is(query($node, $db, "SELECT count(*) FROM pg_class WHERE relname = 'parts_id_seq'"), 0, 'goes with its table');

    # The layout of the first releases.
    query($node, $db, "TRUNCATE shipments; CREATE SEQUENCE s; SET snowflake.old = on; SET snowflake.node = 3;
        INSERT INTO shipments (id, goods) SELECT snowflake.nextval('s'), 'old' FROM generate_series(1, 5000)");
    like(query($node, $db, block_text('pgedge-2')), qr/^t\|3\|3\|/, 'the layout of the first releases');
    $node->stop;
};

done_testing();
