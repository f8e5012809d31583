# A server without a configured node ID: it warns that the derived number may be
# another server's, and makes no IDs where no address tells machines apart.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";

use Compiled;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

my $next = 'SELECT timeshard_next_id()';
my $probe = compile_preload('one_address');

# The address, and the number that it gives; none if that is not defined.
my @cases = ([ '192.168.1.42', 298 ], [ '172.17.0.2', 2 ], [ '169.254.3.4', undef ], [ '', undef ]);

my $alike = qr/Every other server on this machine derives the same number, and servers elsewhere can\. Two servers with one number issue the same IDs\./;
my $docker = qr/ The address is in 172\.17\.0\.0\/16, Docker's default bridge, a network that every host has, with the same addresses\./;
my $no_number = qr/No node ID is configured, and the machine has no address to derive one from: loopback and link-local addresses do not tell machines apart\.
HINT:  Choose a number that no other server has, such as 1, put "timeshard\.node_id = 1" into the server's configuration, and restart it\./;

# The warning of a derived number, as a client sees it.
sub warning_of
{
    my ($number, $address) = @_;
    my $detail = $address =~ /^172/ ? qr/$alike$docker/ : $alike;
    return qr/WARNING:  timeshard's node ID $number is derived from the machine's address
DETAIL:  $detail
HINT:  If no other server has the number $number, put "timeshard\.node_id = $number" into the server's configuration, otherwise another number\. Restart the server\./;
}

# Runs it as a role without rights, and returns what psql prints beside the answer.
sub told
{
    my ($node, $sql, $role) = @_;
    my ($rc, undef, $err) = $node->psql('postgres', $sql, extra_params => [ '-U', $role // 'plain' ]);
    return ($rc, $err);
}

# The number is derived: CREATE EXTENSION and the first ID of each run warn.
sub test_derived
{
    my ($node, $name, $address, $number, $create, $superuser, %env) = @_;
    my $warning = warning_of($number, $address);
    my $in_log = qr/WARNING:  timeshard's node ID $number is derived/;
    my ($rc, $err) = told($node, $create, $superuser);
    like($err, qr/\A(?:psql:<stdin>:\d+: )?$warning\z/, "$name: CREATE EXTENSION warns, once");

    for my $run ('first', 'second')
    {
        my $offset = -s $node->logfile;
        (undef, $err) = told($node, 'SELECT timeshard_parse(0), timeshard_time(0); SELECT FROM timeshard_config()');
        is($err, '', "$name, $run run: reading does not warn");
        ($rc, $err) = told($node, $next);
        is($rc, 0, "$name, $run run: there are IDs");
        like($err, qr/\A(?:psql:<stdin>:\d+: )?$warning\z/, "$name, $run run: whoever takes the first is warned");
        is((told($node, $next))[1], '', "$name, $run run: nobody else is");
        is(() = (slurp_file($node->logfile, $offset) =~ /$in_log/g), 1, "$name, $run run: it is logged once");
        restart_with_env($node, %env) if $run eq 'first';
    }
    return;
}

# There is no number: no IDs, but reading works.
sub test_none
{
    my ($node, $name, $create, $superuser) = @_;
    my ($rc, $err) = told($node, $create, $superuser);
    is($rc, 0, "$name: the extension can be created");
    like($err, qr/\A(?:psql:<stdin>:\d+: )?WARNING:  this server has no node ID yet, and will issue no IDs\nDETAIL:  $no_number\z/, "$name: with a warning");
    for my $call ($next, 'SELECT timeshard_next_ids(2)', q{SELECT timeshard_next_id_with_prefix('a')}, 'SELECT timeshard_horizon()')
    {
        fails_with($node, $call, qr/ERROR:  55000: this server has no node ID, and issues no IDs\nDETAIL:  $no_number/, "$name: $call");
    }
    my $id = 298 << 12;
    is($node->safe_psql('postgres', "SELECT node_id, timeshard_time($id) IS NOT NULL, timeshard_between($id, '-infinity', 'infinity') FROM timeshard_parse($id)"),
        '298|t|t', "$name: IDs are read");
    is($node->safe_psql('postgres', 'SELECT node_id IS NULL, node_id_source, node_address IS NULL, max_node_id FROM timeshard_config()'),
        't|none|t|1023', "$name: there is no number to show");
    like($node->safe_psql('postgres', 'SELECT timeshard_config_info()'), qr/^node ID +none of 0 to 1023, from no source: none is configured, and the machine has no address$/m, "$name: nor in words");
    $node->safe_psql('postgres', 'SELECT timeshard_raise_floor(timeshard_lower_bound(now()))');
    unlike(log_of($node), qr/as node 0|PANIC/, "$name: node 0 is not mentioned");

    $node->append_conf('postgresql.conf', 'timeshard.node_id = 7');
    $node->stop;
    start_with_env($node);
    is($node->safe_psql('postgres', "SELECT node_id FROM timeshard_parse(($next))"), 7, "$name: once configured there are IDs");

    # What a lost number is called where no address gives one.
    $node->append_conf('postgresql.conf', 'timeshard.node_id = -1');
    restart_with_env($node, LD_PRELOAD => $probe, ONE_ADDRESS => '');
    fails_with($node, $next, qr/ERROR:  F0000: the configured node ID has been lost\nDETAIL:  .*Now neither names a node ID, and no address gives one\.\nHINT:  Set timeshard\.node_id to 7, /,
        "$name: a lost number");
    return;
}

for my $preload (0, 1)
{
    for my $case (@cases)
    {
        my ($address, $number) = @$case;
        my $name = ($preload ? 'preloaded' : 'stock') . ', ' . ($address || 'no address');
        my %env = (LD_PRELOAD => $probe, ONE_ADDRESS => $address);
        my $node = new_cluster($name =~ s/\W+/_/gr, derived => 1, preload => $preload, create => 0, env => \%env);
        my $superuser = $node->safe_psql('postgres', 'CREATE ROLE plain LOGIN; SELECT current_user');
        my $log = log_of($node);
        $preload && !defined $number
          ? like($log, qr/WARNING:  this server has no node ID yet, and will issue no IDs\n/, "$name: the server's start warns")
          : unlike($log, qr/WARNING/, "$name: the server's start does not warn");
        my @how = ('CREATE EXTENSION timeshard', $superuser);
        defined $number ? test_derived($node, $name, $address, $number, @how, %env) : test_none($node, $name, @how);
        $node->stop;
    }
}
done_testing();
