# Prepared statements through pgbouncer in transaction mode, as doc/clients.md has
# them: when each client begins to prepare, what happens when its next transaction
# gets another server connection, or another client its own, and what the page
# advises against it.
#
# Debian: pgbouncer, python3-psycopg, nodejs and node-pg, default-jdk-headless and
# libpostgresql-jdbc-java.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Clients;
use Manual qw(read_text);
use Pgbouncer;
use Timeshard;

my $version = Pgbouncer::version() or plan skip_all => 'install pgbouncer';
note("pgbouncer $version");
my $clients = "$FindBin::RealBin/../clients";
my $jar = '/usr/share/java/postgresql.jar';

my $node = shop_cluster('pgbouncer_prepared');
shop_database($node, 'shop', tables => 1);

# How each client is started, the page's advice, when it begins to prepare, and how
# that fails: its statement is not in the server connection, or another's is.
my %ways = (
    psycopg => {
        command => [ $python, "$clients/pooled.py" ],
        has => sub { has_python_modules('psycopg') },
        advice => 'prepare_threshold=None',
        prepares => 6,
        batch => '`executemany`',
        fails => 'does not exist',
    },
    'node-postgres' => {
        command => [ 'node', "$clients/pooled.js" ],
        env => { NODE_PATH => join ':', grep { length } $ENV{NODE_PATH} // '',
            '/usr/share/nodejs', '/usr/lib/node_modules', '/usr/local/lib/node_modules' },
        has => sub { (run_in_shop($node, 'shop', [ 'node', '-e', 'require("pg")' ], env => $_[0]))[0] },
        advice => 'no `name`',
        prepares => 1,
        fails => 'does not exist',
    },
    JDBC => {
        command => [ 'java', '-cp', $jar, "$clients/Pooled.java" ],
        has => sub { -e $jar && (run_in_shop($node, 'shop', [ 'javac', '-version' ]))[0] },
        advice => 'prepareThreshold=0',
        prepares => 5,
        batch => 'a batch',
        fails => 'already exists',
    },
);
my $page = read_text($Clients::page);
my %word = (5 => 'fifth', 6 => 'sixth');

for my $client (sort keys %ways)
{
    subtest $client => sub {
        my %way = %{ $ways{$client} };
        plan skip_all => "no $client" unless $way{has}->($way{env});

        my ($row) = $page =~ /^(\| \Q$client\E \|.*\Q$way{advice}\E.*)$/m;
        ok($row, 'the page has its advice');
        my $when = $word{ $way{prepares} };
        like($row // '', qr/$when/, "and when it prepares: the $when time") if $when;

        like($row // '', qr/\Q$way{batch}\E/, 'and that a batch does so at once') if $way{batch};

        # "first 6": a statement with a name is there after the sixth run.
        my $run = sub {
            my ($port, @how) = @_;
            my ($ok, $out, $err) = run_in_shop($node, 'shop', [ @{ $way{command} }, @how ], env => { %{ $way{env} // {} },
                    PGHOST => '127.0.0.1', PGPORT => $port });
            chomp $out;
            return $ok ? $out : "fails: $out$err";
        };
        my $start = length log_of($node);
        is($run->($node->port, 'count'), "first $way{prepares}", 'directly: when it prepares');
        is($run->($node->port, 'batch'), 'first 1', 'a batch at once') if $way{batch};
        isnt(join(' ', prepared_by_name($node, $start)), '', "which the server's log shows");

        my @settings = $version < 1021 ? ([]) : ([ max_prepared_statements => 0 ], [ max_prepared_statements => 100 ]);
        for my $setting (@settings)
        {
            my $pool = Pgbouncer->new($node, default_pool_size => 2, @$setting);
            my $name = join(' = ', @$setting) || 'a pgbouncer that does not know them';
            my $said = $run->($pool->{port}, 'prepare');
            if (($setting->[1] // 0) > 0) { is($said, 'runs on both connections', "$name: runs") }
            else { like($said, qr/prepared statement .* $way{fails}/, "$name: fails") }
            my $from = length log_of($node);
            is($run->($pool->{port}, 'do-not'), 'runs on both connections', "$name: with the page's advice, runs");
            is_deeply([ prepared_by_name($node, $from) ], [], "$name: nothing has a name");
            $pool->stop;
        }
    };
}

$node->stop;
done_testing();
