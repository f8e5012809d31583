# Reading a stream elsewhere than where it is written, by the recipes of
# doc/event-streams.md: on a standby that has replayed past a position taken after
# the answer; on a logical subscriber that has confirmed it, or been told of it;
# and on one that merges two writers, by the lesser of two horizons. Beside
# writers of all lengths, with and without synchronous_commit, every row is seen
# once and in order; who does not wait misses some.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Manual qw(read_text);
use Timeshard;
use TimeshardSession;

my $page = read_text("$FindBin::RealBin/../../doc/event-streams.md");
my $table = 'CREATE TABLE outbox (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), n integer)';

my @writers = map {
    new_cluster("writer_$_", conf => "timeshard.node_id = $_\nmax_connections = 60\n", init => [ allows_streaming => 'logical' ])
} 1 .. 2;
my $writer = $writers[0];
$writer->backup('base', backup_options => ['--checkpoint=fast']);
for (@writers)
{
    $_->safe_psql('postgres', $table);
    $_->safe_psql('postgres', 'CREATE PUBLICATION all_rows FOR TABLE outbox');
}
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($writer, 'base', has_streaming => 1);
start_with_env($standby);

# Two databases of one server: what comes of one writer, and of both.
my $subscriber = new_cluster('subscriber', conf => "timeshard.node_id = 3\nmax_connections = 60\n");
for (qw(one merged))
{
    $subscriber->safe_psql('postgres', "CREATE DATABASE $_");
    $subscriber->safe_psql($_, 'CREATE TABLE outbox (id bigint PRIMARY KEY, n integer)');
}

sub subscribe
{
    my ($database, $name, $to) = @_;
    my $conninfo = $to->connstr('postgres');
    $conninfo =~ s/'/''/g;
    $subscriber->safe_psql($database, "CREATE SUBSCRIPTION $name CONNECTION '$conninfo' PUBLICATION all_rows");
    $subscriber->poll_query_until($database,
        "SELECT count(*) = 0 FROM pg_subscription_rel WHERE srsubstate <> 'r'") or die "$name does not get ready";
    return;
}
subscribe('one', 'subscription', $writers[0]);
subscribe('merged', "from_$_", $writers[ $_ - 1 ]) for 1 .. 2;

# The conditions are the page's own.
my ($take) = $page =~ /^SELECT (pg_current_wal\w+\(\)) AS position$/m;
my ($replayed) = $page =~ /^(SELECT .*) AS replayed;$/m;
my ($confirmed) = $page =~ /^(SELECT .*) AS confirmed (FROM .*);$/m ? "$1 $2" : undef;
my ($applied) = $page =~ /^(SELECT .*) AS applied (FROM .*);$/m ? "$1 $2" : undef;
ok($_, "the page has: $_") for $take, $replayed, $confirmed, $applied;

my %at = (
    standby => TimeshardSession->new($standby),
    one => TimeshardSession->new($subscriber, 'one'),
    merged => TimeshardSession->new($subscriber, 'merged'),
    asked => [ map { TimeshardSession->new($_) } @writers ],
);

# The horizon of a writer, and after it the position.
sub question
{
    my ($number) = @_;
    my $session = $at{asked}[ $number - 1 ];
    my $horizon = $session->ask_ok('SELECT timeshard_horizon()');
    return ($horizon, $session->ask_ok("SELECT $take"));
}

sub is_true
{
    my ($session, $condition, $position, $subscription) = @_;
    $condition =~ s/:'position'/'$position'/;
    $condition =~ s/'subscription'/'$subscription'/ if $subscription;
    return $session->ask_ok($condition) eq 't';
}

# The ways to wait until what is below the answer has arrived.
my %way = (
    'a standby' => sub { is_true($at{standby}, $replayed, $_[0]) },
    'a subscriber, confirmed' => sub { is_true($at{asked}[0], $confirmed, $_[0], 'subscription') },
    'a subscriber, told' => sub { is_true($at{one}, $applied, $_[0], 'subscription') },
);

subtest 'who reads too early misses rows' => sub {
    my $row = sub { $writer->safe_psql('postgres', 'INSERT INTO outbox (n) VALUES (0) RETURNING id') };
    my $pause = sub {
        $standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
        $standby->poll_query_until('postgres', "SELECT pg_get_wal_replay_pause_state() = 'paused'") or die 'not paused';
    };
    my $resume = sub { $standby->safe_psql('postgres', 'SELECT pg_wal_replay_resume()') };

    my $received = sub {
        $standby->poll_query_until('postgres', "SELECT pg_last_wal_receive_lsn() >= '$_[0]'") or die 'not received';
    };

    # What is applied is received then, and waits for the lock.
    my $locker = TimeshardSession->new($subscriber, 'one');
    my $lock = sub { $locker->ask_ok("BEGIN;\nLOCK TABLE outbox IN EXCLUSIVE MODE") };
    my $unlock = sub { $locker->ask_ok('COMMIT') };
    my $is_stuck = sub {
        $subscriber->poll_query_until('one', 'SELECT count(*) = 1 FROM pg_locks WHERE NOT granted') or die 'not stuck';
    };
    for ([ 'a standby', $at{standby}, $pause, $received, $resume ],
        map { [ $_, $at{one}, $lock, $is_stuck, $unlock ] } 'a subscriber, confirmed', 'a subscriber, told')
    {
        my ($name, $reader, $hold, $await_held, $release) = @$_;
        $hold->();
        my $id = $row->();
        my ($horizon, $position);
        eventually(sub { ($horizon, $position) = question(1); $horizon > $id }) or die 'the horizon stands still';
        $await_held->($position);
        my $read = "SELECT count(*) FROM outbox WHERE id = $id AND id < $horizon";
        is($reader->ask_ok($read), 0, "$name: a row below the horizon has not arrived");
        ok(!$way{$name}->($position), "$name: which shows");
        $release->();
        ok(eventually(sub { $way{$name}->($position) }), "$name: the position is passed");
        is($reader->ask_ok($read), 1, "$name: the row is there");
    }
    $locker->finish;
};

# The commit is visible, and the writer would send it in ten seconds.
subtest 'a commit that is not written yet' => sub {
    $writer->safe_psql('postgres', q(ALTER SYSTEM SET wal_writer_delay = '10s'));
    reload_and_wait($writer);
    my $session = TimeshardSession->new($writer);
    $session->ask_ok('SET synchronous_commit = off');
    my ($unwritten, $early) = (0, 0);
    for (1 .. 10)
    {
        my $id = $session->ask_ok('INSERT INTO outbox (n) VALUES (0) RETURNING id');
        my ($horizon, $position);
        eventually(sub { ($horizon, $position) = question(1); $horizon > $id }) or die 'the horizon stands still';
        $unwritten++ if $session->ask_ok('SELECT pg_current_wal_lsn() < pg_current_wal_insert_lsn()') eq 't';
        next unless $way{'a standby'}->($position);
        $early++ if $at{standby}->ask_ok("SELECT count(*) FROM outbox WHERE id = $id") == 0;
    }
    cmp_ok($unwritten, '>', 0, 'there is such a commit');
    is($early, 0, 'nobody takes it for replayed');
    $session->finish;
    $writer->safe_psql('postgres', 'ALTER SYSTEM RESET wal_writer_delay');
    reload_and_wait($writer);
};

# A consumer: reads from its cursor to a horizon, and keeps what it has seen.
sub read_to
{
    my ($consumer, $horizon) = @_;
    my $rows = $consumer->{session}->ask_ok(
        "SELECT id FROM outbox WHERE id >= $consumer->{cursor} AND id < $horizon ORDER BY id");
    push @{ $consumer->{seen} }, split /\n/, $rows;
    $consumer->{cursor} = $horizon;
    $consumer->{rounds}++;
    return;
}

subtest 'beside writers, every row once and in order' => sub {
    my $script = <<'SQL';
\set length random(1, 6)
\set ms random(0, 60)
\set undone random(1, 5) = 1
BEGIN;
INSERT INTO outbox (n) SELECT generate_series(1, :length);
\set sleeps :length > 3
\if :sleeps
SELECT pg_sleep(:ms / 1000.0);
INSERT INTO outbox (n) VALUES (0);
\endif
\if :undone
ROLLBACK;
\else
COMMIT;
\endif
SQL
    my @load;
    for my $number (1 .. 2)
    {
        my $node = $writers[ $number - 1 ];
        my $file = $node->basedir . '/load.pgbench';
        append_to_file($file, $script);
        for my $commit (qw(on off))
        {
            local $ENV{PGOPTIONS} = "-c synchronous_commit=$commit";
            push @load, IPC::Run::start([ 'pgbench', '-n', '-c', 4, '-t', 60, '-f', $file,
                    '-h', $node->host, '-p', $node->port, 'postgres' ], '>', \my $out, '2>', \my $err);
        }
    }

    my %session = ('a standby' => 'standby', 'a subscriber, confirmed' => 'one', 'a subscriber, told' => 'one');
    my %consumer = map { $_ => { session => $at{ $session{$_} }, cursor => 0, seen => [], rounds => 0 } } keys %session;
    my $merged = { session => $at{merged}, cursor => 0, seen => [], rounds => 0 };
    my $round = sub {
        for my $name (sort keys %consumer)
        {
            my ($horizon, $position) = question(1);
            eventually(sub { $way{$name}->($position) }) or die "$name does not get there";
            read_to($consumer{$name}, $horizon);
        }
        my $least;
        for my $number (1 .. 2)
        {
            my ($horizon, $position) = question($number);
            eventually(sub { is_true($at{asked}[ $number - 1 ], $confirmed, $position, "from_$number") })
              or die "what writer $number wrote does not arrive";
            $least = $horizon if !defined $least || $horizon < $least;
        }
        read_to($merged, $least);
    };
    while (grep { $_->pumpable } @load)
    {
        $_->pump_nb for grep { $_->pumpable } @load;
        $round->();
    }
    my $rounds = $merged->{rounds};
    ok($_->finish, 'the writers end') for @load;

    my @all = map { [ split /\n/, $_->safe_psql('postgres', 'SELECT id FROM outbox ORDER BY id') ] } @writers;
    my %last = (1 => $all[0][-1], 2 => $all[1][-1]);
    eventually(sub { !grep { (question($_))[0] <= $last{$_} } 1 .. 2 }) or die 'the horizon stands still';
    $round->();
    cmp_ok($rounds, '>=', 3, 'they have looked meanwhile');
    is_deeply($consumer{$_}{seen}, $all[0], "$_: every row, once and in order") for sort keys %consumer;
    is_deeply($merged->{seen}, [ sort { $a <=> $b } map { @$_ } @all ], 'two writers merged: every row, once and in order');
    cmp_ok(scalar @{ $merged->{seen} }, '>', 500, 'of many');
};

like(($at{standby}->ask('SELECT timeshard_horizon()'))[1], qr/^ERROR:  25006: /, 'a standby is not asked');

$_->finish for @at{qw(standby one merged)}, @{ $at{asked} };
$subscriber->safe_psql($_->[0], "DROP SUBSCRIPTION $_->[1]")
  for [ 'one', 'subscription' ], [ 'merged', 'from_1' ], [ 'merged', 'from_2' ];
$_->stop for $subscriber, $standby, @writers;
done_testing();
