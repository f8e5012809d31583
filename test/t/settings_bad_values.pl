# Bad values, wherever they come from, are errors that name the setting, the
# value and the range: preloaded, the server does not start; else no session
# gets an ID, and none runs with defaults.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

my $huge = '9999999999999999999';
my %range = (
    node_id => '-1 and 65535',
    node_id_bits => '1 and 16',
    custom_epoch => '0 and 253402300799999',
    max_clock_wait => '0 and 60000',
);
# PostgreSQL would take 0x10 for 16 and 7.6 for 8 in an integer setting.
my %bad = (
    node_id => [ 'abc', '', '-2', '65536', '70000', '7x', '7ms', '0x10', '7.6', '1e2', ' 7', $huge ],
    node_id_bits => [ 'abc', '', '-2', '0', '17', '8.6', $huge ],
    custom_epoch => [ 'abc', '', '-1', '1.5', '1702385533000ms', ' 1', '0x10', '253402300800000', $huge ],
    max_clock_wait => [ 'abc', '', '-1', '60001', '2min', '1 fortnight', $huge ],
);

# Every bad value as the parts of a start: configuration lines, command line, environment.
my @cases;
for my $setting (sort keys %bad)
{
    for my $value (@{ $bad{$setting} })
    {
        my $detail = qr/The value must be a whole number between $range{$setting}\./;
        my $parameter = qr/invalid value for parameter "timeshard\.$setting": "\Q$value\E"\n.*$detail/;
        push @cases, { name => "$setting = '$value'", conf => "timeshard.$setting = '$value'", error => $parameter };
        push @cases, { name => "-c $setting=$value", options => "-c timeshard.$setting=$value", error => $parameter }
          if $value eq 'abc' || $value eq '-2';
        next if $setting eq 'max_clock_wait';
        my $variable = 'TIMESHARD_' . uc $setting;
        push @cases, { name => "$variable='$value'", env => { $variable => $value },
            error => qr/invalid value for environment variable "$variable": "\Q$value\E"\n.*$detail/ };
    }
}

# Node IDs that do not fit the layout: its bits, the number, the largest that fits.
my @fits = ([ 1, 2, 1 ], [ 10, 1024, 1023 ], [ 15, 65535, 32767 ]);
for my $fit (@fits)
{
    my ($bits, $value, $max) = @$fit;
    my $error = sub {
        my ($source) = @_;
        my $line = qr/\n.*/;
        return qr/node ID must be between 0 and $max${line}The node ID is $value, from the server's $source, and /
          . qr/timeshard.node_id_bits is $bits\.${line}Choose a smaller timeshard.node_id, or raise timeshard.node_id_bits /
          . qr/\(up to 16\) on every server\./;
    };
    push @cases,
      { name => "node $value in $bits bits", conf => "timeshard.node_id = $value\ntimeshard.node_id_bits = $bits",
        error => $error->('configuration') },
      { name => "node $value in $bits bits from the environment",
        env => { TIMESHARD_NODE_ID => $value, TIMESHARD_NODE_ID_BITS => $bits }, error => $error->('environment') };
}

delete @ENV{ grep { /^TIMESHARD_/ } keys %ENV };
my $node = new_cluster('main', conf => 'timeshard.node_id = 9');
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION timeshard');

# What two calls in one session answer.
sub two_calls
{
    my ($sql) = @_;
    $sql //= 'SELECT timeshard_next_id()';
    my (undef, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql;\n\\echo second\n\\warn second\n$sql;\n\\echo alive",
        on_error_stop => 0);
    return ($out, split /^second\n/m, $err);
}

sub both_calls_fail
{
    my ($error, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($out, $first, $second) = two_calls();
    is($out, "second\nalive", "$name: no ID, and the session goes on");
    $error = qr/ERROR: +F0000: +$error/;
    like($first, $error, "$name: first call");
    like($second, $error, "$name: second call, no different");
    return;
}

# Preloaded: no start. The postmaster ends by itself, without pg_ctl's waits.
$node->stop;
for my $case (@cases)
{
    configure($node, "shared_preload_libraries = 'timeshard'", $case->{conf} // ());
    local %ENV = (%ENV, %{ $case->{env} // {} });
    my ($log, $timeout) = ('', IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
    my $server = IPC::Run::start([ 'postgres', '-D', $node->data_dir, split / /, $case->{options} // '' ], '>&', \$log, $timeout);
    my $started = qr/ready to accept connections/;
    eval { $server->pump while $log !~ $started && $server->pumpable };
    $server->kill_kill if $log =~ $started || $timeout->is_expired;
    $server->finish;
    unlike($log, $started, "preloaded, $case->{name}: no start");
    like($log, qr/FATAL: +$case->{error}/, "preloaded, $case->{name}: the log says why");
}

# Not preloaded: the server runs, and calls fail. First from the start on.
for my $case (grep { !$_->{conf} || $_->{conf} =~ /bits/ } @cases)
{
    configure($node, $case->{conf} // ());
    $node->{timeshard_options} = $case->{options};
    restart_with_env($node, %{ $case->{env} // {} });
    both_calls_fail($case->{error}, $case->{name});
}
$node->{timeshard_options} = undef;

# The largest that fits is none.
my $node_of = 'SELECT node_id FROM timeshard_parse(timeshard_next_id())';
for my $fit (@fits)
{
    my ($bits, undef, $max) = @$fit;
    configure($node, "timeshard.node_id = $max\ntimeshard.node_id_bits = $bits");
    restart_without_past($node);
    is($node->safe_psql('postgres', $node_of), $max, "node $max in $bits bits: issues IDs");
}

# Then by a reload before the first call, with a session that has the library. (What
# comes later is pending: settings_pending.pl.)
configure($node, 'timeshard.node_id = 9');
restart_without_past($node);
my $other = $node->background_psql('other', on_error_stop => 0);
$other->query("LOAD 'timeshard'");
for my $case (grep { $_->{conf} && $_->{conf} !~ /bits = \d/ } @cases)
{
    configure($node, 'timeshard.node_id = 9', $case->{conf});
    reload_and_wait($node);
    both_calls_fail($case->{error}, "reloaded, $case->{name}");
    next if $case->{conf} =~ /max_clock_wait/; # the server keeps an integer's good value
    is($other->query($node_of), '', "reloaded, $case->{name}: a session with the library gets no ID");
    like($other->{stderr}, qr/ERROR: +$case->{error}/, "reloaded, $case->{name}: which says why");
    $other->{stderr} = '';
}
configure($node, 'timeshard.node_id = 9');
reload_and_wait($node);
is($other->query($node_of), 9, 'corrected and reloaded, a session from before works');
is($node->safe_psql('postgres', $node_of), 9, 'and a new one');
$other->quit;

# A number that does not fit, set while the server runs, waits for the restart.
configure($node, 'timeshard.node_id = 5000');
reload_and_wait($node);
is($node->safe_psql('postgres', "$node_of; SELECT pending_restart FROM timeshard_config()"), "9\nt",
    'a captured identity is not disturbed by a node ID that does not fit');
restart_with_env($node);
my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->query('SELECT timeshard_next_id()');
like($session->{stderr}, qr/node ID must be between 0 and 1023/, 'and refused after it');
$session->{stderr} = '';
configure($node, 'timeshard.node_id = 11');
reload_and_wait($node);
is($session->query($node_of), 11, 'until it is corrected and reloaded, in the same session');
$session->quit;

# A leading zero makes no octal number, from wherever.
for my $source ([ 'configuration', [ 'timeshard.node_id = 010', 'timeshard.node_id_bits = 012' ] ],
    [ 'environment', [], TIMESHARD_NODE_ID => '010', TIMESHARD_NODE_ID_BITS => '012' ])
{
    my ($name, $conf, %env) = @$source;
    configure($node, @$conf);
    restart_with_env($node, %env);
    is($node->safe_psql('postgres', 'SELECT node_id, node_id_source, node_id_bits FROM timeshard_config()'), "10|$name|12", "010 and 012 by the $name");
}
configure($node, 'timeshard.node_id = 11');
restart_with_env($node);

# A session's own bad value is refused as any session's value is.
for my $value ('abc', '', '-2', $huge)
{
    my (undef, $out, $err) = $node->psql('postgres', "SET timeshard.node_id = '$value'; $node_of; RESET timeshard.node_id; $node_of",
        on_error_stop => 0);
    like($err, qr/parameter "timeshard.node_id" can only be set in the server's configuration/, "SET to '$value'");
    is($out, 11, "SET to '$value' and RESET");
}
$node->stop;

# Epochs that leave the clock no bits.
for my $preload (0, 1)
{
    my $mode = $preload ? 'preloaded' : 'stock';
    my $clocked = new_cluster("epoch$preload", preload => $preload, clock => 1, conf => 'timeshard.node_id = 1');
    for my $case (
        [ '4102444800000', '+0', qr/clock is before the epoch\n.*timeshard.custom_epoch is 2100-01-01.*\n.*Set the server's clock/ ],
        [ '253402300799999', '+0', qr/clock is before the epoch\n/ ],
        [ '0', '@2045-01-01 00:00:00', qr/the 41 bits of the timestamp are used up\n.*IDs ended at 2039-09-07.*\n.*custom_epoch helps only/ ])
    {
        my ($epoch, $clock, $error) = @$case;
        $clocked->append_conf('postgresql.conf', "timezone = 'UTC'\ntimeshard.custom_epoch = $epoch");
        set_clock($clocked, $clock);
        restart_with_env($clocked);
        ($node, my $kept) = ($clocked, $node);
        my ($out, $first, $second) = two_calls();
        is($out, "second\nalive", "$mode, epoch $epoch: no ID, and the session goes on");
        like($_, qr/ERROR: +55000: +$error/, "$mode, epoch $epoch: each call says why") for $first, $second;
        is($clocked->safe_psql('postgres', 'SELECT clock_refusals FROM timeshard_stats()'), 2,
            "$mode, epoch $epoch: each refusal counts");
        is((two_calls("SELECT datetime FROM timeshard_parse(0)"))[0] =~ /^(1970|2100|9999)/ ? 'parsed' : 'not', 'parsed',
            "$mode, epoch $epoch: parsing goes on");
        $node = $kept;
    }
    $clocked->stop;
}

done_testing();
