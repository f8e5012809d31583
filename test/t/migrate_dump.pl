# doc/migration.md, dump and restore with the default in place: in every format and
# order, into other schemas, tables and servers. Keys are kept, and new ones above
# them once the floor is raised, also by a server whose clock is behind.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use Migration;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

my $schema = <<'SQL';
CREATE EXTENSION timeshard;
CREATE TABLE customers (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), name text NOT NULL);
CREATE TABLE orders (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), customer bigint NOT NULL REFERENCES customers,
    number text GENERATED ALWAYS AS (timeshard_format(id, 'ORD_')) STORED UNIQUE);
CREATE TABLE events (id bigint DEFAULT timeshard_next_id(), at timestamptz NOT NULL DEFAULT now()) PARTITION BY RANGE (id);
CREATE TABLE events_early PARTITION OF events FOR VALUES FROM (0) TO (1000);
CREATE TABLE events_later PARTITION OF events FOR VALUES FROM (1000) TO (MAXVALUE);
CREATE TABLE empty (id bigint PRIMARY KEY DEFAULT timeshard_next_id());
CREATE INDEX ON events (timeshard_time(id, 1702385533000));
CREATE VIEW recent AS SELECT * FROM customers WHERE id >= timeshard_lower_bound(now() - interval '1 hour');
INSERT INTO customers (name) SELECT 'customer ' || n FROM generate_series(1, 500) AS n;
INSERT INTO orders (customer) SELECT id FROM customers;
INSERT INTO events SELECT n FROM generate_series(1, 9) AS n;
INSERT INTO events DEFAULT VALUES;
INSERT INTO events DEFAULT VALUES;
SQL
my @tables = qw(customers orders events);
my $content = join ' || ', map { "(SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM $_ AS t)" } @tables;
my $insert = "WITH c AS (INSERT INTO customers (name) VALUES ('new') RETURNING id), e AS (INSERT INTO events DEFAULT VALUES RETURNING id)
    SELECT least(c.id, e.id) FROM c, e";

my $from = new_cluster('from', conf => "timeshard.node_id = 298\n", create => 0);
$from->safe_psql('postgres', 'CREATE DATABASE shop');
$from->safe_psql('shop', $schema);
my $kept = $from->safe_psql('shop', "SELECT $content");
my $largest = $from->safe_psql('shop', 'SELECT greatest(max(c.id), (SELECT max(id) FROM orders), (SELECT max(id) FROM events)) FROM customers AS c');

# The other server: another node, not preloaded, its clock an hour behind.
my $to = new_cluster('to', clock => 1, start => 0, conf => "timeshard.node_id = 299\n");
set_clock($to, '-1h');
start_with_env($to);
$to->safe_psql('postgres', 'CHECKPOINT');
$to->safe_psql('postgres', 'CREATE EXTENSION timeshard; SELECT timeshard_next_id(); DROP EXTENSION timeshard');

my $dir = $from->basedir;
my $number = 0;

sub run_ok
{
    my ($name, @command) = @_;
    my ($out, $err) = ('', '');
    my $ok = IPC::Run::run(\@command, '>', \$out, '2>', \$err);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok($ok && $err !~ /error|warning/i, $name) || diag("@command\n$out$err");
}

sub dump_to
{
    my ($file, @options) = @_;
    return run_ok("pg_dump @options", 'pg_dump', @options, '-f', "$dir/$file", '-d', $from->connstr('shop'));
}

sub new_target
{
    my $db = 'shop_' . ++$number;
    $to->safe_psql('postgres', "CREATE DATABASE $db");
    return $db;
}

sub restore
{
    my ($db, $file, @options) = @_;
    my @command = $file =~ /\.sql$/ ? ('psql', '-XqAt', '-v', 'ON_ERROR_STOP=1') : ('pg_restore', '--exit-on-error');
    return run_ok("$db: $command[0] @options $file", @command, '-d', $to->connstr($db), @options,
        $file =~ /\.sql$/ ? ('-f', "$dir/$file") : "$dir/$file");
}

sub as_it_was
{
    my ($db, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is($to->safe_psql($db, "SELECT $content"), $kept, "$name: keys and all are as they were");
    is($to->safe_psql($db, "SELECT string_agg(adrelid::regclass::text, ' ' ORDER BY adrelid::regclass::text) FROM pg_attrdef
        WHERE pg_get_expr(adbin, adrelid) ~ 'timeshard_next_id' AND adrelid::regclass::text <> 'own'"), 'customers empty events events_early events_later orders',
        "$name: the defaults are there");
    cmp_ok($to->safe_psql($db, $insert), '<', $largest, "$name: a clock that is behind makes smaller keys");
    is($to->safe_psql($db, "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated"), 1, "$name: the foreign key");
    return;
}

subtest 'formats and orders' => sub {
    my @whole = ([ 'plain.sql' ], [ 'custom.dump', '-Fc' ], [ 'folder.dump', '-Fd', '-j2' ], [ 'tar.dump', '-Ft' ],
        [ 'inserts.sql', '--inserts' ], [ 'columns.sql', '--column-inserts' ], [ 'clean.sql', '--clean', '--if-exists' ],
        [ 'many.dump', '-Fc', '--rows-per-insert=7' ]);
    for (@whole)
    {
        my ($file, @options) = @$_;
        dump_to($file, @options);
        my $db = new_target();
        restore($db, $file);
        as_it_was($db, "@$_");
    }
    for my $options ([ '-j2' ], [ '--single-transaction' ], [ '--clean', '--if-exists' ])
    {
        my $db = new_target();
        restore($db, 'custom.dump', @$options);
        as_it_was($db, "restored @$options");
    }
    # Over what is there.
    my $db = new_target();
    restore($db, 'custom.dump', '--clean', '--if-exists') for 1, 2;
    as_it_was($db, 'restored twice');
};

subtest 'in parts' => sub {
    my $db = new_target();
    restore($db, 'custom.dump', "--section=$_") for qw(pre-data data post-data);
    as_it_was($db, 'by sections');

    $db = new_target();
    dump_to('schema.sql', '-s');
    dump_to('data.sql', '-a');
    restore($db, 'schema.sql');
    my $between = $to->safe_psql($db, "INSERT INTO customers (name) VALUES ('between') RETURNING id");
    restore($db, 'data.sql', '-1');
    is($to->safe_psql($db, "DELETE FROM customers WHERE id = $between RETURNING name"), 'between', 'a row by default between schema and data');
    as_it_was($db, 'schema, then data');

    # The tables' data in another order than the dump has it, constraints last.
    $db = new_target();
    my $list = qx(pg_restore -l "$dir/custom.dump");
    my @lines = split /\n/, $list;
    my @data = reverse grep { /TABLE DATA/ } @lines;
    my $turned = join "\n", map { /TABLE DATA/ ? shift @data : $_ } @lines;
    isnt($turned, join("\n", @lines), 'a list in another order');
    append_to_file("$dir/turned.list", "$turned\n");
    restore($db, 'custom.dump', '-L', "$dir/turned.list");
    as_it_was($db, 'in another order');
};

subtest 'one table' => sub {
    my $db = new_target();
    dump_to('one.sql', '-t', 'customers');
    my ($out, $err) = ('', '');
    IPC::Run::run([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $to->connstr($db), '-f', "$dir/one.sql" ], '>', \$out, '2>', \$err);
    like($err, qr/function public\.timeshard_next_id\(\) does not exist/, 'does not bring the extension');
    $to->safe_psql($db, 'CREATE EXTENSION timeshard');
    restore($db, 'one.sql');
    is($to->safe_psql($db, 'SELECT count(*) FROM customers'), 500, 'which is to be created first');
};

subtest 'the extension in another schema' => sub {
    my $db = new_target();
    $to->safe_psql($db, 'CREATE SCHEMA apart; CREATE EXTENSION timeshard SCHEMA apart;
        CREATE TABLE own (id bigint PRIMARY KEY DEFAULT apart.timeshard_next_id())');
    my ($out, $err) = ('', '');
    IPC::Run::run([ 'pg_restore', '--exit-on-error', '-d', $to->connstr($db), "$dir/custom.dump" ], '>', \$out, '2>', \$err);
    like($err, qr/function public\.timeshard_next_id\(\) does not exist/, 'the dump does not find it');
    $to->safe_psql($db, "DROP TABLE IF EXISTS customers, orders, events, empty CASCADE");
    run_on($to, $db, 'dump-schema-back');
    restore($db, 'custom.dump');
    as_it_was($db, 'moved for the time of the restore');
    run_on($to, $db, 'dump-schema');
    is($to->safe_psql($db, "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'own'::regclass"), 'ids.timeshard_next_id()',
        'the defaults follow it');
    is($to->safe_psql($db, 'INSERT INTO own DEFAULT VALUES RETURNING id > 0'), 't', 'and work');
    is($to->safe_psql($db, $insert) > 0, 1, 'those of the restored tables too');
};

sub run_on
{
    my ($node, $db, $name) = @_;
    return $node->safe_psql($db, block_text($name));
}

# The page's own lines, in the shell, from one server to itself: it is $PGHOST.
subtest 'as the page has it' => sub {
    local %ENV = (%ENV, PGHOST => $from->host, PGPORT => $from->port);
    my $script = 'cd "$1" && ' . block_text('dump-1');
    run_ok('dump-1', 'sh', '-euc', $script, 'sh', $dir);
    is($from->safe_psql('shop_again', "SELECT $content"), $kept, 'it is there again');
    is($from->safe_psql('shop_again', block_text('dump-2')) =~ tr/\n//c, 0, 'dump-2 raises the floor, silently');
    cmp_ok($from->safe_psql('shop_again', $insert), '>', $largest, 'new keys are above');
};

subtest 'the floor' => sub {
    my $db = new_target();
    restore($db, 'custom.dump');
    my $raised = run_on($to, $db, 'dump-2');
    fails_with($to, $insert, qr/55000: clock is \d+\.\d{3} s behind the floor/, 'a clock that is behind makes no keys now', dbname => $db);
    like(log_of($to), qr/floor has been raised to ID $largest$/m, 'the floor is the largest key of all tables');
    set_clock($to, '+0');
    cmp_ok($to->safe_psql($db, $insert), '>', $largest, 'new keys are above');
    is($to->safe_psql($db, 'SELECT node_id FROM customers, timeshard_parse(id) WHERE name = \'new\''), 299, 'of the new server');
};

# Only IDs lead the floor, and from all keys, however they are filled.
subtest 'columns and keys of other kinds' => sub {
    my $db = new_target();
    my $key = $to->safe_psql($db, 'CREATE EXTENSION timeshard; SELECT timeshard_next_id() + (5000::bigint << 22)');
    $to->safe_psql($db, "CREATE DOMAIN key AS bigint CHECK (value <> 0); CREATE TABLE of_domain (id key PRIMARY KEY);
        CREATE TABLE negative (id bigint PRIMARY KEY DEFAULT timeshard_next_id()); CREATE EXTENSION postgres_fdw;
        CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '/nowhere');
        CREATE USER MAPPING FOR CURRENT_USER SERVER far;
        CREATE FOREIGN TABLE remote (id bigint DEFAULT timeshard_next_id()) SERVER far;
        INSERT INTO of_domain VALUES ($key); INSERT INTO negative VALUES (-1)");
    run_on($to, $db, 'dump-2');
    like(log_of($to), qr/floor has been raised to ID $key$/m, 'a domain, without a default; not a negative key, nor another server');
};

subtest 'a later epoch is noticed' => sub {
    my $late = new_cluster('late', conf => "timeshard.node_id = 298\ntimeshard.custom_epoch = '1735689600000'\n", create => 0);
    $late->safe_psql('postgres', 'CREATE DATABASE shop');
    run_ok('restored', 'pg_restore', '--exit-on-error', '-d', $late->connstr('shop'), "$dir/custom.dump");
    is($late->safe_psql('shop', "SELECT $content"), $kept, 'keys are as they were');
    my ($rc, $out, $err) = $late->psql('shop', block_text('dump-2'));
    like($err, qr/WARNING: .*customers, column id: values over a day ahead of the clock, left out: 100 or more\n/s,
        'and raising the floor says what is wrong');
    $late->stop;
};

$_->stop for $from, $to;
done_testing();
