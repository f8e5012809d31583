# A number is given back while sessions issue IDs with it, and another server claims it at
# once: the registry has a single number, and two servers under load take turns. Whatever a
# session of the first is still about to issue is below what the second begins with.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use Claimants;
use FaultKit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;
use TimeshardSession;

my $registry = start_registry('registry', numbers => '[100,100]');
my $left = new_claimant('left', $registry, shim => 1);
is(await_claim($left), 100, 'one server has the number');
my $right = new_claimant('right', $registry, shim => 1);
prepare_table($_) for $left, $right;
my %writers = map { $_->name => start_writers($_, count => 8, wait => 0) } $left, $right;
my @more;
$writers{left}->await_progress or die 'the writers do not get going';

# Begins a stop, and returns when the server knows of it.
sub begin_stop
{
    my ($node, $mode) = @_;
    my $offset = -s $node->logfile;
    system_or_bail('pg_ctl', '--no-wait', '-D', $node->data_dir, '-m', $mode, 'stop');
    $node->wait_for_log(qr/received \w+ shutdown request/, $offset);
    return;
}

# Waits for the end of a stop that has begun.
sub await_end
{
    my ($node) = @_;
    eventually(sub { !-e $node->data_dir . '/postmaster.pid' }) or die $node->name . ' does not stop';
    $node->{_pid} = undef;
    return;
}

# The number has gone over from one server to the other, whose sessions have waited for it.
sub goes_over
{
    my ($to, $name) = @_;
    ok($writers{ $to->name }->await_progress, "$name: the other server has IDs");
    is(number_of($to), 100, "$name: of the same number");
    return;
}

my ($from, $to) = ($left, $right);
for my $mode (qw(fast fast smart smart))
{
    my $name = injected("a $mode stop of " . $from->name);
    my $offset = -s $from->logfile;
    $from->stop($mode);
    ok($from->log_contains(qr/timeshard has given node ID 100 back/, $offset), "$name: the number is given back");
    goes_over($to, $name);
    start_with_env($from);
    ($from, $to) = ($to, $from);
}

# Sessions that are held up wherever they are, and go on once the other server issues.
for my $round (1 .. 3)
{
    my $name = injected("sessions held up in a fast stop, $round");
    my $offset = -s $from->logfile;
    $writers{ $from->name }->await_progress or die;
    my @sessions = backends_of($from);
    kill 'STOP', @sessions;
    begin_stop($from, 'fast');
    $from->wait_for_log(qr/timeshard has given node ID 100 back/, $offset);
    goes_over($to, $name);
    kill 'CONT', @sessions;
    await_end($from);
    start_with_env($from);
    ($from, $to) = ($to, $from);
}

# A smart stop waits for its sessions, and they for nothing.
my $name = injected('a smart stop that waits');
my $session = TimeshardSession->new($from);
begin_stop($from, 'smart');
$writers{ $from->name }->stop;
is($session->ask_ok('SELECT node_id FROM timeshard_parse(timeshard_next_id())'), 100, "$name: a session has IDs still");
is(fleet_state($registry, 100), 'claimed', "$name: of a number that is claimed");
$session->finish;
await_end($from);
goes_over($to, $name);
push @more, [ $from->name, $writers{ $from->name } ];
start_with_env($from);
$writers{ $from->name } = start_writers($from, count => 8, wait => 0);
($from, $to) = ($to, $from);

# If the claimant is ended while a smart stop waits, it gives the number back under sessions
# that nobody has told anything.
$name = injected('the claimant is ended in a smart stop');
my $staying = start_writers($from, count => 8, kinds => [qw(row one many)]);
push @more, [ $from->name, $staying ];
my $offset = -s $from->logfile;
begin_stop($from, 'smart');
$writers{ $from->name }->stop;
$staying->await_progress or die;
kill 'TERM', claimant_pid($from) or die;
ok($staying->await_error(qr/^55000 this server holds no claim of a node ID/), "$name: sessions find no claim");
ok($from->log_contains(qr/timeshard has given node ID 100 back/, $offset), "$name: as the number is given back");
goes_over($to, $name);
$staying->stop;
await_end($from);
push @more, [ $from->name, $writers{ $from->name } ];
start_with_env($from);
$writers{ $from->name } = start_writers($from, count => 8, wait => 0);
($from, $to) = ($to, $from);

# In the middle of an extension, whose answer comes after the stop.
$name = injected('a stop in the middle of an extension');
my $lock = TimeshardSession->new($registry);
my $waits = sub {
    my ($call) = @_;
    $registry->poll_query_until('postgres', "SELECT count(*) > 0 FROM pg_stat_activity WHERE query ~ '\\m$call' AND wait_event_type = 'Lock'") or die "no $call";
};
$lock->ask_ok('BEGIN; LOCK TABLE timeshard_registry_numbers IN ACCESS EXCLUSIVE MODE');
ask_again($from);
$waits->('timeshard_extend_claim');
begin_stop($from, 'fast');
$waits->('timeshard_end_claim');
$lock->ask_ok('COMMIT');
$lock->finish;
await_end($from);
goes_over($to, $name);
start_with_env($from);
($from, $to) = ($to, $from);

# Nothing is given back whose end nobody knows: a session holds the lock, for ever so long.
$name = injected('a stop while the mark is being written');
$offset = -s $from->logfile;
shim($from, 'stop fdatasync before');
my $pid = stopped_pid($from);
begin_stop($from, 'fast');
$from->wait_for_log(qr/timeshard could not give node ID 100 back: /, $offset);
kill 'CONT', $pid;
shim_clear($from);
await_end($from);
is(fleet_state($registry, 100), 'claimed', "$name: the claim runs out by itself");
is(number_of($to), '', "$name: and the number is nobody's until then");

$_->stop for values %writers;
push @more, map { [ $_, $writers{$_} ] } keys %writers;
check_ids($registry, (map { $_->[1] } @more), { committed => 0, name => 'both servers' });
for my $node ($left, $right)
{
    my @own = map { $_->[1] } grep { $_->[0] eq $node->name } @more;
    is_deeply([ check_claims($registry, [ $node->name ], @own) ], [100], $node->name . ' used the one number');
}
check_intervals($registry);
$_->stop for $to, $registry;
report_figures();
done_testing();
