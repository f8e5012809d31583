# doc/distributed.md: its one command numbers real servers, by a list of them in place
# of Citus's, and refuses where a server does not preload; test/citus.sh runs every block
# that takes Citus; in a simulated fleet, everything holds.
use strict;
use warnings FATAL => 'all';

use File::Spec;
use FindBin;
use lib "$FindBin::RealBin/../lib";

use IPC::Run;
use Manual qw(read_text blocks_of needs_citus);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

my $root = File::Spec->rel2abs("$FindBin::RealBin/../..");
my @blocks = grep { needs_citus($_) } blocks_of(read_text("$root/doc/distributed.md"));
my %block = map { $_->{info} =~ /^citus (\S+)$/ ? ($1 => $_->{text}) : () } @blocks;
is(scalar keys %block, scalar @blocks, 'every block that takes Citus has a name of its own');

# By the page's command, as it stands.
my %server = map { $_ => new_cluster($_, preload => 1, create => 0) } qw(coordinator worker_a worker_b);
my $coordinator = $server{coordinator};
my %group = (coordinator => 0, worker_a => 1, worker_b => 2);

# A server that does not preload, first listed as a standby.
my $plain = new_cluster('plain', derived => 1, create => 0);
sub list
{
    my %role = @_;
    $coordinator->safe_psql('postgres', 'DROP TABLE IF EXISTS pg_dist_node CASCADE;
        CREATE TABLE public.pg_dist_node (nodename text, nodeport integer, groupid integer, noderole text)');
    my %listed = (%server, plain => $plain);
    $coordinator->safe_psql('postgres', sprintf "INSERT INTO pg_dist_node VALUES ('%s', %d, %d, '%s')",
        $listed{$_}->host, $listed{$_}->port, $group{$_} // 9, $role{$_}) for sort keys %role;
    return;
}

list((map { $_ => 'primary' } keys %server), plain => 'secondary');
my $answer = $coordinator->safe_psql('postgres', $block{numbers});
is_deeply([ sort map { (split /\|/)[2] } split /\n/, $answer ], [ ('ALTER SYSTEM') x 3 ], 'the command sets each server\'s number')
  or diag($answer);
for my $name (sort keys %server)
{
    my $node = $server{$name};
    restart_with_env($node);
    is($node->safe_psql('postgres', 'CREATE EXTENSION timeshard; SELECT node_id, node_id_source, pending_restart FROM timeshard_config()'),
        10 + $group{$name} . '|configuration|f', "$name has it after a restart");
}
is($plain->safe_psql('postgres', "LOAD 'timeshard'; SHOW timeshard.node_id"), '-1', 'who is no primary is left alone');

my @numbers = map { $server{$_}->safe_psql('postgres', 'SELECT (timeshard_parse(timeshard_next_id())).node_id') } qw(coordinator worker_a worker_b);
is("@numbers", '10 11 12', 'and the IDs carry it');

SKIP:
{
    skip 'PostgreSQL from 17 sets names that it does not know', 2 if $server_major >= 17;
    list(plain => 'primary');
    my ($status, $out, $err) = $coordinator->psql('postgres', $block{numbers});
    like($err, qr/unrecognized configuration parameter "timeshard.node_id"/, 'a server that does not preload refuses, by name');
    is($plain->safe_psql('postgres', "LOAD 'timeshard'; SHOW timeshard.node_id"), '-1', 'and is as it was');
}
$_->stop for values %server, $plain;

my $text = read_text("$root/test/citus.sh");
my %run = map { $_ => 1 } $text =~ /^\s*(?:\w+=\$\()?block (\w+)/gm;
is(join(' ', sort keys %run), join(' ', sort keys %block), 'test/citus.sh runs every block of the page that takes Citus, and no other');

# A short run of the simulated fleets.
my $build = PostgreSQL::Test::Utils::tempdir();
delete @ENV{qw(MAKEFLAGS MAKELEVEL MFLAGS)};
my $out = '';
my $ran = IPC::Run::run([ 'make', '-C', "$FindBin::RealBin/../fleet", "BUILD=$build", 'IDS=1000000', 'BOUND_MS=5', 'SEED=7' ], '>&', \$out);
ok($ran, 'make fleet') or diag($out);
like($out, qr/^IDs +1\d{6}$/m, 'of as many IDs');
like($out, qr/^clocks wrong by at most, either way +5\.000 ms$/m, 'with such clocks');
is(scalar(() = $out =~ /^Everything holds\.$/mg), 2, 'in which everything holds, with configured and with claimed numbers');

done_testing();
