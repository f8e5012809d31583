# A server whose reserve of shared memory is used up before Timeshard's first call: IDs
# are read by the session's settings, and the error for a new one says what to do.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";

use Compiled;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

my $probe = compile_module('take_memory');
my $id = (1 << 22) + (298 << 9) + 5;    # at 13 bits
my $conf = "timeshard.node_id = 298\ntimeshard.node_id_bits = 13\ntimeshard.custom_epoch = 1600000000000\ntimezone = 'UTC'\nmax_connections = 100\n";
my $error = qr/ERROR:  53200: not enough shared memory for timeshard\nDETAIL:  Timeshard needs \d+ bytes .*\nHINT:  Add timeshard to shared_preload_libraries and restart the server/;

# What the server has left, and how all but so much of it is taken, in whole cache lines.
my $reserve = 'SELECT size FROM pg_shmem_allocations WHERE name IS NULL';
sub take_but { return "SELECT take_memory((($reserve) - $_[0]) / 128 * 128)" }

# Reading: what is asked, and the answer.
my @reading = (
    [ "SELECT node_id, sequence, timestamp_offset FROM timeshard_parse($id)", '298|5|1' ],
    [ "SELECT node_id FROM timeshard_parse('ORD_' || $id)", '298' ],
    [ "SELECT timeshard_time($id)", '2020-09-13 12:26:40.001+00' ],
    [ q{SELECT timeshard_lower_bound('2020-09-13 12:26:40.001+00')}, 1 << 22 ],
    [ "SELECT timeshard_between($id, '2020-09-13 12:26:40.001+00', '2020-09-13 12:26:40.002+00')", 't' ],
    [ "SELECT timeshard_between($id, '2020-09-13 12:26:40.002+00', '2020-09-13 12:26:40.003+00')", 'f' ],
    [ 'SELECT node_id, node_id_source, node_id_bits, custom_epoch, preloaded, pending_restart FROM timeshard_config()',
        '298|configuration|13|1600000000000|f|f' ],
    [ 'SELECT timeshard_config_info() ~ \'^allocation     41-13-9\'', 't' ],
    [ 'SELECT since_id IS NULL FROM timeshard_layout_change()', 't' ],
);
my @making = ('timeshard_next_id()', 'timeshard_next_ids(2)', q{timeshard_next_id_with_prefix('a')}, q{timeshard_prefix_at('a', 1)},
    'timeshard_horizon()', "timeshard_raise_floor($id)", 'timeshard_stats()');

# With nothing left, and with enough for the state but not for the positions of sessions.
for my $left (0, 900)
{
    my $name = "$left bytes left";
    my $node = new_cluster("left_$left", create => 0, conf => $conf);
    $node->safe_psql('postgres', "CREATE FUNCTION take_memory(bigint) RETURNS void STRICT LANGUAGE c AS '$probe'");
    $node->safe_psql('postgres', take_but($left));
    my $rest = $node->safe_psql('postgres', $reserve);
    ok(abs($rest - $left) < 128, "$name: more or less") or diag($rest);

    my ($rc, undef, $err) = $node->psql('postgres', 'CREATE EXTENSION timeshard');
    is("$rc $err", '0 ', "$name: the extension can be created");
    for my $round (1, 2)
    {
        is($node->safe_psql('postgres', $_->[0]), $_->[1], "$name: $_->[0]") for @reading;
        fails_with($node, "SELECT $_", $error, "$name: $_") for @making;
    }

    # In one session, before and after the error, and of many rows at once.
    my ($out);
    ($rc, $out, $err) = $node->psql('postgres', "$reading[0][0]; SELECT timeshard_next_id(); SELECT timeshard_next_id(); $reading[0][0];
        SELECT count(*) FROM generate_series(1, 100000) AS n WHERE timeshard_time(n) < now()", on_error_stop => 0);
    is($out, "$reading[0][1]\n$reading[0][1]\n100000", "$name: reading goes on after an error");
    is(() = ($err =~ /not enough shared memory for timeshard/g), 2, "$name: which comes each time");

    # The session's own values are those that the server gave it: a reload counts.
    $node->append_conf('postgresql.conf', 'timeshard.node_id_bits = 9');
    reload_and_wait($node);
    is($node->safe_psql('postgres', "SELECT node_id_bits FROM timeshard_config()"), 9, "$name: by the settings as they are now");

    $node->append_conf('postgresql.conf', "timeshard.node_id_bits = 13\nshared_preload_libraries = 'timeshard'");
    $node->restart;
    $node->safe_psql('postgres', take_but(0));
    is($node->safe_psql('postgres', 'SELECT node_id FROM timeshard_parse(timeshard_next_id())'), 298, "$name: what the hint says helps");
    $node->stop;
}
done_testing();
