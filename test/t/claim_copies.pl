# Copies of a claimant need no care: a base backup, a copy of a stopped or a killed server's
# data directory and a promoted standby, each beside its original, have numbers of their own.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use Claimants;
use FaultKit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Standbys;
use Test::More;
use Timeshard;
use TimeshardSession;

my $registry = start_registry('registry');
my $original = new_claimant('original', $registry, init => [ allows_streaming => 1 ], conf => "autovacuum = off\n");
is(await_claim($original), 100, 'the original has a number');
my $on_original = start_writers($original, count => 4);

# A base backup, started as it is.
my $name = injected('a base backup beside its original');
$original->backup('base', backup_options => ['--checkpoint=fast']);
my $backup = PostgreSQL::Test::Cluster->new('backup');
$backup->init_from_backup($original, 'base');
start_with_env($backup);
is(await_claim($backup), 101, "$name: another number");
my $on_backup = start_writers($backup, count => 4);
ok($_->await_progress, "$name: both go on") for $on_original, $on_backup;
unlike(log_of($backup), qr/copy of a data directory|has changed from/, "$name: no warning of a copy");
$on_backup->stop;
$backup->stop;

# A standby has a number before it needs one.
$name = injected('promotion under load');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($original, 'base', has_streaming => 1);
start_with_env($standby);
is(await_claim($standby), 102, "$name: a standby claims");
fails_with($standby, 'SELECT timeshard_next_id()', qr/25006/, "$name: and issues nothing");
await_replay($original, $standby);
my $over = start_writers($standby, count => 4, wait => 0);
$registry->stop; # a promotion needs none
kill9_all($original);
my $start = monotonic();
$standby->promote;
ok($over->await_progress, "$name: IDs go on");
note(sprintf '%s: %.2f s to the first IDs', $name, monotonic() - $start);
is(number_of($standby), 102, "$name: with the standby's own number");
unlike(log_of($standby), qr/copy of a data directory|has changed from/, "$name: no warning of a copy");
$registry->start;
$on_original->stop;
$over->stop;

# The old primary comes back, as it was.
$name = injected('the old primary beside the new one');
restart_now($original);
isnt(my $number = await_claim($original), 100, "$name: another number");
my $old = start_writers($original, count => 4);
my $new = start_writers($standby, count => 4);
$_->stop for $old, $new;
$standby->stop;

# A copy of a stopped data directory, started first.
$name = injected('a copy of a stopped data directory');
$original->stop;
my $copy = PostgreSQL::Test::Cluster->new('copy');
mkdir $copy->basedir;
system_or_bail('cp', '-R', $original->data_dir, $copy->data_dir);
$copy->append_conf('postgresql.conf', 'port = ' . $copy->port);
start_with_env($_) for $copy, $original;
is(await_claim($original), $number, "$name: the original has its number again");
isnt(await_claim($copy), $number, "$name: the copy another");
my @beside = map { start_writers($_, count => 4) } $original, $copy;
ok($_->await_progress, "$name: both go on") for @beside;
unlike(log_of($copy), qr/on a copy of a data directory/, "$name: no warning of a copy");

# A copy of a killed server's, both started.
$name = injected("a copy of a killed server's data directory");
my $killed_number = number_of($copy);
kill9_all($copy);
my $second = PostgreSQL::Test::Cluster->new('second');
mkdir $second->basedir;
system_or_bail('cp', '-a', $copy->data_dir, $second->data_dir);
unlink $second->data_dir . '/postmaster.pid'; # the process it names may be waiting to be reaped
$second->append_conf('postgresql.conf', 'port = ' . $second->port);
restart_now($copy);
start_with_env($second);
my %numbers = map { await_claim($_) => 1 } $original, $copy, $second;
is(keys %numbers, 3, "$name: three servers, three numbers");
ok(!$numbers{$killed_number}, "$name: none of which the killed one's");
push @beside, map { start_writers($_, count => 4) } $copy, $second;
ok($_->await_progress, "$name: all go on") for @beside[ 0, 2, 3 ];
check_ids($standby, $on_original, $on_backup, $over, $old, $new, @beside, { order => 0, committed => 0, name => 'all copies' });
check_claims($registry, [qw(original backup standby copy second)], $on_original, $on_backup, $over, $old, $new, @beside);
check_intervals($registry);
$_->stop for $original, $copy, $second, $registry;
report_figures();
done_testing();
