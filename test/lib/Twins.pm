# What the tests of doc/duplicate-node-ids.md share: two servers that are configured alike, a
# third one that compares them, and the page's steps there up to that.
package Twins;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use PageSteps;
use POSIX qw(strftime);
use PostgreSQL::Test::Cluster;
use Timeshard;

our @EXPORT = qw(start_twins hub one two findings stand_still run_on);

my ($one, $two, $hub, $steps);

# The three servers, and the page, which has the addresses of these.
sub start_twins
{
    my @alike = (clock => 1, create => 0, init => [ allows_streaming => 'logical' ], conf => "timeshard.node_id = 298\nautovacuum = off\n");
    $one = new_cluster('one', @alike);
    $two = new_cluster('two', @alike);
    # Has no node ID but its address's.
    $hub = new_cluster('hub', derived => 1, create => 0, conf => 'autovacuum = off');
    $hub->safe_psql('postgres', "CREATE DATABASE $_") for 'fleet', 'collected';
    $hub->safe_psql('postgres', 'ALTER DATABASE fleet SET client_min_messages = error'); # it warns of its number
    $steps = PageSteps->new('duplicate-node-ids.md', $hub, 'fleet');
    $steps->run('addresses', sub {
        for my $n (1, 2)
        {
            my ($host, $port) = $n == 1 ? ($one->host, $one->port) : ($two->host, $two->port);
            s/(host_$n) :HOST/$1 $host/;
            s/(port_$n) :PORT/$1 $port/;
        }
        return $_;
    });
    $steps->run($_) for qw(list databases ask findings);
    return ($one, $two, $hub, $steps);
}

sub hub { return $hub->safe_psql('fleet', $_[0]) }
sub one { return $one->safe_psql('twin_1', $_[0]) }
sub two { return $two->safe_psql('twin_2', $_[0]) }

# What the page's view finds now, about servers whose names match; '' is nothing.
my $look = "SELECT concat_ws(' ', server, other, finding) FROM findings WHERE server ~ '%1\$s' AND coalesce(other, server) ~ '%1\$s' ORDER BY 1";
sub findings
{
    my ($servers, @psql) = @_;
    my $compare = $steps->text('compare') =~ s/^SELECT server,.*//msr;
    my ($rc, $out) = $hub->psql('fleet', $compare . sprintf($look, $servers // ''), on_error_stop => 0, extra_params => \@psql);
    return $out;
}

# Both clocks stand still at this moment, in seconds since 1970; the second one's so
# much later.
sub stand_still
{
    my ($moment, $later) = @_;
    set_clock($one, strftime('%Y-%m-%d %H:%M:%S', localtime $moment));
    set_clock($two, strftime('%Y-%m-%d %H:%M:%S', localtime $moment + ($later // 0)));
    return;
}

sub run_on
{
    set_clock($_, '+0') for $one, $two;
    return;
}

1;
