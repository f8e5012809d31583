# Servers that claim their node IDs from a registry.
#
#   my $registry = start_registry('registry');
#   my $node = new_claimant('claimant', $registry);
#   is(number_of($node), 100, 'it has claimed the first number');
package Claimants;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use FaultKit;
use PostgreSQL::Test::Utils;
use Registry ();
use Test::More;
use Timeshard;
use TimeshardSession;

our @EXPORT = qw(
  start_registry new_claimant claim_from registry_settings await_claim number_of claim_of
  claimed_until registry_error claimant_pid fleet_state ask_again check_claims check_intervals $no_claim
);

# The error of a call that finds no claim.
our $no_claim = qr/ERROR:  55000: this server holds no claim of a node ID, and issues no IDs/;

# A server that hands out the numbers 100 to 199, or those of numbers => '[1,3]'. Knows
# new_cluster's options.
sub start_registry
{
    my ($name, %options) = @_;
    return Registry::new_registry($name, delete $options{numbers} // '[100,199]', %options);
}

# How a server finds the registry.
sub registry_settings
{
    my ($registry) = @_;
    return "timeshard.node_id = 'registry'\ntimeshard.registry = 'host=" . $registry->host . ' port=' . $registry->port . " dbname=postgres'\n";
}

# A server that claims its number. Knows new_cluster's options.
sub new_claimant
{
    my ($name, $registry, %options) = @_;
    my $conf = registry_settings($registry) . ($options{conf} // '');
    return fault_cluster($name, shim => 0, preload => 1, derived => 1, %options, conf => $conf);
}

# Has a server that is not started claim from the registry.
sub claim_from
{
    my ($node, $registry) = @_;
    $node->append_conf('postgresql.conf', "shared_preload_libraries = 'timeshard'\n" . registry_settings($registry));
    return;
}

# Number, time until, and last error, as timeshard_claim_status() has them.
sub claim_of
{
    my ($node) = @_;
    return split /\|/, $node->safe_psql('postgres', 'SELECT node_id, extract(epoch FROM claimed_until), registry_error FROM timeshard_claim_status()'), -1;
}

# The claimed number, empty if there is none.
sub number_of { return (claim_of($_[0]))[0] }

# The claim's end, in seconds since 1970.
sub claimed_until { return (claim_of($_[0]))[1] || 0 }

sub registry_error { return (claim_of($_[0]))[2] }

# Waits until the server has a number, and returns it.
sub await_claim
{
    my ($node) = @_;
    my $number = '';
    eventually(sub { ($number = number_of($node)) ne '' }) or die $node->name . ' claims no number: ' . registry_error($node);
    return $number;
}

# The process that claims; undefined if none runs.
sub claimant_pid
{
    my ($node) = @_;
    for my $pid (children_of($node))
    {
        open my $in, '<', "/proc/$pid/cmdline" or next;
        return $pid if (<$in> // '') =~ /timeshard claimant/;
    }
    return;
}

# What the registry says of a number.
sub fleet_state
{
    my ($registry, $number) = @_;
    return $registry->safe_psql('postgres', "SELECT state FROM timeshard_fleet WHERE number = $number");
}

# A test: each ID of these logs, or sets of writers, that servers named @$names gave is
# within a claim of its number by one of them. So two servers cannot have come near each
# other, whether an ID repeats or not. Returns the numbers that were used.
sub check_claims
{
    my ($registry, $names, @logs) = @_;
    my %claims;
    my $history = $registry->safe_psql('postgres', 'SELECT number, first_offset, end_offset, claimant FROM timeshard_claims');
    for (split /\n/, $history)
    {
        my ($number, $first, $end, $claimant) = split /\|/, $_, 4;
        push @{ $claims{$number} }, [ $first, $end eq '' ? 1 << 41 : $end ] if grep { $claimant =~ /^\Q$_\E on / } @$names;
    }
    my (%used, @outside);
    for my $log (map { ref ? $_->logs : $_ } @logs)
    {
        open my $in, '<', $log or die "cannot read $log: $!";
        while (my $line = <$in>)
        {
            next unless $line =~ /^I /;
            my (undef, undef, undef, undef, undef, @ids) = split / /, $line;
            for my $id (@ids)
            {
                my ($offset, $number) = ($id >> 22, ($id >> 12) & 1023);
                $used{$number} = 1;
                push @outside, 0 + $id unless grep { $offset >= $_->[0] && $offset < $_->[1] } @{ $claims{$number} // [] };
            }
        }
    }
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is("@outside[0 .. ($#outside > 4 ? 4 : $#outside)]", '', "each ID of @$names is within a claim");
    return sort { $a <=> $b } keys %used;
}

# A test: no two claims of a number overlap, whoever held them.
sub check_intervals
{
    my ($registry) = @_;
    my $overlapping = $registry->safe_psql('postgres', <<'SQL');
SELECT number, first_offset, end_offset, after FROM (
    SELECT *, lead(first_offset) OVER (PARTITION BY number ORDER BY first_offset) AS after FROM timeshard_claims) AS c
WHERE end_offset > after
SQL
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is($overlapping, '', 'no claims of a number overlap');
}

# Has the claimant ask the registry now, as a reload does.
sub ask_again
{
    my ($node) = @_;
    $node->reload;
    return;
}

1;
