# What the tests of the horizon share: sessions that hold it, and where it stands.
package Horizon;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use Test::More;
use Timeshard;
use TimeshardSession;

our @EXPORT = qw(prepare_horizon stands held past takes_id prepared owner_of successor_of gone lets_go);

# For a database that the horizon is asked in.
sub prepare_horizon
{
    my ($node, $dbname) = @_;
    $node->safe_psql($dbname // 'postgres', <<'SQL');
CREATE TABLE horizon_rows (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), note text);

-- Where the horizon stands to an ID once that ID's millisecond is over: past it, at
-- its millisecond, or before that. Asking is what brings the last ID forward.
CREATE FUNCTION stands(id bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE horizon bigint;
BEGIN
    LOOP
        PERFORM timeshard_horizon();
        EXIT WHEN (SELECT last_id >> 22 > id >> 22 FROM timeshard_stats());
    END LOOP;
    horizon := timeshard_horizon();
    RETURN CASE WHEN horizon > id THEN 'past' WHEN horizon >> 22 = id >> 22 THEN 'at' ELSE 'before' END;
END $$;
SQL
    return;
}

sub stands
{
    my ($node, $id) = @_;
    return $node->safe_psql('postgres', "SELECT stands($id)");
}

# Tests that the horizon is at the ID's millisecond.
sub held
{
    my ($node, $id, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is(stands($node, $id), 'at', $name);
}

# Tests that the horizon has passed the ID: at once, since what lets go of it has
# come to its end before.
sub past
{
    my ($node, $id, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is(stands($node, $id), 'past', $name);
}

# Opens a transaction that has an ID, and returns that.
sub takes_id
{
    my ($session) = @_;
    return $session->ask_ok('BEGIN; SELECT timeshard_next_id()');
}

# A transaction that has an ID and is prepared under this name; its ID. What comes
# next is of a later millisecond, so that the two are told apart.
sub prepared
{
    my ($session, $name) = @_;
    my $id = takes_id($session);
    $session->ask_ok("PREPARE TRANSACTION '$name'; SELECT pg_sleep(0.002)");
    return $id;
}

# The number of the session in its virtual transaction IDs.
sub owner_of
{
    my ($session) = @_;
    return $session->ask_ok(
        "SELECT split_part(virtualtransaction, '/', 1) FROM pg_locks WHERE pid = pg_backend_pid() LIMIT 1");
}

# A new session that has got this number, which another one has left. Up to 16 the
# lowest number that is free is given, so those before it are kept; from 17 the one
# that has been free for longest, so that all come round.
sub successor_of
{
    my ($node, $owner, $dbname) = @_;
    my $come_round = $server_major >= 17;
    my $tries = $come_round ? 2 * $node->safe_psql('postgres', 'SHOW max_connections') : 20;
    my (@others, $successor);
    for (1 .. $tries)
    {
        my $session = TimeshardSession->new($node, $dbname);
        if (owner_of($session) == $owner)
        {
            $successor = $session;
            last;
        }
        $come_round ? $session->finish : push @others, $session;
    }
    $_->finish for @others;
    return $successor // die "no session gets number $owner";
}

# Waits until the session's process has ended its transaction and left.
sub gone
{
    my ($node, $session) = @_;
    my $pid = $session->pid;
    return $node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid")
      || die 'the session stays';
}

# Two tests: the session's open transaction holds the horizon at the ID, until
# $end->(), and not a moment longer.
sub lets_go
{
    my ($node, $id, $end, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    held($node, $id, "$name: held");
    $end->();
    return past($node, $id, "$name: let go");
}

1;
