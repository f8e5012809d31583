# Writers of a table of events and readers that follow it as a stream, each a
# session of its own (event_writer.cpp and event_reader.cpp, which say what is in
# their logs), through whatever befalls the server.
package EventStreams;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use Compiled;
use List::Util qw(max);
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TimeshardSession;

our @EXPORT = qw(prepare_events start_clients stop_clients clients_of await_lines cursor_of poll_after
  transactions_of errors_of answers_of lags_of ids_read compare_stream falls_of);

my $schema = <<'SQL';
CREATE TABLE events (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), writer integer NOT NULL, note integer);
CREATE TABLE event_source WITH (parallel_workers = 2) AS SELECT n, repeat('x', 1000) AS filler FROM generate_series(1, 80) AS n;
ANALYZE event_source;
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

my %running;
my $owner = $$;

sub prepare_events
{
    my ($node) = @_;
    $node->safe_psql('postgres', $schema);
    return;
}

# Starts a client with these arguments behind its log; returns the log's name.
sub start_client
{
    my ($node, $program, $log, @arguments) = @_;
    my $binary = compile_client($program);
    my $pid = fork // die "cannot fork: $!";
    if ($pid == 0)
    {
        open STDERR, '>', "$log.err";
        exec { $binary } $binary, $node->connstr('postgres') . ' connect_timeout=5', $log, @arguments
          or POSIX::_exit(127);
    }
    $running{$pid} = $program;
    return $log;
}

# Starts so many writers, and a reader of each of these kinds; returns the writers'
# logs, and the readers' as a hash.
sub start_clients
{
    my ($node, $writers, @kinds) = @_;
    my $base = $node->basedir;
    my %readers = map { $_ => start_client($node, 'event_reader', "$base/reader_$_.log", $_ =~ s/\d//r) } @kinds;
    my @writers = map { start_client($node, 'event_writer', "$base/writer_$_.log", $_) } 1 .. $writers;
    return (\@writers, \%readers);
}

# Ends those of one program, after the transaction that each is in.
sub stop_clients
{
    my ($program) = @_;
    my @left = grep { $running{$_} eq $program } keys %running;
    my @all = @left;
    kill 'TERM', @left;
    eventually(sub { !(@left = grep { waitpid($_, POSIX::WNOHANG()) == 0 } @left) }) or die "$program @left do not end";
    delete @running{@all};
    return;
}

sub clients_of
{
    my ($program) = @_;
    return grep { $running{$_} eq $program && waitpid($_, POSIX::WNOHANG()) == 0 } keys %running;
}

# Waits until each of the logs has a line that matches, of those that come after
# $action, if given, has started.
sub await_lines
{
    my ($pattern, $logs, $action) = @_;
    my %at = map { $_ => $action ? -s $_ // 0 : 0 } @$logs;
    $action->() if $action;
    my %text = map { $_ => '' } @$logs;
    return eventually(sub {
        for my $log (keys %text)
        {
            open my $in, '<', $log or next;
            seek $in, $at{$log} + length $text{$log}, 0;
            local $/;
            $text{$log} .= <$in> // '';
            delete $text{$log} if $text{$log} =~ $pattern;
        }
        return !%text;
    });
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

# How many there are of each "SQLSTATE message", without their numbers.
sub errors_of
{
    my %errors;
    for (lines_of('E', @_))
    {
        my ($time, $sqlstate, @message) = @$_;
        $errors{ "$sqlstate " . "@message" =~ s/\d+/N/gr }++;
    }
    return %errors;
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

END
{
    my $status = $?;
    if ($$ == $owner)
    {
        kill 'KILL', keys %running;
        waitpid $_, 0 for keys %running;
    }
    $? = $status;
}

1;
