# The kit's stepped clock: a timer that goes off while a session reads the clock
# harms nothing. PostgreSQL's handler reads it too, of any session in which a lock
# was waited for, or any other timer set, up to a second before.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

my $node = new_cluster('stepped', clock => 1, conf => "timeshard.node_id = 9\nlog_statement = none");

# PostgreSQL lets the first timer run on, and its handler finds the second. (On a
# slow machine the first cancels a statement now and then. Never mind: the next
# round has a timer of its own.)
my $rounds = 1500;
my $script = $node->basedir . '/rounds.sql';
append_to_file($script, <<'SQL' x $rounds . 'SELECT pg_backend_pid()');
SET statement_timeout = '3ms';
SET statement_timeout = '1h';
SELECT count(timeshard_next_id()) FROM generate_series(1, 600);
SQL

my $limit = IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default);
my (@out, @err);
my @sessions = map {
    IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', $script ],
        '<', \undef, '>', \$out[$_], '2>', \$err[$_], $limit)
} 0, 1;
for (0, 1)
{
    my $ended = eval { $sessions[$_]->finish };
    ok($ended, 'a session outlives timers') or diag(substr $err[$_] || $@, -500);
    cmp_ok(scalar(() = $out[$_] =~ /^600$/mg), '>', $rounds / 4, 'which it had');
}

set_clock($node, '2026-03-10 14:00:00');
is($node->safe_psql('postgres', q(SET timezone = 'UTC'; SELECT date_trunc('day', now()))), '2026-03-10 00:00:00+00', 'and the clock is stepped');

$node->stop;
done_testing();
