# doc/clients.md, Rails: its migration and models make IDs by the server's default,
# and what its schema dumper does to a generated column: 6.1 makes a default of it,
# which cannot be loaded, later ones keep it.
#
# Debian: ruby-activerecord, ruby-pg.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Clients;
use Timeshard;

my $node = shop_cluster('rails');
my $folder = $node->basedir;
my $connect = <<'RUBY';
require 'active_record'
ActiveRecord::Base.establish_connection(adapter: 'postgresql', host: ENV['PGHOST'], port: ENV['PGPORT'],
                                        database: ENV['PGDATABASE'], username: ENV['PGUSER'])
ActiveRecord::Migration.verbose = false
RUBY
my ($installed, $version) = run_in_shop($node, 'postgres', [ 'ruby', '-e', "require 'pg'; require 'active_record'; print ActiveRecord::VERSION::STRING" ]);
plan skip_all => 'install ruby-activerecord and ruby-pg' unless $installed;
note("ActiveRecord $version");

sub ruby
{
    my ($database, $name, $text) = @_;
    return run_in_shop($node, $database, [ 'ruby', write_program("$folder/$name.rb", "$connect$text") ]);
}

my $migrate = snippet('rails-migration') . "CreateShop.new.migrate(:up)\n";
my $database = shop_database($node, 'rails');
check_output($node, $database, 'rails', ruby($database, 'client', $migrate . orm_program('rails.rb')));

subtest 'prepared by name, as the page says' => sub {
    is(join(' ', prepared_by_name($node)), '', 'not what inserts');
    my ($advice) = Manual::read_text($Clients::page) =~ /^\| Rails \|.*`(prepared_statements: false)`/m or die 'the page has no advice';
    my $find = "class Customer < ActiveRecord::Base; end\nCustomer.find(Customer.where(name: 'Ada').first.id)\n";
    for ([ '', 1 ], [ ", $advice", 0 ])
    {
        my ($option, $named) = @$_;
        my $from = length log_of($node);
        my ($ok, undef, $err) = run_in_shop($node, $database,
            [ 'ruby', write_program("$folder/find.rb", ($connect =~ s/'PGUSER'\]/'PGUSER']$option/r) . $find) ]);
        ok($ok, "a query$option") or diag($err);
        my @names = prepared_by_name($node, $from);
        is(@names > 0 ? 1 : 0, $named, $named ? 'has a name' : 'has none');
    }
};

# What schema.rb says of the database, after what the page has an application set, or without it.
sub dump_schema
{
    my ($set) = @_;
    my ($ok, $schema, $err) = ruby($database, 'dump', $set . <<'RUBY');
new = ActiveRecord::VERSION::STRING >= '7.2'
ActiveRecord::SchemaDumper.dump(new ? ActiveRecord::Base.connection_pool : ActiveRecord::Base.connection, $stdout)
RUBY
    ok($ok, 'the schema is dumped') or diag($err);
    return $schema;
}

sub load_schema
{
    my ($again, $schema) = @_;
    shop_database($node, $again);
    my ($ok, undef, $err) = ruby($again, 'schema', $schema);
    return ($ok, $err);
}

subtest 'the schema dumper and the registry\'s tables' => sub {
    my (undef, $err) = load_schema('rails_unfiltered', dump_schema(''));
    like($err, qr/cannot drop table timeshard_registry because extension timeshard requires it/, 'why the page has a filter');
    my $schema = dump_schema(snippet('rails-filter'));
    like($schema, qr/create_table "orders", id: :bigint, default: -> \{ "timeshard_next_id\(\)" \}/, "the key's default is kept");
    (my $ok, $err) = load_schema('rails_filtered', $schema);
    ok($ok, 'with the filter it can be loaded') or diag($err);
};

subtest 'the schema dumper and a generated column' => sub {
    shop_sql($node, $database, "ALTER TABLE orders ADD COLUMN reference text GENERATED ALWAYS AS (timeshard_format(id, 'ORD_')) STORED");
    my $schema = dump_schema(snippet('rails-filter'));
    my ($ok, $err) = load_schema('rails_again', $schema);
    if ($version =~ /^6\./)
    {
        like($schema, qr/t\.text "reference", default: -> /, 'before 7: the generated column is a default');
        like($err, qr/cannot use column reference in DEFAULT expression/, 'which cannot be loaded');
    }
    else
    {
        like($schema, qr/t\.virtual "reference", type: :text, as: "timeshard_format\(/, 'the generated column is kept');
        ok($ok, 'and can be loaded') or diag($err);
    }
};

$node->stop;
done_testing();
