# A misspelt timeshard.* in the server's configuration is refused as a bad value is,
# with the nearest right name: else the server would number IDs by a guess.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

my $made = 'SELECT node_id FROM timeshard_parse(timeshard_next_id())';

# What is written, and what was meant.
my @misspelt = (
    [ nodeid => 'node_id' ], [ node_di => 'node_id' ], [ 'NODEID' => 'node_id' ], [ node => 'node_id' ],
    [ epoch => 'custom_epoch' ], [ customepoch => 'custom_epoch' ], [ bits => 'node_id_bits' ],
    [ node_bits => 'node_id_bits' ], [ max_wait => 'max_clock_wait' ],
    [ 'n' . 'o' x 300 => 'node_id' ],
);

sub error_of
{
    my ($name, $meant) = @_;
    return qr/unrecognized configuration parameter "(?i:timeshard\.\Q$name\E)"\n.*DETAIL:.*\n.*HINT: +Perhaps you meant "timeshard\.$meant"\./;
}

my $node = new_cluster('main', conf => 'timeshard.node_id = 9');
$node->safe_psql('postgres', 'CREATE ROLE stored LOGIN; CREATE DATABASE other');

# Preloaded: no start. The postmaster ends by itself, without pg_ctl's waits.
$node->stop;
for my $case ((map { [ conf => @$_ ] } @misspelt), [ argument => 'nodeid', 'node_id' ])
{
    my ($where, $name, $meant) = @$case;
    configure($node, "shared_preload_libraries = 'timeshard'", $where eq 'conf' ? "timeshard.$name = 3" : ());
    my ($log, $timeout) = ('', IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
    my $server = IPC::Run::start([ 'postgres', '-D', $node->data_dir, $where eq 'conf' ? () : ('-c', "timeshard.$name=3") ], '>&', \$log, $timeout);
    my $started = qr/ready to accept connections/;
    eval { $server->pump while $log !~ $started && $server->pumpable };
    $server->kill_kill if $log =~ $started || $timeout->is_expired;
    $server->finish;
    $name = substr $name, 0, 20 if length $name > 20;
    unlike($log, $started, "preloaded, $where $name: no start");
    like($log, length $case->[1] > 20 ? qr/FATAL: +unrecognized/ : qr/FATAL: +@{[ error_of($name, $meant) ]}/, "preloaded, $where $name: the log says why");
}

# Not preloaded: calls fail, the second like the first, until it is corrected.
for my $case ((map { [ conf => @$_ ] } grep { length $_->[0] < 20 } @misspelt), [ argument => 'nodeid', 'node_id' ])
{
    my ($where, $name, $meant) = @$case;
    configure($node, 'timeshard.node_id = 9', $where eq 'conf' ? "timeshard.$name = 3" : ());
    $node->{timeshard_options} = $where eq 'conf' ? undef : "-c timeshard.$name=3";
    restart_with_env($node);
    my (undef, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$made;\n\\warn second\n$made;\nSELECT 'alive'", on_error_stop => 0);
    is($out, 'alive', "stock, $where $name: no ID, and the session goes on");
    like($_, qr/ERROR: +F0000: +@{[ error_of($name, $meant) ]}/, "stock, $where $name: each call says why") for split /^second\n/m, $err;
    if ($where eq 'conf')
    {
        my $session = $node->background_psql('postgres', on_error_stop => 0);
        $session->query($made);
        configure($node, 'timeshard.node_id = 9');
        reload_and_wait($node);
        is($session->query($made), 9, "stock, $name: corrected, the same session works");
        $session->quit;
    }
}
$node->{timeshard_options} = undef;

# Nobody hides the server's with a value of his own, or forges one.
configure($node, 'timeshard.node_id = 9', 'timeshard.nodeid = 3');
restart_with_env($node);
my $refused = qr/ERROR: +there is no parameter "(?i:timeshard\.nodeid)"/;
{
    local $ENV{PGOPTIONS} = '-c timeshard.nodeid=5';
    my (undef, $out, $err) = $node->psql('postgres', $made, on_error_stop => 0);
    is($out, '', "the server's, hidden by the connection's options");
    like($err, $refused, "the server's, hidden by the connection's options: refused");
}
configure($node, 'timeshard.node_id = 9');
restart_with_env($node);
for my $case (
    [ 'SET', 'SET timeshard.nodeid = 5;', 'RESET timeshard.nodeid;', qr/Use RESET timeshard\.nodeid/ ],
    [ 'SET, upper case', 'SET TIMESHARD.NODEID = 5;', 'RESET timeshard.nodeid;', qr/Use RESET/ ],
    [ 'SET LOCAL', 'BEGIN; SET LOCAL timeshard.nodeid = 5;', 'ROLLBACK;', qr/Use RESET/ ])
{
    my ($name, $set, $undo, $hint) = @$case;
    my (undef, $out, $err) = $node->psql('postgres', "$set $made; $undo $made;", on_error_stop => 0);
    is($out, 9, "$name: no ID until it is undone");
    like($err, qr/$refused.*HINT: +$hint/s, "$name: refused");
}
for my $case ([ 'options', '', '-c timeshard.nodeid=5' ], [ 'role', 'ALTER ROLE stored', '' ], [ 'database', 'ALTER DATABASE postgres', '' ])
{
    my ($name, $store, $options) = @$case;
    $node->safe_psql('postgres', "$store SET timeshard.nodeid = 5") if $store;
    local $ENV{PGOPTIONS} = $options;
    my (undef, $out, $err) = $node->psql('postgres', $made, on_error_stop => 0, extra_params => [ '-U', 'stored' ]);
    is($out, '', "$name: no ID");
    like($err, $refused, "$name: refused");
    delete local $ENV{PGOPTIONS};
    $node->safe_psql('postgres', "$store RESET timeshard.nodeid") if $store;
}
is($node->safe_psql('postgres', $made), 9, 'undone, a session works');
my (undef, $out, $err) = $node->psql('postgres', "$made; SET timeshard.nodeid = 5; $made;", on_error_stop => 0);
is($out, "9\n9", 'SET after an ID changes nothing');
like($err, qr/ERROR: +invalid configuration parameter name "timeshard\.nodeid"/, 'and PostgreSQL refuses it');
is($node->safe_psql('postgres', "SET other.nodeid = 5; SET timeshardx.nodeid = 5; $made"), 9, 'variables of another prefix are no concern');

# By a reload of a running server: pending, with a warning.
for my $preload (0, 1)
{
    my $mode = $preload ? 'preloaded' : 'stock';
    my @own = ('timeshard.node_id = 9', $preload ? "shared_preload_libraries = 'timeshard'" : ());
    configure($node, @own);
    restart_with_env($node);
    is($node->safe_psql('postgres', $made), 9, "$mode: before the reload");
    my $offset = -s $node->logfile;
    configure($node, @own, 'timeshard.nodeid = 3');
    reload_and_wait($node);
    (undef, $out, $err) = $node->psql('postgres', "$made; $made;", on_error_stop => 0);
    is($out, "9\n9", "$mode: a new session works");
    if ($preload)
    {
        like(slurp_file($node->logfile, $offset), qr/invalid configuration parameter name "timeshard\.nodeid"/, "$mode: PostgreSQL logs it");
    }
    else
    {
        like($err, qr/WARNING: +@{[ error_of('nodeid', 'node_id') ]}/, "$mode: and is warned");
    }
}
$node->stop;

done_testing();
