# doc/clients.md, the clients: psycopg, psycopg2, node-postgres and JDBC make
# rows, get their IDs, load many, refer to them and read page by page, by the
# page's own snippets. (Its SQL is run by manual_pages.pl.)
#
# Debian: python3-psycopg, python3-psycopg2, nodejs and node-pg,
# default-jdk-headless and libpostgresql-jdbc-java.
use strict;
use warnings FATAL => 'all';

use File::Basename qw(basename);
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Clients;
use Manual qw(read_text blocks_of);
use Timeshard;

my $node = shop_cluster('clients');
my $folder = $node->basedir;

# The page's JDBC, which has an open connection, as a program.
sub java_program
{
    my ($text) = @_;
    return <<"JAVA";
import java.sql.*;
import java.util.*;

public class Orders {
    public static void main(String[] arguments) throws SQLException {
        try (Connection connection = DriverManager.getConnection(arguments[0])) {
$text
        }
    }
}
JAVA
}

subtest 'every block of the page is named in a test' => sub {
    my %tests = map { basename($_) => read_text($_) } glob "$FindBin::RealBin/clients_*.pl";
    for my $block (grep { $_->{lang} ne 'sql' } blocks_of(read_text($Clients::page)))
    {
        my $name = $block->{info};
        ok($name ne '' && (grep { /'\Q$name\E'/ } values %tests), "line $block->{line}: '$name'");
    }
};

subtest 'psycopg' => sub {
    plan skip_all => 'install python3-psycopg' unless has_python_modules('psycopg');
    my $database = shop_database($node, 'psycopg', tables => 1);
    my $program = write_program("$folder/psycopg_client.py", snippet('psycopg'));
    check_output($node, $database, 'psycopg', run_in_shop($node, $database, [ $python, $program ]));
};

subtest 'psycopg2' => sub {
    plan skip_all => 'install python3-psycopg2' unless has_python_modules('psycopg2');
    my $database = shop_database($node, 'psycopg2', tables => 1);
    my $program = write_program("$folder/psycopg2_client.py", snippet('psycopg2'));
    check_output($node, $database, 'psycopg2', run_in_shop($node, $database, [ $python, $program ]));
};

subtest 'node-postgres' => sub {
    my %env = (NODE_PATH => join ':', grep { length } $ENV{NODE_PATH} // '',
        '/usr/share/nodejs', '/usr/lib/node_modules', '/usr/local/lib/node_modules');
    my ($has_pg) = run_in_shop($node, 'postgres', [ 'node', '-e', 'require("pg")' ], env => \%env);
    plan skip_all => 'install nodejs and node-pg' unless $has_pg;

    my $database = shop_database($node, 'node_postgres', tables => 1);
    my $program = write_program("$folder/node_postgres.js", async_program(snippet('node-postgres')));
    check_output($node, $database, 'node-postgres', run_in_shop($node, $database, [ 'node', $program ], env => \%env));
};

subtest 'JDBC' => sub {
    my $jar = '/usr/share/java/postgresql.jar';
    my ($has_java) = run_in_shop($node, 'postgres', [ 'javac', '-version' ]);
    plan skip_all => 'install default-jdk-headless and libpostgresql-jdbc-java' unless $has_java && -e $jar;

    my $database = shop_database($node, 'jdbc', tables => 1);
    my $program = write_program("$folder/Orders.java", java_program(snippet('jdbc')));
    my $url = 'jdbc:postgresql://127.0.0.1:' . $node->port . "/$database?user=shop";
    check_output($node, $database, 'jdbc', run_in_shop($node, $database, [ 'java', '-cp', $jar, $program, $url ]));
};

# The checks can fail: a client that rounds, that makes IDs itself, that is out of
# order, is found out.
subtest 'a client that is wrong is found out' => sub {
    plan skip_all => 'install python3-psycopg2' unless has_python_modules('psycopg2');
    my %wrong = (
        'rounds' => [ 'print(customer, orders)', 'print(customer, [(int(float(order)),) for order, in orders])', qr/page shows/ ],
        'makes an ID' => [ 'customers (name) VALUES (%s)', 'customers VALUES (390233979859673089, %s)', qr/page shows/ ],
        'is out of order' => [ '(customer, "lamp"), (customer, "chair")', '(customer, "chair"), (customer, "lamp")', qr/out of order/ ],
        'leaves an ID out' => [ 'print(customer, orders)', 'print(orders[0][0], orders)', qr/page shows|server's IDs/ ],
        'fails' => [ 'fetch=True', 'fetsch=True', qr/it fails/ ]);
    my $number = 0;
    for my $how (sort keys %wrong)
    {
        my ($from, $to, $expected) = @{ $wrong{$how} };
        my $text = snippet('psycopg2');
        die "no '$from'" unless $text =~ s/\Q$from\E/$to/;
        my $database = shop_database($node, 'wrong_' . ++$number, tables => 1);
        my $program = write_program("$folder/wrong.py", $text);
        my @came = run_in_shop($node, $database, [ $python, $program ]);
        my ($complaint) = complaints_about($node, $database, 'psycopg2', @came);
        like($complaint // '', $expected, "one that $how");
    }
};

$node->stop;
done_testing();
