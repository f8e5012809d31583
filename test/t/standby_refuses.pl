# A standby, in both load modes: no ID is made there, but read; the session that
# was refused goes on after the promotion.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;
use TimeshardSession;

my %generators = (
    'timeshard_next_id()' => 'timeshard_next_id()',
    "timeshard_next_id_with_prefix('TXN_')" => 'timeshard_next_id_with_prefix()',
    "timeshard_prefix_at('-', 4)" => 'timeshard_prefix_at()',
    'timeshard_next_ids(1)' => 'timeshard_next_ids()');

for my $preload (0, 1)
{
    my $mode = $preload ? 'preloaded' : 'lazy';
    my $primary = new_cluster("primary_$mode", preload => $preload, conf => 'timeshard.node_id = 11',
        init => [ allows_streaming => 1 ]);
    $primary->safe_psql('postgres', <<'SQL');
CREATE TABLE keyed (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), made_on text);
INSERT INTO keyed (made_on) SELECT 'primary' FROM generate_series(1, 10000);
SQL
    my $known = $primary->safe_psql('postgres', 'SELECT max(id) FROM keyed');

    $primary->backup('base');
    my $standby = PostgreSQL::Test::Cluster->new("standby_$mode");
    $standby->init_from_backup($primary, 'base', has_streaming => 1);
    $standby->append_conf('postgresql.conf', 'timeshard.node_id = 12');
    start_with_env($standby);
    $primary->wait_for_catchup($standby);

    # Two sessions: one is refused first of all, the other reads first.
    my @sessions = map { TimeshardSession->new($standby) } 1 .. 2;
    my $refused = sub {
        my ($session, $name) = @_;
        for my $call (sort keys %generators)
        {
            my ($out, $err) = $session->ask("SELECT $call");
            like($err, qr/^ERROR:  25006: cannot execute \Q$generators{$call}\E during recovery/,
                "$mode, $name: $call is refused");
        }
    };

    # What reading answers; the node IDs are those of the ID and of this server.
    my $reads = sub {
        my ($session, $name) = @_;
        is( $session->ask_ok("SELECT id, node_id FROM timeshard_parse($known)"),
            "$known|11", "$mode, $name: parses an ID");
        is( $session->ask_ok("SELECT timeshard_format($known, 'TXN_'), (timeshard_parse(timeshard_format($known, 'TXN_'))).id"),
            sprintf('TXN_%019d|%d', $known, $known), "$mode, $name: formats an ID and parses it");
        is( $session->ask_ok("SELECT (timeshard_parse('TX1' || lpad('$known', 19, '0'), 'TX1')).id"),
            $known, "$mode, $name: parses with the prefix given");
        is( $session->ask_ok('SELECT node_id, node_id_source, node_id_bits, preloaded, pending_restart FROM timeshard_config()'),
            '12|configuration|10|' . ($preload ? 't' : 'f') . '|f', "$mode, $name: timeshard_config()");
        like($session->ask_ok('SELECT timeshard_config_info()'), qr/41-10-12.*node ID +12 of 0 to 1023/s,
            "$mode, $name: timeshard_config_info()");
    };

    is($sessions[0]->ask_ok('SELECT pg_is_in_recovery()'), 't', "$mode: the standby is one");
    $refused->($sessions[0], 'before anything else');
    $reads->($sessions[1], 'before generating is tried');
    $refused->($sessions[1], 'after reading');
    $reads->($sessions[0], 'after generating is tried');
    is($sessions[0]->ask_ok('SELECT count(*) FROM keyed'), 10000, "$mode: the standby serves queries");

    # On the standby a write is refused for its own sake; the text is PostgreSQL's.
    like(($sessions[0]->ask("INSERT INTO keyed (made_on) VALUES ('standby')"))[1], qr/^ERROR:  25006: /,
        "$mode: an INSERT is refused");

    $standby->promote;
    $standby->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'it is not promoted';
    for my $session (@sessions, TimeshardSession->new($standby))
    {
        for my $call (sort keys %generators)
        {
            is( $session->ask_ok("SELECT node_id FROM timeshard_parse((SELECT $call" . ($call =~ /^timeshard_next_ids?\(/ ? '' : '::text') . '))'),
                12, "$mode, promoted: $call carries the new primary's node ID");
        }
        $reads->($session, 'promoted');
        is( $session->ask_ok("INSERT INTO keyed (made_on) SELECT 'standby' FROM generate_series(1, 10000) RETURNING 1")
              =~ tr/1//,
            10000, "$mode, promoted: rows with new keys");
        $session->finish;
    }

    # The old primary lives on; the two have nothing in common.
    $primary->safe_psql('postgres', "INSERT INTO keyed (made_on) SELECT 'primary' FROM generate_series(1, 10000)");
    my %node_of = ($primary => 'primary', $standby => 'standby');
    my %seen;
    for my $server ($primary, $standby)
    {
        my $rows = $server->safe_psql('postgres',
            "SELECT id FROM keyed WHERE made_on = '$node_of{$server}'");
        $seen{$_}++ for split /\n/, $rows;
    }
    is(scalar(keys %seen), 50000, "$mode: the IDs of both servers are distinct");
    is( $standby->safe_psql('postgres',
            "SELECT DISTINCT made_on, (timeshard_parse(id)).node_id FROM keyed ORDER BY 1"),
        "primary|11\nstandby|12", "$mode: each ID names the server that made it");

    $_->stop for $standby, $primary;
}

done_testing();
