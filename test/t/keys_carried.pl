# Typed keys are carried along: by dumps in every format, base backups and logical
# replication, in several schemas and databases, through a move of the extension.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use Manual qw(read_text blocks_of);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

my $node = new_cluster('carried', init => [ allows_streaming => 'logical', extra => [ '--locale=C.UTF-8', '--encoding=UTF8' ] ], create => 0);
my $dir = $node->basedir;
$node->safe_psql('postgres', 'CREATE DATABASE shop; CREATE ROLE maker LOGIN');
my $schema = <<'SQL';
CREATE SCHEMA ids;
CREATE SCHEMA keys AUTHORIZATION maker;
CREATE EXTENSION timeshard SCHEMA ids;
GRANT USAGE ON SCHEMA ids TO PUBLIC;
GRANT EXECUTE ON FUNCTION ids.timeshard_create_type(text, text, text) TO maker;
GRANT CREATE ON SCHEMA public TO maker;
SET ROLE maker;
SELECT ids.timeshard_create_type('keys.order_id', 'ORD_'), ids.timeshard_create_type('public.order_id', 'ORD_', 'code'),
    ids.timeshard_create_type('keys."Größe ""x"""', 'a.b:c-_');
CREATE TABLE orders (id keys.order_id PRIMARY KEY DEFAULT ids.timeshard_next_id(), other public.order_id, odd keys."Größe ""x""",
    several keys.order_id[], made timestamptz GENERATED ALWAYS AS (now()) STORED);
SQL
$schema =~ s/, made timestamptz GENERATED.*?STORED//;
$schema .= <<'SQL';
CREATE TABLE items (id public.order_id PRIMARY KEY DEFAULT ids.timeshard_next_id(), order_id keys.order_id REFERENCES orders);
CREATE TABLE parts (id keys.order_id) PARTITION BY HASH (id);
CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE INDEX ON orders USING hash (other);
CREATE INDEX ON orders USING brin (id);
INSERT INTO orders (other, odd, several) SELECT g::bigint, -g::bigint, ARRAY[g::bigint::keys.order_id, NULL] FROM generate_series(1, 500) AS g;
INSERT INTO orders VALUES ((-9223372036854775808)::bigint, (-9223372036854775808)::bigint);
INSERT INTO items (order_id) SELECT id FROM orders;
INSERT INTO parts SELECT id FROM orders;
SET search_path = keys, ids, pg_catalog;
CREATE VIEW public.recent AS SELECT min(id) AS least, max(id) AS most, count(*) AS n FROM public.orders
    WHERE id > 'ORD_0000000000000000001' AND order_id_between(id, now() - interval '1 hour', 'infinity');
CREATE MATERIALIZED VIEW public.totals AS SELECT o.id, count(*) FROM public.orders AS o JOIN public.items AS i ON i.order_id = o.id GROUP BY o.id;
CREATE FUNCTION public.f(a order_id) RETURNS text LANGUAGE sql RETURN a::text;
SQL
$node->safe_psql('shop', $schema);
my $content = join ' || ', map { "(SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM $_ AS t)" } qw(orders items parts totals);
my $kept = $node->safe_psql('shop', "SELECT $content");
my $list = q{SET search_path = pg_catalog; SELECT * FROM ids.timeshard_types ORDER BY type::text COLLATE "C"};
my $types = $node->safe_psql('shop', $list);
is($types, qq{keys."Größe ""x"""|a.b:c-_|digits\nkeys.order_id|ORD_|digits\npublic.order_id|ORD_|code}, 'three types, two with one prefix and name');

sub run_ok
{
    my ($name, @command) = @_;
    my ($out, $err) = ('', '');
    my $ok = IPC::Run::run(\@command, '>', \$out, '2>', \$err);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok($ok && $err !~ /error|warning/i, $name) || diag("@command\n$out$err");
    return $out;
}

# Rows and types are there and used; the parts belong to whom they belonged.
sub complete
{
    my ($where, $database, $name) = @_;
    is($where->safe_psql($database, "SELECT $content"), $kept, "$name: the rows");
    is($where->safe_psql($database, $list), $types, "$name: the types");
    is($where->safe_psql($database, "SET enable_seqscan = off; SELECT count(*) FROM orders WHERE id = 'ORD_-9223372036854775808' AND other = 'ORD_-8000000000000'::text"),
        1, "$name: text finds a row");
    is($where->safe_psql($database, 'SELECT n FROM recent'), '500', "$name: a view");
    is($where->safe_psql($database, 'REFRESH MATERIALIZED VIEW totals; INSERT INTO items (order_id) SELECT min(id) FROM orders RETURNING id > $$ORD_0000000000001$$') , 't', "$name: new rows")
      || return;
    is($where->safe_psql($database, q{SELECT DISTINCT typowner::regrole FROM pg_type WHERE typname LIKE '%order_id'}), 'maker', "$name: the owner");
    is($where->safe_psql($database, q{SELECT count(DISTINCT proowner) FROM pg_proc WHERE proname LIKE 'order\_id\_%' AND proowner = 10}), '1', "$name: the superuser's parts");
    $where->safe_psql($database, 'DELETE FROM items WHERE id = (SELECT max(id) FROM items)');
    return;
}
$node->safe_psql('shop', 'SET search_path = keys, public, ids; SELECT max(id) FROM items');
$node->safe_psql('shop', "ALTER DATABASE shop SET search_path = public, keys");
complete($node, 'shop', 'before');

for my $format (qw(plain custom tar directory))
{
    my $file = "$dir/dump.$format";
    run_ok("pg_dump, $format", 'pg_dump', '-F', $format, '-f', $file, '-d', $node->connstr('shop'));
    $node->safe_psql('postgres', "CREATE DATABASE $format; ALTER DATABASE $format SET search_path = public, keys");
    if ($format eq 'plain') { run_ok("restore, $format", 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-f', $file, '-d', $node->connstr($format)) }
    else { run_ok("restore, $format", 'pg_restore', '--exit-on-error', ($format eq 'tar' ? () : '--jobs=2'), '-d', $node->connstr($format), $file) }
    complete($node, $format, $format);
}
my $dump_of = sub { run_ok("dump of $_[0]", 'pg_dump', '--schema-only', '-d', $node->connstr($_[0])) =~ s/^\\(?:un)?restrict .*\n//mgr };
is($dump_of->('custom'), $dump_of->('shop'), 'the restored database is dumped like the first');
is($node->safe_psql('directory', 'DROP VIEW recent; DROP MATERIALIZED VIEW totals; DROP FUNCTION f; DROP TABLE items, orders, parts;
    SELECT count(ids.timeshard_drop_type(type)) FROM ids.timeshard_types'), 3, 'restored types can be dropped');
is($node->safe_psql('directory', q{SELECT count(*) FROM pg_proc WHERE proname LIKE '%order_id%'}), 0, 'whole');

# A role that is no superuser cannot restore the types.
run_ok('a dump for a role', 'pg_dump', '-F', 'custom', '-n', 'keys', '-f', "$dir/keys.custom", '-d', $node->connstr('shop'));
$node->safe_psql('postgres', 'CREATE DATABASE makers OWNER maker');
my ($out, $err) = ('', '');
ok(!IPC::Run::run([ 'pg_restore', '-U', 'maker', '--exit-on-error', '-d', $node->connstr('makers'), "$dir/keys.custom" ], '>', \$out, '2>', \$err)
      && $err =~ /must be superuser to create a base type|permission denied/, 'a restore takes a superuser');

# Types of an extension, as doc/distributed.md makes them for Citus.
my ($files) = map { $_->{text} } grep { $_->{info} eq 'citus keys' && $_->{lang} eq 'sh' } blocks_of(read_text("$FindBin::RealBin/../../doc/distributed.md"));
run_ok('the files of an extension', 'sh', '-euc', 'PATH=$1:$PATH; eval "$2"', 'sh', $node->config_data('--bindir'), $files);
$node->safe_psql('postgres', 'CREATE DATABASE extended');
$node->safe_psql('postgres', 'CREATE DATABASE extended_again');
$node->safe_psql('extended', 'CREATE SCHEMA ids; CREATE SCHEMA keys; CREATE EXTENSION timeshard SCHEMA ids; CREATE EXTENSION shop_keys SCHEMA keys;
    CREATE TABLE tickets (id keys.ticket_id PRIMARY KEY DEFAULT ids.timeshard_next_id()); INSERT INTO tickets SELECT FROM generate_series(1, 100)');
my $extended = run_ok('a dump of it', 'pg_dump', '-d', $node->connstr('extended'), '-f', "$dir/extended.sql") . slurp_file("$dir/extended.sql");
unlike($extended, qr/CREATE (?:TYPE|CAST|OPERATOR)/, 'which has the extension in place of the types');
run_ok('its restore', 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/extended.sql", '-d', $node->connstr('extended_again'));
my $tickets = "SET search_path = keys, ids; SELECT md5(string_agg(id::text, ',' ORDER BY id)), count(*), min(ticket_id_time(id)) > now() - interval '1 minute',
    (SELECT string_agg(prefix, ' ') FROM timeshard_types) FROM public.tickets";
is($node->safe_psql('extended_again', $tickets), $node->safe_psql('extended', $tickets), 'and all of it again');
fails_with($node, "SELECT ids.timeshard_drop_type('keys.note_id')", qr/extension shop_keys requires it/, 'which keeps its types', dbname => 'extended');
is($node->safe_psql('extended', "DROP TABLE tickets; DROP EXTENSION shop_keys; SELECT count(*) FROM pg_proc WHERE proname LIKE '%ticket_id%'"), 0, 'and takes them along');

# The extension moves, is dropped with all that needs it, and comes again; types stay.
$node->safe_psql('shop', 'CREATE SCHEMA moved; ALTER EXTENSION timeshard SET SCHEMA moved; ALTER EXTENSION timeshard SET SCHEMA ids');
$node->safe_psql('custom', 'CREATE SCHEMA moved; ALTER EXTENSION timeshard SET SCHEMA moved');
is($node->safe_psql('custom', "INSERT INTO orders DEFAULT VALUES RETURNING keys.order_id_time(id) > now() - interval '1 minute', (keys.order_id_parse(id)).node_id"), 't|1', 'moved: defaults, times and parts go on');
is($node->safe_psql('custom', "SELECT moved.timeshard_create_type('keys.after', 'AFT_'); SELECT count(*) FROM moved.timeshard_types"), "after\n4", 'moved: another type');
$node->safe_psql('custom', 'SET client_min_messages = error; DROP EXTENSION timeshard CASCADE');
is($node->safe_psql('custom', "SELECT count(*), min(id) FROM orders WHERE keys.order_id_time(id) > '2023-01-01' AND id > 'ORD_0000000000000000000'"), '501|' . $node->safe_psql('custom', "SELECT min(id) FROM orders WHERE id > 'ORD_0000000000000000000'"), 'without the extension the keys still work');
is($node->safe_psql('custom', "CREATE EXTENSION timeshard SCHEMA ids; SELECT count(*) FROM ids.timeshard_types"), 4, 'and are listed again');

# A base backup.
$node->backup('base');
my $copy = PostgreSQL::Test::Cluster->new('copy');
$copy->init_from_backup($node, 'base');
start_with_env($copy);
complete($copy, 'shop', 'base backup');
$copy->stop;

# A standby reads them, and creates none.
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
start_with_env($standby);
$node->wait_for_catchup($standby);
is($standby->safe_psql('shop', "SELECT count(*) FROM orders WHERE id = 'ORD_-9223372036854775808'"), 1, 'a standby reads them');
fails_with($standby, "SELECT ids.timeshard_create_type('keys.b', 'B')", qr/25006/, 'a standby creates none', dbname => 'shop');
fails_with($standby, "SELECT ids.timeshard_drop_type('keys.order_id')", qr/25006/, 'and drops none', dbname => 'shop');
$standby->stop;

# Logical replication, in text and binary form: the type is made on both sides.
my $hub = new_cluster('hub', conf => 'timeshard.node_id = 2');
$hub->safe_psql('postgres', "CREATE SCHEMA keys; SELECT timeshard_create_type('keys.order_id', 'ORD_')");
$node->safe_psql('shop', 'CREATE TABLE sent (id keys.order_id PRIMARY KEY, n int); INSERT INTO sent SELECT g::bigint, g FROM generate_series(1, 100) AS g');
for my $binary ('false', 'true')
{
    $node->safe_psql('shop', "CREATE PUBLICATION p_$binary FOR TABLE sent");
    $hub->safe_psql('postgres', 'DROP TABLE IF EXISTS sent; CREATE TABLE sent (id keys.order_id PRIMARY KEY, n int)');
    $hub->safe_psql('postgres', "CREATE SUBSCRIPTION s_$binary CONNECTION '" . ($node->connstr('shop') =~ s/'/''/gr) . "' PUBLICATION p_$binary WITH (binary = $binary)");
    $hub->wait_for_subscription_sync($node, "s_$binary", 'postgres');
    $node->safe_psql('shop', "INSERT INTO sent VALUES ('ORD_0000000000000009999', 1); UPDATE sent SET n = n + 1 WHERE id = 'ORD_0000000000000000007'; DELETE FROM sent WHERE id = 'ORD_0000000000000000008'");
    $node->wait_for_catchup("s_$binary");
    my $all = 'SELECT md5(string_agg(t::text, \',\' ORDER BY id)) FROM sent AS t';
    is($hub->safe_psql('postgres', $all), $node->safe_psql('shop', $all), "replicated, binary = $binary");
    $hub->safe_psql('postgres', "DROP SUBSCRIPTION s_$binary");
    $node->safe_psql('shop', "DELETE FROM sent WHERE id = 'ORD_0000000000000009999'");
}

done_testing();
