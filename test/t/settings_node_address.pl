# The node ID that a server has from its address, on real interfaces: those of
# a network namespace, which an ordinary user makes in a user namespace. The
# server runs in another one inside it, because it refuses to be root.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

# Makes an interface of whichever kind this kernel has.
my $new_interface = <<'SH';
add() {
    ip link add "$1" type dummy 2>/dev/null || ip link add "$1" type veth peer name "$1p"
    ip link set "$1" up
}
SH

# A command that runs its arguments as the present user in a new network
# namespace, which the shell commands $setup have furnished.
sub in_namespace
{
    my ($setup) = @_;
    my $as_user = sprintf 'exec unshare --user --map-user=%d --map-group=%d -- "$@"', $>, $) + 0;
    return ('unshare', '--user', '--map-root-user', '--net', '--', 'sh', '-ec', "$new_interface\n$setup\n$as_user", 'sh');
}

my ($out, $err) = ('', '');
local $ENV{PATH} = "$ENV{PATH}:/usr/sbin:/sbin";
my @probe = in_namespace("ip link set lo up\nadd net0\nip addr add 192.168.1.42/24 dev net0\nip route add default via 192.168.1.1");
my $available = eval { IPC::Run::run([ @probe, 'true' ], '>', \$out, '2>', \$err) };
if (!$available)
{
    my $reason = 'no network namespace of its own: ' . ($err || $@ || 'unshare failed');
    diag("settings_node_address is skipped: $reason");
    plan skip_all => $reason;
}

# What the namespace has, the node ID with its bits, its source, its address.
my $route = 'ip route add default via';
my @cases = (
    [ 'one interface with the default route',
        "add net0; ip addr add 192.168.1.42/24 dev net0; $route 192.168.1.1", 298, 10, 'address', '192.168.1.42' ],
    [ 'with 16 bits', "add net0; ip addr add 192.168.1.42/24 dev net0; $route 192.168.1.1", 298, 16, 'address', '192.168.1.42' ],
    [ 'with 4 bits', "add net0; ip addr add 192.168.1.42/24 dev net0; $route 192.168.1.1", 10, 4, 'address', '192.168.1.42' ],
    [ 'the default route on the second of two interfaces', "add net0; add net1; ip addr add 10.9.8.7/24 dev net0;
        ip addr add 192.168.1.42/24 dev net1; $route 192.168.1.1", 298, 10, 'address', '192.168.1.42' ],
    [ 'the default route on the first of two interfaces', "add net0; add net1; ip addr add 192.168.1.42/24 dev net0;
        ip addr add 10.9.8.7/24 dev net1; $route 192.168.1.1", 298, 10, 'address', '192.168.1.42' ],
    [ 'two default routes: the lower metric counts', "add net0; add net1; ip addr add 10.9.8.7/24 dev net0;
        ip addr add 192.168.1.42/24 dev net1; $route 10.9.8.1 metric 200; $route 192.168.1.1 metric 100", 298, 10, 'address',
        '192.168.1.42' ],
    [ 'no default route: the first that is up', "add down0; ip addr add 10.9.8.7/24 dev down0; ip link set down0 down;
        add net0; add net1; ip addr add 192.168.1.42/24 dev net0; ip addr add 10.9.8.8/24 dev net1", 298, 10, 'address',
        '192.168.1.42' ],
    [ 'IPv6 alone', 'add net0; ip addr add 2001:db8::12a/64 dev net0 nodad', 298, 10, 'address', '2001:db8::12a' ],
    [ 'a link-local address beside another', "add net0; add net1; ip addr add 169.254.3.4/16 dev net0;
        ip addr add 192.168.1.42/24 dev net1; ip route add default dev net0", 298, 10, 'address', '192.168.1.42' ],
    [ 'loopback alone', '', '', 10, 'none', '' ],
    [ 'a link-local address alone', 'add net0; ip addr add 169.254.3.4/16 dev net0', '', 10, 'none', '' ],
    [ 'an interface without an address', 'add net0', '', 10, 'none', '' ],
);

my $derived = qr/WARNING: +timeshard's node ID \d+ is derived from/;
my $none = qr/WARNING: +this server has no node ID/;
my $config = "SELECT node_id, node_id_source, host(node_address) FROM timeshard_config()";
my $parsed = 'SELECT node_id FROM timeshard_parse(timeshard_next_id())';

for my $preload (0, 1)
{
    my $mode = $preload ? 'preloaded' : 'stock';
    my $node = new_cluster($mode, preload => $preload, conf => 'timeshard.node_id = 1');
    $node->safe_psql('postgres', 'CREATE ROLE plain LOGIN; CREATE ROLE monitor LOGIN IN ROLE pg_monitor');
    $node->append_conf('postgresql.conf', 'timeshard.node_id = -1');
    my $as = sub { $node->safe_psql('postgres', $_[1], extra_params => [ '-U', $_[0] ]) };

    for my $case (@cases)
    {
        my ($what, $setup, $id, $bits, $source, $address) = @$case;
        my $name = "$mode: $what";
        $node->append_conf('postgresql.conf', "timeshard.node_id_bits = $bits");
        $node->stop;
        $node->{timeshard_prefix} = [ in_namespace("ip link set lo up\n$setup") ];
        my $offset = -s $node->logfile;
        start_with_env($node);
        my (undef, undef, $told) = $node->psql('postgres', "SET client_min_messages = log; $parsed", extra_params => [ '-U', 'plain' ]);
        unlike($told, qr/issues IDs as node/, "$name: nor is it told to who calls first");
        is($as->('monitor', $config), "$id|$source|$address", "$name: as pg_monitor sees it");
        is($as->('plain', $config), "$id|$source|", "$name: the address is not for every role");
        $source eq 'none' ? fails_with($node, $parsed, qr/ERROR:  55000: this server has no node ID/, "$name: no ID")
          : is($as->('plain', $parsed), $id, "$name: as an ID shows");
        my $info = $as->('plain', 'SELECT timeshard_config_info()');
        like($info, qr/^node ID +@{[ $source eq 'none' ? 'none' : $id ]} of 0 to /m, "$name: in words");
        ok(!$address || index($info, $address) < 0, "$name: nor there the address");
        my $log = slurp_file($node->logfile, $offset);
        is(() = ($log =~ /$derived/g), $source eq 'none' ? 0 : 1, "$name: a derived number is warned of in this run of the server");
        is(() = ($log =~ /$none/g), $source eq 'none' && $preload ? 1 : 0, "$name: and none at its start");
        is(() = ($log =~ /timeshard issues IDs as node $id \(from $source/g), $source eq 'none' ? 0 : 1, "$name: its identity is logged once");
    }

    # A configured number needs no address and gives no warning.
    $node->append_conf('postgresql.conf', "timeshard.node_id = 7\ntimeshard.node_id_bits = 10");
    $node->stop;
    $node->{timeshard_prefix} = [ in_namespace('') ];
    my $offset = -s $node->logfile;
    start_with_env($node);
    is($as->('monitor', $config), '7|configuration|', "$mode: a configured number with no network at all");
    unlike(slurp_file($node->logfile, $offset), qr/WARNING/, "$mode: and no warning");
    $node->stop;
}

done_testing();
