# The first ID of a server run needs no rights of its caller, not even to look at
# prepared transactions, and leaves the caller's as they are. Default privileges
# reach the functions that only superusers should call, and doc/clients.md finds them.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Clients;
use Timeshard;

for my $preload (0, 1)
{
    my $mode = $preload ? 'preloaded' : 'lazy';
    my $node = new_cluster("rights_$mode", preload => $preload,
        conf => "timeshard.node_id = 3\nmax_prepared_transactions = 5");
    $node->safe_psql('postgres', 'REVOKE EXECUTE ON FUNCTION pg_prepared_xact() FROM PUBLIC; CREATE ROLE nobody LOGIN;'
          . " SELECT timeshard_next_id(); BEGIN; CREATE TABLE prepared (); PREPARE TRANSACTION 'p'");
    restart_with_env($node);
    my ($rc, $out, $err) = $node->psql('postgres', 'SELECT timeshard_next_id() > 0, current_user; SELECT count(*) FROM pg_prepared_xact()',
        extra_params => [ '-U', 'nobody' ], on_error_stop => 0);
    is($out, 't|nobody', "$mode: the first ID, by a role that may do nothing else");
    like($err, qr/permission denied for function pg_prepared_xact/, "$mode: and has no more rights after it");
    $node->stop;
}

subtest 'default privileges' => sub {
    my $node = new_cluster('default_privileges', create => 0);
    my $who = snippet('who-may-raise') =~ s/;\s*\z/ ORDER BY p.proname/r;
    $node->safe_psql('postgres', 'CREATE ROLE app LOGIN; ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO app; CREATE EXTENSION timeshard');
    is($node->safe_psql('postgres', $who), "timeshard_accept_clock()|app\ntimeshard_raise_floor(bigint)|app", 'the page finds the role');
    is($node->safe_psql('postgres', 'SELECT timeshard_raise_floor(timeshard_next_id())', extra_params => [ '-U', 'app' ]), '',
        'which can raise the floor');
    my ($revoke) = Manual::read_text($Clients::page) =~ /`(REVOKE EXECUTE ON FUNCTION timeshard_raise_floor.*? FROM app)`/;
    $node->safe_psql('postgres', $revoke);
    is($node->safe_psql('postgres', $who), '', "after the page's REVOKE nobody is found");
    fails_with($node, 'SET ROLE app; SELECT timeshard_raise_floor(1)', qr/42501: permission denied/, 'nor can raise it');
    $node->stop;
};

done_testing();
