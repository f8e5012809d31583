# doc/clients.md, the ORMs in JavaScript: Drizzle, Knex and TypeORM. Models with
# the server's default, migrations by their own tools, IDs returned in all digits,
# many rows, foreign keys and pages, by the page's own models, as a role that owns
# its database.
#
# Debian: nodejs and npm. The rest is installed by npm, in the versions of
# test/clients/package-lock.json, into a folder that is removed at the end.
use strict;
use warnings FATAL => 'all';

use File::Copy qw(copy);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Clients;
use Timeshard;

my $folder = tempdir(CLEANUP => 1);
# npm keeps its cache and reads its settings there too, whoever runs the test.
my %env = (HOME => $folder, npm_config_cache => "$folder/.npm", npm_config_userconfig => "$folder/.npmrc",
    PATH => "$folder/node_modules/.bin:$ENV{PATH}", NO_COLOR => 1, CI => 1);
my %here = (dir => $folder, env => \%env);

plan skip_all => 'install nodejs and npm' unless (run_client([qw(npm --version)], %here))[0];
copy("$FindBin::RealBin/../clients/$_", $folder) or die "cannot copy $_: $!" for 'package.json', 'package-lock.json';
my ($installed, undef, $why_not) = run_client([qw(npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier
    --fetch-retries=1 --fetch-timeout=120000 --loglevel=error)], %here);
if (!$installed)
{
    my $unreachable = qr/ENOTFOUND|ECONN|EAI_AGAIN|TIMEDOUT|TIMEOUT|EPIPE|E\w*UNREACH|_CERT|timeout on timer|code E(?:429|5\d\d)/;
    if ($why_not !~ $unreachable)
    {
        fail('npm ci');
        diag($why_not);
        done_testing();
        exit;
    }
    diag("clients_orms_javascript is skipped, npm's registry is out of reach: $why_not");
    plan skip_all => "npm's registry is out of reach";
}

my $node = shop_cluster('orms_javascript');
my %written = written_by_tools();

sub has_text
{
    my ($text, $part, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok(index($text, $part) >= 0, "$name: $part") || diag($text);
}

# The page's command, by the program that npm has installed; returns what it says.
sub page_command
{
    my ($database, $name) = @_;
    my ($ok, $out, $err) = run_in_shop($node, $database, [ 'sh', '-c', snippet($name) =~ s/^npx //mr ], %here);
    return ($ok, "$out$err");
}

sub program
{
    my ($name) = @_;
    return write_program("$folder/$name-client.js", async_program(orm_program("$name.js")));
}

subtest 'Drizzle' => sub {
    my $database = shop_database($node, 'drizzle');
    write_program("$folder/schema.js", snippet('drizzle-schema'));
    my ($ok, $said) = page_command($database, 'drizzle-kit');
    ok($ok, 'drizzle-kit generate') or diag($said);
    has_text(join('', map { slurp_file($_) } glob "$folder/drizzle/*.sql"), $_, 'the migration') for @{ delete $written{'`drizzle-kit generate`'} };
    ($ok, $said) = page_command($database, 'drizzle-kit');
    like($said, qr/No schema changes/, 'no difference the second time');
    check_output($node, $database, 'drizzle', run_in_shop($node, $database, [ 'node', program('drizzle') ], %here));

    my $pushed = shop_database($node, 'drizzle_push');
    my $config = snippet('drizzle-config');
    my $push = sub {
        write_program("$folder/drizzle.config.js", $_[0]);
        local $ENV{DATABASE_URL} = 'postgresql://shop@127.0.0.1:' . $node->port . "/$pushed";
        my ($ok, $out, $err) = run_in_shop($node, $pushed, [qw(drizzle-kit push)], %here);
        return "$out$err";
    };
    like($push->($config =~ s/tablesFilter.*\n//r), qr/Interactive prompts require a TTY/, 'push without the filter asks what became of the tables');
    has_text($push->($config), $_, 'push with it') for 'Changes applied', 'No changes detected';

    # The warning is true, and no more than true.
    my $related = async_program(<<'JAVASCRIPT');
const { relations } = require('drizzle-orm');
const { drizzle } = require('drizzle-orm/node-postgres');
const { Pool } = require('pg');
const { customers, orders } = require('./schema.js');
const pool = new Pool();
const customersRelations = relations(customers, ({ many }) => ({ orders: many(orders) }));
const ordersRelations = relations(orders, ({ one }) => ({
    customer: one(customers, { fields: [orders.customerId], references: [customers.id] }),
}));
const db = drizzle(pool, { schema: { customers, orders, customersRelations, ordersRelations } });
const [found] = await db.query.customers.findMany({ with: { orders: true } });
console.log(String(found.id), found.orders.map((order) => `${order.id} ${order.customerId}`).join(' '));
await pool.end();
JAVASCRIPT
    my ($ran, $out, $err) = run_in_shop($node, $database, [ 'node', write_program("$folder/related.js", $related) ], %here);
    ok($ran, 'a relational query runs') or diag($err);
    my ($customer, @ids) = split ' ', $out;
    is($customer, shop_sql($node, $database, 'SELECT id FROM customers'), "a relational query: the customer's own ID is whole");
    my $whole = shop_sql($node, $database, "SELECT string_agg(id || ' ' || customer_id, ' ' ORDER BY id) FROM orders");
    isnt(join(' ', @ids), $whole, 'the IDs of its orders are rounded');
    is(scalar @ids, 8, 'all of them are there');
};

subtest 'Knex' => sub {
    my $database = shop_database($node, 'knex');
    make_path("$folder/migrations");
    write_program("$folder/migrations/1_shop.js", snippet('knex-migration'));
    my $logged = { dir => $folder, env => { %env, DEBUG => 'knex:query' } };
    my ($ok, $out, $err) = run_in_shop($node, $database, [ 'node', program('knex') ], %$logged);
    check_output($node, $database, 'knex', $ok, $out, $err);
    has_text($err, $_, 'the migration') for @{ delete $written{'Knex'} };
    unlink "$folder/migrations/1_shop.js";
};

subtest 'TypeORM' => sub {
    my $database = shop_database($node, 'typeorm');
    write_program("$folder/source.js", snippet('typeorm-source'));
    my ($ok, $said) = page_command($database, 'typeorm-cli');
    ok($ok, 'typeorm migration:generate') or diag($said);
    has_text(join('', map { slurp_file($_) } glob "$folder/migrations/*-Shop.js") =~ s/\\"/"/gr, $_, 'the migration')
      for @{ delete $written{'`typeorm migration:generate`'} };
    check_output($node, $database, 'typeorm', run_in_shop($node, $database, [ 'node', program('typeorm') ], %here));
    ($ok, $said) = page_command($database, 'typeorm-cli');
    like($said, qr/No changes in database schema were found/, 'no difference the second time');
};

is_deeply([ prepared_by_name($node) ], [], 'none of these clients prepares by a name, as the page says of them');

$node->stop;
done_testing();
