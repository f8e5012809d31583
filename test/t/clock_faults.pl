# Steps of the clock under load: no ID repeats and order holds whatever the clock
# does; the sessions wait, or are refused and told why, and go on by themselves.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use FaultKit;
use MarkFile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);
use Timeshard;
use TimeshardSession;

my $next = 'SELECT timeshard_next_id()';
my $behind_last = qr/^55000 clock is [\d.]+ s behind the last ID$/;
my $behind_mark = qr/clock is [\d.]+ s behind what earlier runs of this server reserved/;
my $behind_checkpoint = qr/clock is [\d.]+ s behind the server's last checkpoint/;
my $checkpoint_hint = qr/HINT:  Set the server's clock right. If it is right, and was ahead at the checkpoint, run CHECKPOINT\./;

my $node = fault_cluster('steps', clock => 1, shim => 0, conf => <<'CONF');
timeshard.node_id = 32
timeshard.max_clock_wait = 100ms
autovacuum = off
checkpoint_timeout = 1d
CONF
my $path = mark_path($node);
my $writers = start_writers($node, count => 6);

# What is returned tells which errors the sessions have seen since.
sub watch
{
    my $follow = $writers->follow;
    return sub {
        my %seen;
        for my $text ($follow->()) { $seen{$1}++ while $$text =~ /^E \d+ (\S+)/mg; }
        return join ' ', sort keys %seen;
    };
}

# -1 ms, many times: within what two processors' clocks can show, so nobody is
# refused, though nothing is waited for by the setting.
injected('the clock stepped back 1 ms') for 1 .. 20;
my $errors = watch();
for my $step (1 .. 20)
{
    set_clock($node, sprintf '-%.3f', $step / 1000);
    usleep(20_000);
}
ok($writers->await_progress, 'steps of -1 ms: all sessions are served');
is($errors->(), '', 'steps of -1 ms: nobody is refused');
set_clock($node, '+0');

for my $case ([ '-1', 1 ], [ '-3600', 3600 ])
{
    my ($step, $seconds) = @$case;
    my $name = injected("the clock stepped back $seconds s");
    ok($writers->await_progress, "$name: healthy before");
    my $start = monotonic();
    ok($writers->await_error($behind_last, sub { set_clock($node, $step) }), "$name: refused");
    if ($seconds == 1)
    {
        ok($writers->await_progress, "$name: all sessions are served when it has caught up");
        cmp_ok(monotonic() - $start, '>', 1 - 0.2, "$name: and no sooner");
    }
    else
    {
        fails_with($node, $next,
            qr/ERROR:  55000: clock is [\d.]+ s behind the last ID\nDETAIL:  .*\nHINT:  Set the server's clock right\./,
            "$name: a new session, too");
    }
    set_clock($node, '+0');
    ok($writers->await_progress, "$name: set right, all sessions are served");
}

# A reservation made while the clock is back must not end before the one before:
# the clock is stepped where each step falls into another part of an extension.
injected('the clock stepped back and forth') for 1 .. 30;
srand 32;
for (1 .. 30)
{
    set_clock($node, sprintf '%+.3f', rand(1.2) - 0.6);
    usleep(int rand 60_000);
}
set_clock($node, '+0.7');
ok($writers->await_progress, 'steps back and forth: all sessions are served');
set_clock($node, '+0');
ok($writers->await_progress, 'steps back and forth: and with the clock right');

# An hour ahead and back: what was issued there cannot be issued again.
my $name = injected('the clock stepped an hour ahead, then back');
set_clock($node, '+1h');
ok($writers->await_progress, "$name: ahead, all sessions are served");
my $ahead = $node->safe_psql('postgres', $next);
ok($writers->await_error($behind_last, sub { set_clock($node, '+0') }), "$name: back, refused");
$node->stop('fast');
ok($writers->await_error(qr/^55000 $behind_mark$/, sub { start_with_env($node) }), "$name: a restart, still refused");
fails_with($node, $next,
    qr/ERROR:  55000: clock is 3[56]\d\d\.\d+ s behind what earlier .*\nDETAIL:  IDs of up to .*\nHINT:  Set the server's clock right. IDs are issued again once it has passed that time/,
    "$name: told how far, and what to do");
set_clock($node, '+3605');
ok($writers->await_progress, "$name: past that time, all sessions are served without another start");
cmp_ok($node->safe_psql('postgres', $next), '>', $ahead, "$name: above what was issued ahead");
my $figures = check_ids($node, $writers, { name => 'steps under load' });
is(join(' ', grep { !/^(?:08006|55000|57P0[123])$/ } keys %{ $figures->{errors} }), '',
    'steps under load: no errors but those');
$node->stop;

# The clock ten years ahead at the first ID. The way back that the manual gives:
# a new node ID, the mark removed, and a checkpoint by the right clock.
$name = injected('the clock ten years ahead at the first ID, then right');
$node = fault_cluster('years', clock => 1, shim => 0, start => 0, conf => <<'CONF');
timeshard.node_id = 320
autovacuum = off
checkpoint_timeout = 1d
CONF
$path = mark_path($node);
set_clock($node, '+' . 10 * 365 * 86_400);
start_with_env($node);
$node->safe_psql('postgres', 'CREATE EXTENSION timeshard');
$writers = start_writers($node, count => 4);
$ahead = $node->safe_psql('postgres', $next);
$node->safe_psql('postgres', 'CHECKPOINT');
ok($writers->await_error($behind_last, sub { set_clock($node, '+0') }), "$name: refused");
$node->stop('immediate');
start_with_env($node);
fails_with($node, $next, qr/ERROR:  55000: $behind_mark/, "$name: after a crash, refused");
$node->safe_psql('postgres', 'CHECKPOINT');
fails_with($node, $next, qr/ERROR:  55000: $behind_mark/, "$name: a CHECKPOINT alone is no cure");

# The checkpoint is by the wrong clock again, as it is where the server was shut
# down before anybody noticed.
$writers->stop;
set_clock($node, '+' . 10 * 365 * 86_400);
$node->stop('fast');
set_clock($node, '+0');
unlink $path or die "cannot remove $path: $!";
$node->append_conf('postgresql.conf', 'timeshard.node_id = 321');
start_with_env($node);
fails_with($node, $next, qr/ERROR:  55000: $behind_checkpoint.*\nDETAIL:.*\n$checkpoint_hint/,
    "$name: without the file, the checkpoint refuses");
ok(!-e $path, "$name: and nothing is written");
$node->safe_psql('postgres', 'CHECKPOINT');
my $again = start_writers($node, count => 4);
pass("$name: after a CHECKPOINT, all sessions are served");
my $id = $node->safe_psql('postgres', $next);
cmp_ok($id, '<', $ahead, "$name: by the right clock");
is($node->safe_psql('postgres', "SELECT (timeshard_parse($id)).node_id"), 321, "$name: with the new node ID");
$again->stop;
is_deeply(read_logs([ $writers->logs, $again->logs ], order => 0)->{violations}, {},
    "$name: no ID repeats, before and after");
check_ids($node, $writers, { name => "$name, before" });

# The checkpoint alone refuses: it was made by a clock ahead, and no mark is there.
$name = injected('a checkpoint made by a clock ahead, and no mark');
$node->stop('fast');
unlink $path or die "cannot remove $path: $!";
set_clock($node, '+600');
start_with_env($node);
$node->safe_psql('postgres', 'CHECKPOINT');
set_clock($node, '+0');
$writers = start_writers($node, count => 4, wait => 0);
ok($writers->await_error(qr/^55000 $behind_checkpoint$/), "$name: refused");
fails_with($node, $next, qr/ERROR:  55000: clock is (?:59\d|600)\.\d+ s behind the .*\nDETAIL:.*\n$checkpoint_hint/,
    "$name: told how far, and what to do");
$node->safe_psql('postgres', 'CHECKPOINT');
ok($writers->await_progress, "$name: after a CHECKPOINT, all sessions are served without a restart");
check_ids($node, $again, $writers, { name => 'with the clock right' });
report_figures();
$node->stop;

done_testing();
