# What the tests of doc/sharding.md share: the coordinator and the servers that hold
# rows, the page's steps there and what is asked of them.
package Sharding;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use FindBin;
use PageSteps;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

our @EXPORT = qw(start_shards finish_shards hub one two three statements refused make_lines);

# By their numbers in the page; the coordinator is 0, and node 298 as everywhere in the
# manual.
my @name = qw(hub one two three);
my @node_id = (298, 11, 12, 13);
my ($steps, @server);

# Which test runs the steps that not all of them run.
my %runs = (
    'sharding_down.pl' => [qw(repeatable)],
    'sharding_third.pl' => [qw(third move compared moved member)]);

# The coordinator and so many servers for rows; returns the page, which has their
# addresses, and them.
sub start_shards
{
    my ($count) = @_;
    @server = map { new_cluster($name[$_], conf => "timeshard.node_id = $node_id[$_]\nautovacuum = off\n", create => 0) } 0 .. $count;
    $server[0]->safe_psql('postgres', 'CREATE DATABASE shop');
    $steps = PageSteps->new('sharding.md', $server[0], 'shop');
    $steps->run('addresses', sub {
        for my $n (1 .. $count)
        {
            my ($host, $port) = ($server[$n]->host, $server[$n]->port);
            s/(host_$n) :HOST/$1 $host/;
            s/(port_$n) :PORT/$1 $port/;
        }
        return $_;
    });
    $steps->run($_) for qw(shards coordinator);
    return ($steps, @server);
}

# Ends a test, which must have run all of the page but for what the others run.
sub finish_shards
{
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @others = map { @{ $runs{$_} } } grep { $_ ne $FindBin::RealScript } keys %runs;
    is(join(' ', $steps->left_out), join(' ', sort @others), 'all of the page has been run, but for what its other tests run');
    $steps->finish;
    $_->stop('immediate') for @server;
    return done_testing();
}

sub hub { return $server[0]->safe_psql('shop', $_[0]) }
sub one { return $server[1]->safe_psql('shard_1', $_[0]) }
sub two { return $server[2]->safe_psql('shard_2', $_[0]) }
sub three { return $server[3]->safe_psql('shard_3', $_[0]) }

# What a function of the test makes the servers log meanwhile: so many statements match.
sub statements
{
    my ($pattern, $action, @servers) = @_;
    my %from = map { $_->name => -s $_->logfile } @servers;
    $action->();
    my @found;
    push @found, substr(slurp_file($_->logfile), $from{ $_->name }) =~ /(?:execute [^:]*|statement): ($pattern.*)/g for @servers;
    return scalar @found;
}

# Fails with this SQLSTATE and message.
sub refused
{
    my ($sql, $pattern, $name, %where) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return fails_with($where{node} // $server[0], $sql, $pattern, $name, dbname => $where{dbname} // 'shop');
}

# Lines of orders, on the server of their order, as the page says in words.
sub make_lines
{
    for ([ \&one, '0, 2, 4, 6' ], [ \&two, '1, 3, 5, 7' ])
    {
        my ($where, $partitions) = @$_;
        $where->("CREATE TABLE lines (order_id bigint NOT NULL, id bigint NOT NULL, amount integer) PARTITION BY HASH (order_id)");
        $where->("CREATE TABLE lines_$_ PARTITION OF lines (PRIMARY KEY (order_id, id), FOREIGN KEY (order_id) REFERENCES orders_$_)
            FOR VALUES WITH (MODULUS 8, REMAINDER $_)") for split /, /, $partitions;
    }
    hub('CREATE TABLE lines (order_id bigint NOT NULL, id bigint NOT NULL DEFAULT timeshard_next_id(), amount integer) PARTITION BY HASH (order_id)');
    hub("CREATE FOREIGN TABLE lines_$_ PARTITION OF lines FOR VALUES WITH (MODULUS 8, REMAINDER $_) SERVER shard_" . (1 + $_ % 2)) for 0 .. 7;
    return;
}

1;
