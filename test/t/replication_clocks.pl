# Three writers without pause, replicated into a fourth server that writes too, as
# doc/replication.md has it. By clocks that agree: no ID twice, everything arrives,
# and the order of IDs is the order of calls across servers, but for the millisecond.
# By clocks two seconds ahead and behind: what holds (all of that on each server,
# across restarts too; a stream by the least horizon), and what does not (the order
# across servers, by the two seconds and no more; "until now" by one's own clock).
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use FaultKit;
use ManyServers;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Standbys qw(ms_of next_id);
use Test::More;
use Timeshard;
use TimeshardSession;

my %number = (us => 1, eu => 2, ap => 3, hub => 4);
my @names = sort keys %number;
my %node = map {
    $_ => fault_cluster($_, shim => 0, start => 0, clock => scalar(/eu|ap/), init => [ allows_streaming => 'logical' ],
        conf => "timeshard.node_id = $number{$_}\nfsync = off\nwal_retrieve_retry_interval = '200ms'\n")
} @names;
write_services($node{us}->basedir . '/pg_service.conf', %node);
for (@names)
{
    start_with_env($node{$_});
    $node{$_}->safe_psql('postgres', 'CREATE EXTENSION timeshard');
    prepare_table($node{$_});
    $node{$_}->safe_psql('postgres', 'CREATE PUBLICATION rows FOR TABLE fault_rows') if $_ ne 'hub';
}
my %from = map { ("from_$_" => $node{$_}) } qw(us eu ap);
$node{hub}->safe_psql('postgres', "CREATE SUBSCRIPTION from_$_ CONNECTION 'service=$_' PUBLICATION rows") for qw(us eu ap);

# Sessions that write on every server, as name => writers.
sub write_everywhere
{
    return map { $_ => start_writers($node{$_}, count => $_ eq 'hub' ? 1 : 2, pause => 2000) } @names;
}

# How many calls are out of order that were that many ms apart.
sub disorder
{
    my ($apart, @writers) = @_;
    my $figures = read_logs([ map { $_->logs } @writers ], apart => $apart);
    return $figures->{violations}{order} // 0;
}

my %all;

# On the hub is what has ever been committed, and nothing else, no ID twice; and on
# each server the order of IDs has always been that of calls.
sub all_is_well
{
    my ($name, %writers) = @_;
    $_->stop for values %writers;
    await_subscriptions($node{hub}, %from);
    push @{ $all{$_} }, $writers{$_} for @names;
    check_ids($node{hub}, (map { @$_ } values %all), { order => 0, name => $name });
    is(disorder(0, @{ $all{$_} }), 0, "$name: $_ keeps its own order") for @names;
    unlike(log_of($node{hub}), qr/duplicate key/, "$name: without a conflict");
    return;
}

subtest 'clocks that agree' => sub {
    my %writers = write_everywhere();
    eventually(sub { $node{hub}->safe_psql('postgres', 'SELECT count(*) > 10000 FROM fault_rows') eq 't' })
      or die 'the rows do not arrive: ' . last_error($node{hub});
    all_is_well('clocks that agree', %writers);
    # A call that began in a later millisecond than that in which another had ended.
    is(disorder(1, values %writers), 0, 'the order of IDs is that of calls, across servers');
    my $turns = $node{hub}->safe_psql('postgres', <<'SQL');
SELECT count(*) FROM (SELECT (timeshard_parse(id)).node_id AS node,
       lag((timeshard_parse(id)).node_id) OVER (ORDER BY id) AS previous FROM fault_rows) AS rows WHERE node <> previous
SQL
    cmp_ok($turns, '>', 20, 'of writers that took turns');
};

set_clock($node{eu}, '+2s');
set_clock($node{ap}, '-2s');
ok(eventually(sub { ($node{ap}->psql('postgres', 'SELECT timeshard_next_id()'))[0] == 0 }), 'a clock set back refuses, until it has passed the last ID');

subtest 'an ID has the time of its server' => sub {
    my $now = 'SELECT floor(1000 * extract(epoch FROM clock_timestamp()))';
    for (['eu', 2000], ['ap', -2000])
    {
        my ($name, $error) = @$_;
        my $before = $node{us}->safe_psql('postgres', $now);
        my $ms = ms_of(next_id($node{$name}));
        my $after = $node{us}->safe_psql('postgres', $now);
        ok($before + $error <= $ms && $ms <= $after + $error, "$name: off by as much as its clock");
    }
};

# Consumers on the hub: one by the page's rule, one that believes the hub's clock.
my $reader = TimeshardSession->new($node{hub});
my %asked = map { $_ => TimeshardSession->new($node{$_}) } @names;
my %seen = (horizon => [], clock => []);
my %cursor = (horizon => 0, clock => 0);
my %window;

sub read_to
{
    my ($who, $until) = @_;
    push @{ $seen{$who} }, split /\n/,
      $reader->ask_ok("SELECT id FROM fault_rows WHERE id >= $cursor{$who} AND id < $until ORDER BY id");
    $cursor{$who} = $until if $until > $cursor{$who};
    return;
}

sub read_by_horizon
{
    my $least;
    for my $name (@names)
    {
        my $horizon = $asked{$name}->ask_ok('SELECT timeshard_horizon()');
        my $position = $asked{$name}->ask_ok('SELECT pg_current_wal_insert_lsn()');
        $least = $horizon if !defined $least || $horizon < $least;
        next if $name eq 'hub';
        eventually(sub {
            $asked{$name}->ask_ok("SELECT confirmed_flush_lsn >= '$position' FROM pg_replication_slots WHERE slot_name = 'from_$name'") eq 't';
        }) or die "what $name wrote does not arrive";
    }
    read_to('horizon', $least);
    return $least;
}

# The rows of the second before an end, by the ID.
sub rows_before
{
    my ($end) = @_;
    return $reader->ask_ok("SELECT count(*) FROM fault_rows WHERE timeshard_between(id, timeshard_time($end) - interval '1 s', timeshard_time($end))");
}

subtest 'two seconds ahead and behind' => sub {
    my %writers = write_everywhere();
    my $end = monotonic() + 5;
    my $slow = TimeshardSession->new($node{ap});
    while (monotonic() < $end)
    {
        # One that is open meanwhile, on the server whose horizon is the least.
        my $id = $slow->ask_ok("BEGIN;\nINSERT INTO fault_rows DEFAULT VALUES RETURNING id");
        eventually(sub { next_id($node{ap}) >> 22 > $id >> 22 }) or die 'the clock stands still';
        my $least = read_by_horizon();
        $window{complete}{$least} = rows_before($least);
        my $now = $reader->ask_ok('SELECT timeshard_lower_bound(clock_timestamp())');
        $window{early}{$now} = rows_before($now);
        read_to('clock', $now);
        $slow->ask_ok('COMMIT');
    }
    $slow->finish;
    all_is_well('two seconds', %writers);
    my ($us, $eu, $ap) = @writers{qw(us eu ap)};
    is(disorder(2001, $us, $eu), 0, 'ahead: calls that are two seconds apart are in order');
    cmp_ok(disorder(1500, $us, $eu), '>', 0, 'ahead: those that are nearer are not');
    is(disorder(2001, $us, $ap), 0, 'behind: calls that are two seconds apart are in order');
    cmp_ok(disorder(1500, $us, $ap), '>', 0, 'behind: those that are nearer are not');
};

subtest 'readers on the hub' => sub {
    my @rows = split /\n/, $reader->ask_ok('SELECT id FROM fault_rows ORDER BY id');
    my $last = $rows[-1];
    ok(eventually(sub { read_by_horizon() > $last }), 'the least horizon passes the last row');
    is_deeply($seen{horizon}, \@rows, 'by the least horizon: every row, once and in order');
    read_to('clock', $last + 1);
    my %got = map { $_ => 1 } @{ $seen{clock} };
    my %missed;
    $missed{ ($_ >> 12) & 1023 }++ for grep { !$got{$_} } @rows;
    cmp_ok($missed{3} // 0, '>', 100, "by the hub's clock: rows of the server that is behind are missed");

    is(scalar(grep { $window{complete}{$_} != rows_before($_) } keys %{ $window{complete} }), 0,
        'a window below the least horizon is complete');
    cmp_ok(scalar(grep { $window{early}{$_} != rows_before($_) } keys %{ $window{early} }), '>', 0,
        "a window that ends now, by the hub's clock, is not");
};

subtest 'restarts, and the clocks set right' => sub {
    for my $name (qw(eu ap))
    {
        my $last = next_id($node{$name});
        restart_with_env($node{$name});
        cmp_ok(next_id($node{$name}), '>', $last, "$name, restarted: the first ID is above the last");
    }
    my $session = TimeshardSession->new($node{eu});
    my $last = $session->ask_ok('SELECT timeshard_next_id()');
    set_clock($node{$_}, '+0') for qw(eu ap);
    like(($session->ask('SELECT timeshard_next_id()'))[1], qr/55000: clock is [01]\.\d{3} s behind the last ID/, 'eu, set back: refused');
    $session->finish;
    restart_with_env($node{eu});
    my ($first, $rc);
    ok(eventually(sub { ($rc, $first) = $node{eu}->psql('postgres', 'SELECT timeshard_next_id()'); $rc == 0 }), 'restarted, it comes back');
    cmp_ok($first, '>', $last, 'and does not repeat what it made ahead of time');
    my %writers = write_everywhere();
    $_->await_progress or die 'the writers do not get on' for values %writers;
    all_is_well('set right', %writers);
    is(disorder(1, values %writers), 0, 'set right: the order of IDs is that of calls again, across servers');
};

$_->finish for $reader, values %asked;
$node{hub}->safe_psql('postgres', "DROP SUBSCRIPTION from_$_") for qw(us eu ap);
$_->stop for values %node;
report_figures();
done_testing();
