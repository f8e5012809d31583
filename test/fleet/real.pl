# A real fleet: 20 servers on copies of one data directory claim their numbers from a
# registry, under load, while postmasters, sessions and claimants are killed, servers and the
# registry are stopped, killed and started, and every clock is stepped. Then no ID may have
# been made twice, each server's must rise, and each must lie within a claim.
#
#   make fleet-real       MINUTES=4, SERVERS=20, SEED=1
#
# No test of `make test`: it takes minutes, and memory for 25 servers.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use Claimants;
use ClientPrograms qw(errors_of);
use FaultKit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;
use TimeshardSession;

my $minutes = $ENV{MINUTES} || 4;
my $servers = $ENV{SERVERS} || 20;
srand($ENV{SEED} || 1);

my $small = <<'CONF';
fsync = off
shared_buffers = '1MB'
max_connections = 20
autovacuum = off
wal_level = minimal
max_wal_senders = 0
max_wal_size = '32MB'
timeshard.max_clock_jump = 0
CONF
# The registry's steps are others, so that no server's clock agrees with a wrong one.
my @steps = qw(+1h -1h +365d -365d +5s -5s +30s -30s);
my @registry_steps = qw(+50m -50m +360d -360d);

my $registry = start_registry('registry', numbers => '[100,999]', clock => 1, conf => "timeshard.max_clock_jump = 0\n");
my $registry_runs = 1;
my (@nodes, %writers, %wrong, %done);

# A server on a copy of another's data directory, which is stopped.
sub copy_of
{
    my ($from, $name) = @_;
    my $node = PostgreSQL::Test::Cluster->new($name);
    mkdir $node->basedir;
    system_or_bail('cp', '-R', $from->data_dir, $node->data_dir);
    $node->append_conf('postgresql.conf', 'port = ' . $node->port);
    Timeshard::prepare_clock($node);
    return $node;
}

sub add_node
{
    my ($node) = @_;
    push @nodes, $node;
    start_with_env($node);
    $writers{ $node->name } = start_writers($node, count => 2, pause => 50_000, wait => 0);
    return;
}

my $first = new_claimant('server_1', $registry, clock => 1, conf => $small, init => [ extra => [ '--wal-segsize', '1' ] ]);
prepare_table($first);
$first->stop;
my @copies = map { copy_of($first, "server_$_") } 2 .. $servers;
add_node($_) for $first, @copies;
ok($writers{ $_->name }->await_progress, $_->name . ' issues IDs') for @nodes;

# What can befall a server.
my %faults = (
    'a session killed' => sub { kill9_backend($_[0]) },
    'a postmaster killed' => sub { kill9_postmaster($_[0]); restart_now($_[0]) },
    'a whole server killed' => sub { kill9_all($_[0]); restart_now($_[0]) },
    'a clean restart' => sub { $_[0]->stop; start_with_env($_[0]) },
    'a claimant killed' => sub {
        my ($node) = @_;
        my $offset = -s $node->logfile;
        my $pid;
        eventually(sub { $pid = claimant_pid($node) }) or die $node->name . ' has no claimant';
        kill 'KILL', $pid;
        $node->wait_for_log(qr/all server processes terminated; reinitializing/, $offset);
        await_ready($node);
    },
    'a clock stepped' => sub {
        my ($node) = @_;
        set_clock($node, $steps[ rand @steps ]);
        $wrong{ $node->name } = $node;
    },
    'a clock set right' => sub {
        my ($name) = keys %wrong or return 0;
        set_clock(delete $wrong{$name}, '+0');
    },
    'a data directory copied' => sub {
        my ($node) = @_;
        return 0 if @nodes >= $servers + 5;
        $node->stop;
        my $copy = copy_of($node, 'copy_' . (@nodes - $servers + 1));
        start_with_env($node);
        add_node($copy);
    },
);

# And the registry.
my %registry_faults = (
    'the registry stopped' => sub { $registry->stop; $registry_runs = 0 },
    'the registry killed' => sub { kill9_all($registry); $registry_runs = 0 },
    "the registry's clock stepped" => sub { set_clock($registry, $registry_steps[ rand @registry_steps ]) },
);

sub heal_registry
{
    set_clock($registry, '+0');
    restart_now($registry) unless $registry_runs;
    $registry_runs = 1;
    return;
}

sub size_of_logs
{
    my $size = 0;
    $size += -s $_ // 0 for map { $_->logs } values %writers;
    return $size;
}

my $end = monotonic() + 60 * $minutes;
my $bad_turns = 0;
for (my $turn = 1; monotonic() < $end; $turn++)
{
    # Between faults sessions go on, or are refused: either writes their logs.
    my $size = size_of_logs();
    eventually(sub { size_of_logs() > $size + 20_000 }) or die 'the sessions stand still';

    if ($bad_turns > 0) { heal_registry() if --$bad_turns == 0 }
    elsif ($turn % 8 == 0)
    {
        my $name = (sort keys %registry_faults)[ rand keys %registry_faults ];
        $registry_faults{$name}->();
        $done{ injected($name) }++;
        $bad_turns = 1 + int rand 6;
    }
    my $name = (sort keys %faults)[ rand keys %faults ];
    my $did = $faults{$name}->($nodes[ rand @nodes ]);
    $done{ injected($name) }++ unless defined $did && $did eq '0';
}

# All is well again, and nobody has to do anything.
heal_registry();
set_clock($_, '+0') for @nodes;
ask_again($_) for @nodes;
for my $node (@nodes)
{
    ok($writers{ $node->name }->await_progress, $node->name . ' issues IDs again');
}
$_->stop for values %writers;

my $all = read_logs([ map { $_->logs } values %writers ], order => 0);
is($all->{violations}{$_} // 0, 0, "the fleet: none of $_") for qw(duplicate primary_key order_in_call log);
diag($_) for @{ $all->{what} };
my %used;
for my $node (@nodes)
{
    my $name = $node->name;
    check_ids($node, $writers{$name}, { name => $name });
    $used{$_}++ for check_claims($registry, [$name], $writers{$name});
    $node->stop;
}
my $claims = $registry->safe_psql('postgres', 'SELECT count(*) FROM timeshard_claims');
my %refusals = errors_of(map { $_->logs } values %writers);
diag(sprintf '%d servers, %d IDs, %d calls, %d numbers, %d claims', scalar @nodes, $all->{ids}, $all->{calls}, scalar keys %used, $claims);
diag("$done{$_} times $_") for sort keys %done;
diag("$refusals{$_} times: $_") for sort keys %refusals;
$registry->stop;
report_figures();
done_testing();
