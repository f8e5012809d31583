# The settings: where their values come from, when they take effect, and what
# becomes of bad ones.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

my $config = "SELECT concat_ws(' ', node_id, node_id_source, node_id_bits, custom_epoch) FROM timeshard_config()";
my $pending = 'SELECT pending_restart FROM timeshard_config()';
# Node and time of a new ID, taken apart here by the given layout.
sub made
{
    my ($bits, $epoch) = @_;
    return "SELECT (id >> @{[ 22 - $bits ]}) & @{[ (1 << $bits) - 1 ]}, abs((id >> 22) + $epoch
        - extract(epoch FROM clock_timestamp()) * 1000) < 60000 FROM timeshard_next_id() AS id";
}

my $node = new_cluster('main', create => 0, conf => 'restart_after_crash = on');

$node->safe_psql('postgres', "LOAD 'timeshard'; CREATE EXTENSION timeshard; CREATE DATABASE other");
$node->safe_psql('other', 'CREATE EXTENSION timeshard');

# Precedence, with and without preload. Columns: configuration lines, command
# line, environment, then what is in force.
my @precedence = (
    [ [], '', {}, qr/^\d+ (address|none) 10 1702385533000$/ ],
    [ [ 'node_id = 3', 'node_id_bits = 12', 'custom_epoch = 1600000000000' ], '', {}, '3 configuration 12 1600000000000' ],
    [ [], '', { NODE_ID => 4, NODE_ID_BITS => 13, CUSTOM_EPOCH => 1500000000000 }, '4 environment 13 1500000000000' ],
    [ [ 'node_id = 3', 'node_id_bits = 12', 'custom_epoch = 1600000000000' ], '',
        { NODE_ID => 4, NODE_ID_BITS => 13, CUSTOM_EPOCH => 1500000000000 }, '3 configuration 12 1600000000000' ],
    [ [ 'node_id = 3', 'custom_epoch = 1600000000000' ], '-c timeshard.node_id=5 -c timeshard.node_id_bits=9',
        { NODE_ID => 4, NODE_ID_BITS => 13 }, '5 configuration 9 1600000000000' ],
    [ [ 'custom_epoch = 1600000000000' ], '', { NODE_ID => 4 }, '4 environment 10 1600000000000' ],
    [ [ 'node_id = -1' ], '', { NODE_ID => 4 }, qr/^\d+ (address|none) 10 1702385533000$/ ],
    [ [ 'node_id = 0' ], '', { NODE_ID => -1 }, '0 configuration 10 1702385533000' ],
    [ [], '', { NODE_ID => -1 }, qr/^\d+ (address|none) 10 1702385533000$/ ],
    [ [ 'node_id = 1', 'node_id_bits = 1' ], '', {}, '1 configuration 1 1702385533000' ],
    [ [ 'node_id = 65535', 'node_id_bits = 16' ], '', {}, '65535 configuration 16 1702385533000' ],
    [ [ 'NODE_ID = 6' ], '', {}, '6 configuration 10 1702385533000' ],
);
for my $case (@precedence)
{
    my ($lines, $options, $env, $expected) = @$case;
    my %env = map { ("TIMESHARD_$_" => $env->{$_}) } keys %$env;
    my $label = join ', ', @$lines, $options || (), map { "$_=$env{$_}" } sort keys %env;
    for my $preload (0, 1)
    {
        configure($node, (map { "timeshard.$_" } @$lines), $preload ? "shared_preload_libraries = 'timeshard'" : ());
        $node->{timeshard_options} = $options;
        restart_without_past($node, %env);
        my $name = ($preload ? 'preloaded' : 'stock') . ": " . ($label || 'nothing set');
        my $in_force = $node->safe_psql('postgres', $config);
        ref $expected ? like($in_force, $expected, $name) : is($in_force, $expected, $name);
        my ($id, undef, $bits, $epoch) = split / /, $in_force;
        is($node->safe_psql('postgres', made($bits, $epoch)), "$id|t", "$name: as an ID shows");
        is( $node->safe_psql('postgres', 'SELECT p.node_id, abs(p."timestamp" - extract(epoch FROM clock_timestamp()) * 1000) < 60000,
            timeshard_time(p.id) = p.datetime
            AND timeshard_lower_bound(p.datetime) = timeshard_last_before(p.datetime) + 1
            AND timeshard_between(p.id, p.datetime, p.datetime + make_interval(secs => 0.001)) FROM timeshard_parse(timeshard_next_id()) AS p'),
            "$id|t|t", "$name: as timeshard_parse() and timeshard_time() show");
        is( $node->safe_psql('postgres', "SELECT count(DISTINCT id), min(id >> @{[ 22 - $bits ]} & @{[ (1 << $bits) - 1 ]})
            FROM (SELECT timeshard_next_id() AS id FROM generate_series(1, 5000)) AS ids"),
            "5000|$id", "$name: more IDs than a small layout has in a millisecond");
    }
}
$node->{timeshard_options} = undef;

# A configuration line that is removed gives way to the environment, not to
# the built-in value, and in sessions that run already.
configure($node, 'timeshard.node_id = 3', 'timeshard.node_id_bits = 12', 'timeshard.custom_epoch = 1600000000000');
restart_without_past($node, TIMESHARD_NODE_ID => 4, TIMESHARD_NODE_ID_BITS => 13, TIMESHARD_CUSTOM_EPOCH => 1500000000000);
my $show = "SELECT string_agg(setting || ' ' || source, ', ' ORDER BY name) FROM pg_settings
    WHERE name IN ('timeshard.node_id', 'timeshard.node_id_bits', 'timeshard.custom_epoch')";
my $old = $node->background_psql('postgres');
$old->query_safe($config);
is($old->query_safe($show), '1600000000000 configuration file, 3 configuration file, 12 configuration file',
    'the configuration as pg_settings shows it');
configure($node);
reload_and_wait($node);
my $from_environment = '1500000000000 environment variable, 4 environment variable, 13 environment variable';
is($old->query_safe($show) =~ s/default/environment variable/gr, $from_environment,
    'lines removed: a running session falls back to the environment');
is($old->query_safe($config), '3 configuration 12 1600000000000', 'and the identity stays');
is($old->query_safe($pending), 't', 'and a restart is due');
is($node->safe_psql('postgres', "LOAD 'timeshard'; $show"), $from_environment, 'a new session sees the environment');
is($node->safe_psql('postgres', $pending), 't', 'and that a restart is due');
$old->quit;
restart_with_env($node, TIMESHARD_NODE_ID => 4, TIMESHARD_NODE_ID_BITS => 13, TIMESHARD_CUSTOM_EPOCH => 1500000000000);
is($node->safe_psql('postgres', $config), '4 environment 13 1500000000000', 'after a restart it is in force');

# The identity is captured once in a run of the server.
for my $preload (0, 1)
{
    my $mode = $preload ? 'preloaded' : 'stock';
    configure($node, 'restart_after_crash = on', 'timeshard.node_id = 7', $preload ? "shared_preload_libraries = 'timeshard'" : ());
    restart_without_past($node);
    $old = $node->background_psql('postgres');
    my $idle = $node->background_psql('other');
    my $made = made(10, 1702385533000);
    is($old->query_safe($made), '7|t', "$mode: the node before the change");

    my $epoch = 1600000000000;
    for my $change ([ node_id => 8 ], [ node_id_bits => 11 ], [ custom_epoch => $epoch ])
    {
        my ($setting, $value) = @$change;
        # As the manual has it: LOAD first, where nothing is preloaded.
        $node->safe_psql('postgres', "LOAD 'timeshard'; \nALTER SYSTEM SET timeshard.$setting = $value;");
        is($node->safe_psql('postgres', $pending), 'f', "$mode: $setting: not yet reloaded");
        reload_and_wait($node);
        is($old->query_safe($pending), 't', "$mode: $setting: a session from before knows of the restart");
        is($node->safe_psql('postgres', $pending), 't', "$mode: $setting: so does a new one");
        like($node->safe_psql('postgres', 'SELECT timeshard_config_info()'), qr/^restart due +yes/m, "$mode: $setting: in words");
        is($old->query_safe($made), '7|t', "$mode: $setting: the session from before keeps the identity");
        is($node->safe_psql('postgres', $made), '7|t', "$mode: $setting: so does a new one's ID");
        $node->safe_psql('postgres', "LOAD 'timeshard'; \nALTER SYSTEM RESET timeshard.$setting;");
        reload_and_wait($node);
        is($old->query_safe($pending), 'f', "$mode: $setting: taken back");
    }
    is($idle->query_safe($made), '7|t', "$mode: a session that makes its first ID late has the identity");
    $idle->quit;
    $old->quit;

    configure($node, 'restart_after_crash = on', 'timeshard.node_id = 8', $preload ? "shared_preload_libraries = 'timeshard'" : ());
    reload_and_wait($node);
    is($node->safe_psql('postgres', $made), '7|t', "$mode: before the crash");
    crash_restart($node);
    is($node->safe_psql('postgres', $made), '7|t', "$mode: a crash restart keeps it");
    is($node->safe_psql('postgres', $pending), 't', "$mode: and a restart is still due");
    configure($node, 'timeshard.node_id = 9', $preload ? "shared_preload_libraries = 'timeshard'" : ());
    restart_with_env($node);
    is($node->safe_psql('postgres', $made), '9|t', "$mode: a restart takes the new one");
}

# The wait is no part of the identity.
configure($node);
restart_without_past($node);
$node->safe_psql('postgres', 'SELECT timeshard_next_id()'); # has the warning of a derived number
$old = $node->background_psql('postgres');
$old->query_safe('SELECT timeshard_next_id()');
for my $wait ([ "'1s'", '1s', 1000 ], [ "'1min'", '1min', 60000 ], [ '250', '250ms', 250 ], [ '0', '0', 0 ])
{
    configure($node, "timeshard.max_clock_wait = $wait->[0]");
    reload_and_wait($node);
    is($old->query_safe("SHOW timeshard.max_clock_wait"), $wait->[1], "max_clock_wait = $wait->[0], by a reload");
    is($node->safe_psql('postgres', "LOAD 'timeshard'; SELECT setting FROM pg_settings WHERE name = 'timeshard.max_clock_wait'"),
        $wait->[2], 'the same for a new session');
    is($old->query_safe($pending), 'f', 'and no restart is due');
}
$old->quit;
$node->stop;

done_testing();
