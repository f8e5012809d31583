# The kit's stepped clock: a timer that goes off while a session reads the clock
# harms nothing. PostgreSQL's handler reads it too, of any session in which a lock
# was waited for, or any other timer set, up to a second before.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

my $node = new_cluster('stepped', clock => 1, conf => "timeshard.node_id = 9\nlog_statement = none");

# PostgreSQL lets the first timer run on, and its handler finds the second.
my ($clients, $rounds) = (2, 1500);
local $SIG{ALRM} = sub { die 'a session hangs' };
alarm $PostgreSQL::Test::Utils::timeout_default;
my ($status, $out, $err) = run_pgbench($node, <<'SQL', '-c', $clients, '-t', $rounds);
SET statement_timeout = '3ms';
SET statement_timeout = '1h';
SELECT count(timeshard_next_id()) FROM generate_series(1, 600);
SQL
alarm 0;
is($status, 0, 'sessions outlive timers') or diag($err);
like($out, qr{: @{[ $clients * $rounds ]}/}, 'all rounds of them');

set_clock($node, '2026-03-10 14:00:00');
is($node->safe_psql('postgres', q(SET timezone = 'UTC'; SELECT date_trunc('day', now()))), '2026-03-10 00:00:00+00', 'and the clock is stepped');

$node->stop;
done_testing();
