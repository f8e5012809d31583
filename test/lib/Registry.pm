# A registry of node IDs and its claimants, as a test sees them: each call is a
# statement in a connection of its own, and gives a hash of what is returned.
package Registry;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes ();
use Timeshard;

our @EXPORT = qw(new_registry claim extend_claim end_claim number_is now_ms refused_call EPOCH MINUTE);

use constant EPOCH => 1702385533000;
use constant MINUTE => 60_000;

# A cluster with a registry in the database postgres. Tests turn fsync off, and a
# registry needs it.
sub new_registry
{
    my ($name, $numbers, %options) = @_;
    my $length = delete $options{claim_length} // '1 day';
    my $node = new_cluster($name, %options, conf => "timeshard.node_id = 1\nfsync = on\n" . ($options{conf} // ''));
    $node->safe_psql('postgres', "SELECT timeshard_create_registry('$numbers', '$length')");
    return $node;
}

# This machine's clock in ms since 1970. A registry whose clock the test has
# stepped says itself what it is.
sub now_ms
{
    my ($node) = @_;
    return int(1000 * Time::HiRes::time()) unless $node && $node->{timeshard_clock};
    return $node->safe_psql('postgres', 'SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint');
}

sub quoted
{
    my ($value) = @_;
    return defined $value ? "'" . ($value =~ s/'/''/gr) . "'" : 'NULL';
}

# The one row of a call, by the names of its columns.
sub answer_to
{
    my ($node, $call, $database) = @_;
    my @columns = qw(outcome node_id first_offset end_offset proof registry_clock free_at message);
    my $row = $node->safe_psql($database // 'postgres', 'SELECT ' . join(', ', @columns) . " FROM $call");
    my %answer;
    @answer{@columns} = map { length $_ ? $_ : undef } split /\|/, $row, -1;
    return \%answer;
}

# claim($node, claimant => 'a', clock => ms, numbers => '[1,2]', preferred => 7, epoch => .., bits => ..)
sub claim
{
    my ($node, %o) = @_;
    return answer_to($node, sprintf('timeshard_claim(%s, %s, %d, %d, %s, %s)', quoted($o{claimant} // 'test'),
            $o{clock} // now_ms($node), $o{bits} // 10, $o{epoch} // EPOCH, quoted($o{numbers}), $o{preferred} // 'NULL'), $o{database});
}

my $tags = 0;

# extend_claim($node, $claim, tag => .., clock => ..): $claim is an earlier answer.
sub extend_claim
{
    my ($node, $claim, %o) = @_;
    return answer_to($node, sprintf('timeshard_extend_claim(%s, %s, %s, %s)', quoted($o{claimant} // 'test'),
            $o{clock} // now_ms($node), quoted($claim->{proof}), quoted($o{tag} // sprintf 'fresh tag %d', ++$tags)), $o{database});
}

sub end_claim
{
    my ($node, $claim, $used_until, %o) = @_;
    return answer_to($node, sprintf('timeshard_end_claim(%s, %s, %s)', quoted($claim->{proof}), quoted($o{tag}), $used_until), $o{database});
}

# What timeshard_fleet says of a number.
sub number_is
{
    my ($node, $number, $database) = @_;
    return $node->safe_psql($database // 'postgres', "SELECT state FROM timeshard_fleet WHERE number = $number");
}

# The error of a statement, with its SQLSTATE.
sub refused_call
{
    my ($node, $sql, @options) = @_;
    my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql", @options);
    return $err;
}

1;
