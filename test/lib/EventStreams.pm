# Writers of a table of events and readers that follow it as a stream, each a
# session of its own (event_writer.cpp and event_reader.cpp in test/probes, which say
# what is in their logs), through whatever befalls the server.
package EventStreams;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use ClientPrograms;
use List::Util qw(max);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(prepare_events start_clients cursor_of poll_after
  transactions_of answers_of lags_of ids_read compare_stream falls_of);

my $schema = <<'SQL';
CREATE TABLE events (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), writer integer NOT NULL, note integer);
CREATE TABLE event_source WITH (parallel_workers = 2) AS SELECT n, repeat('x', 1000) AS filler FROM generate_series(1, 80) AS n;
ANALYZE event_source;
CREATE FUNCTION event_own_next_id() RETURNS bigint LANGUAGE C PARALLEL SAFE AS '$libdir/timeshard', 'timeshard_next_id';
CREATE TABLE event_cursor AS SELECT 0::bigint AS at;
CREATE TABLE event_copies (n bigserial, id bigint);

-- Errors behind an ID that has been taken
CREATE FUNCTION event_caught(writer integer, pause float8) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        INSERT INTO events (writer, note) SELECT event_caught.writer, 1 / (2 - n) FROM generate_series(1, 3) AS n;
    EXCEPTION WHEN division_by_zero THEN
        PERFORM pg_sleep(pause * random());
        INSERT INTO events (writer) VALUES (event_caught.writer);
    END;
    PERFORM pg_sleep(pause * random());
END $$;

-- Three transactions, of which the second is undone
CREATE PROCEDURE event_steps(writer integer, pause float8) LANGUAGE plpgsql AS $$
BEGIN
    FOR step IN 1..3 LOOP
        INSERT INTO events (writer) VALUES (event_steps.writer);
        PERFORM pg_sleep(pause * random());
        INSERT INTO events (writer) VALUES (event_steps.writer);
        IF step = 2 THEN ROLLBACK; ELSE COMMIT; END IF;
    END LOOP;
END $$;
SQL

sub prepare_events
{
    my ($node) = @_;
    $node->safe_psql('postgres', $schema);
    return;
}

# Starts so many writers, and a reader of each of these kinds, of which a digit at
# the end makes another of the same kind; returns the writers, and the readers by kind.
sub start_clients
{
    my ($node, $writers, @kinds) = @_;
    my %readers;
    for my $kind (@kinds)
    {
        my $name = $kind =~ s/\d//r;
        $readers{$kind} = ClientPrograms->start($node, 'event_reader', [ [$name] ], name => "reader_$kind", application => "event_$name");
    }
    return (ClientPrograms->start($node, 'event_writer', [ map { [$_] } 1 .. $writers ], name => 'writer'), \%readers);
}

# The last poll that a reader has done: its start and its cursor.
sub last_poll
{
    my ($log) = @_;
    open my $in, '<', $log or return (0, 0);
    seek $in, max(0, (-s $in) - 100_000), 0;
    local $/;
    my ($start, $cursor) = <$in> =~ /.*^R (\d+) (\d+)\n/ms;
    return ($start // 0, $cursor // 0);
}

sub cursor_of { return (last_poll(@_))[1] }

# True if the reader has done a poll that began after this time of monotonic().
sub poll_after
{
    my ($log, $time) = @_;
    return (last_poll($log))[0] > $time * 1e9;
}

# The lines of logs of one letter, as references to their fields.
sub lines_of
{
    my ($letter, @logs) = @_;
    return map { /^$letter (.*)/ ? [ split ' ', $1 ] : () } map { split /\n/, slurp_file($_) } @logs;
}

# How many there are of each "kind outcome", and the longest in ms of each outcome.
sub transactions_of
{
    my (@logs) = @_;
    my (%count, %longest);
    for (lines_of('T', @logs))
    {
        my ($kind, $start, $end, $outcome) = @$_;
        $count{"$kind $outcome"}++;
        $longest{$outcome} = max($longest{$outcome} // 0, ($end - $start) / 1e6);
    }
    return (\%count, \%longest);
}

# All answers of the horizon: [start, end, horizon, lag in us].
sub answers_of { return lines_of('H', @_) }

# The lags that timeshard_stats() has told, in us.
sub lags_of { return map { $_->[0] } lines_of('L', @_) }

# How many answers are less than one that had come before they were asked for.
sub falls_of
{
    my (@answers) = @_;
    my @ended = sort { $a->[1] <=> $b->[1] } @answers;
    my ($greatest, $falls) = (0, 0);
    for my $answer (sort { $a->[0] <=> $b->[0] } @answers)
    {
        while (@ended && $ended[0][1] < $answer->[0])
        {
            $greatest = max($greatest, (shift @ended)->[2]);
        }
        $falls++ if $answer->[2] < $greatest;
    }
    return $falls;
}

# Compares what a reader has seen with what is in the table: the IDs that are
# missing, seen again, not in the table, and not above the one before.
sub compare_stream
{
    my ($seen, $table) = @_;
    my %wrong = (missing => [], again => [], strange => [], disorder => []);
    my %in_table = map { $_ => 1 } @$table;
    my %times;
    my $last = 0;
    for my $id (@$seen)
    {
        push @{ $wrong{disorder} }, $id if $id <= $last;
        push @{ $wrong{again} }, $id if $times{$id}++;
        push @{ $wrong{strange} }, $id unless $in_table{$id};
        $last = $id;
    }
    $wrong{missing} = [ grep { !$times{$_} } @$table ];
    return \%wrong;
}

sub ids_read { return map { @$_ } lines_of('I', @_) }

1;
