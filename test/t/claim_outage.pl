# A registry that is down, mute, slow or back again. Who holds a claim goes on, until its
# end; who has none waits as after a start, then errs, and needs no restart once the
# registry answers.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use Claimants;
use FaultKit;
use IO::Socket::UNIX;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Standbys qw(mark_end);
use Test::More;
use Time::HiRes qw(usleep);
use Timeshard;
use TimeshardSession;

my $next = 'SELECT node_id FROM timeshard_parse(timeshard_next_id())';
my $registry = start_registry('registry');
my $stranger = sub { my ($node) = @_; return (extra_params => [ '-U', 'stranger' ]) };

# Down at a start.
$registry->stop;
my $name = injected('the registry is down at a start');
my $node = new_claimant('claimant', $registry);
$node->safe_psql('postgres', 'CREATE ROLE stranger LOGIN');
my $start = monotonic();
fails_with($node, $next, $no_claim, $name);
my $waited = monotonic() - $start;
ok($waited > 1.9 && $waited < 4, sprintf "$name: a call waits as after a start, %.1f s", $waited);
fails_with($node, $next, qr/DETAIL:  The registry that it claims from gave none: .*(?:refused|No such file)/, "$name: pg_monitor sees why");
my (undef, undef, $hidden) = $node->psql('postgres', $next, extra_params => [ '-U', 'stranger' ]);
unlike($hidden, qr/refused|No such file|port|host/, "$name: others do not");
like($hidden, qr/HINT: .*doc\/claimed-node-ids\.md/, "$name: but read where to look");
is(mark_end($node), 0, "$name: no mark is written");
is($node->safe_psql('postgres', 'SELECT node_id IS NULL, node_id_source FROM timeshard_config()'), 't|registry', "$name: no number is shown");
is($node->safe_psql('postgres', 'SELECT timeshard_time(1) < now()'), 't', "$name: reading an ID goes on");
my $writers = start_writers($node, count => 3, kinds => [qw(one many)], wait => 0);
$start = monotonic();
$registry->start;
ok($writers->await_progress, "$name: once it is up, sessions go on without a restart");
diag(sprintf 'from the registry\'s start to IDs: %.1f s', monotonic() - $start);

# Down, while a claim is held.
$name = injected('the registry is down');
$registry->stop('immediate');
ask_again($node);
ok(eventually(sub { registry_error($node) =~ /refused|No such file/ }), "$name: timeshard_claim_status() tells");
ok($writers->await_progress, "$name: IDs go on");
is(scalar(() = log_of($node) =~ /WARNING: +trouble with timeshard's registry/g), 2, "$name: one warning each time");
$registry->start;
my $back = $registry->safe_psql('postgres', "SELECT (extract(epoch FROM clock_timestamp() - timestamptz '2000-01-01 00:00+00') * 1000000)::bigint");
ask_again($node);
ok(eventually(sub { registry_error($node) eq '' }), "$name: and that it is back");
# A machine that is cloned meanwhile shares what its memory holds.
is($registry->safe_psql('postgres', "SELECT ('x' || right(tag, 16))::bit(64)::bigint > $back FROM timeshard_registry_numbers WHERE tag IS NOT NULL"), 't',
    "$name: a request that was never made leaves no tag for the next");

# Mute: it takes the connection and says nothing.
$name = injected('the registry is mute');
my ($postmaster) = slurp_file($registry->data_dir . '/postmaster.pid') =~ /^(\d+)/;
kill 'STOP', $postmaster or die;
ask_again($node);
ok(eventually(sub { registry_error($node) eq 'no connection in time' }), "$name: the claimant gives up in time");
ok($writers->await_progress, "$name: IDs go on");
ask_again($node);
$start = monotonic();
$node->stop;
ok(monotonic() - $start < 6, sprintf "$name: the server stops, in %.1f s", monotonic() - $start);
like(log_of($node), qr/could not give node ID 100 back: no connection in time/, "$name: and says what it left");
kill 'CONT', $postmaster;
start_with_env($node);
ok($writers->await_progress, "$name: the next start claims anew");
is(number_of($node), 101, "$name: another number, as the first is not free");

# Slow: the answer to an extension comes too late and is lost.
$name = injected('the registry is slow');
my $lock = TimeshardSession->new($registry);
$lock->ask_ok('BEGIN; LOCK TABLE timeshard_registry_numbers IN ACCESS EXCLUSIVE MODE');
my $until = claimed_until($node);
ask_again($node);
ok(eventually(sub { registry_error($node) eq 'no answer in time' }), "$name: the claimant gives up in time");
$lock->ask_ok('COMMIT');
$lock->finish;
ok(eventually(sub { claimed_until($node) > $until && registry_error($node) eq '' }), "$name: then the lost extension is confirmed, and the claim extended");
is(number_of($node), 101, "$name: with the same number");
ok($writers->await_progress, "$name: IDs go on");

# The first of two hosts is mute: the next attempt begins at the second.
$name = injected('the first of two hosts is mute');
my $mute_dir = PostgreSQL::Test::Utils::tempdir_short();
my $mute = IO::Socket::UNIX->new(Type => IO::Socket::UNIX::SOCK_STREAM(), Local => "$mute_dir/.s.PGSQL.9999", Listen => 10) or die "cannot listen: $!";
chmod 0777, $mute_dir, "$mute_dir/.s.PGSQL.9999";
$node->append_conf('postgresql.conf', "timeshard.registry = 'host=$mute_dir," . $registry->host . ' port=9999,' . $registry->port . " dbname=postgres'");
$until = claimed_until($node);
ask_again($node);
ok(eventually(sub { registry_error($node) eq 'no connection in time' }), "$name: the claimant gives up in time");
ok(eventually(sub { claimed_until($node) > $until && registry_error($node) eq '' }), "$name: and asks the second");

# A role that may not claim.
$name = injected('the role may not claim');
$registry->safe_psql('postgres', 'CREATE ROLE weak LOGIN');
$node->append_conf('postgresql.conf', "timeshard.registry = 'host=" . $registry->host . ' port=' . $registry->port . " dbname=postgres user=weak'");
ask_again($node);
ok(eventually(sub { registry_error($node) =~ /^permission denied for function timeshard_extend_claim$/ }), "$name: that is the error");
ok($writers->await_progress, "$name: IDs go on, by the claim that is held");
check_ids($node, $writers, { name => 'all outages', committed => 0 });
$node->stop;
report_figures();
done_testing();
