# The settings of a claimant: what is missing or wrong is said at the start, a password
# is refused and stands in no log, and a reload leads to another registry.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use Claimants;
use FaultKit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;
use TimeshardSession;

my $next = 'SELECT node_id FROM timeshard_parse(timeshard_next_id())';
my $preload = "shared_preload_libraries = 'timeshard'";
my $node = new_cluster('settings', conf => 'timeshard.node_id = 5');
$node->stop;

# Another registry, by a reload.
sub set_registry
{
    my ($conninfo) = @_;
    $node->append_conf('postgresql.conf', "timeshard.registry = '$conninfo'");
    $node->reload;
    return;
}

for my $case (
    [ 'no registry', [], qr/timeshard\.registry must be set to claim a node ID/ ],
    [ 'a password', ["timeshard.registry = 'host=a password=sesame'"], qr/invalid value for parameter "timeshard\.registry"\n.*carries a password/ ],
    [ 'a password in a URI', ["timeshard.registry = 'postgresql://me:sesame\@a/b'"], qr/invalid value.*\n.*carries a password/ ],
    [ 'no range', [ "timeshard.registry = 'host=a'", "timeshard.registry_numbers = '9-1'" ],
        qr/invalid value for parameter "timeshard\.registry_numbers"\n.*a range such as 100-199/ ],
    [ 'a range past the layout', [ "timeshard.registry = 'host=a'", "timeshard.registry_numbers = '1000-1024'" ],
        qr/timeshard\.registry_numbers must be between 0 and 1023/ ])
{
    my ($name, $lines, $error) = @$case;
    configure($node, $preload, "timeshard.node_id = 'registry'", @$lines);
    my $offset = -s $node->logfile;
    ok(!start_with_env($node, __fail_ok => 1), "$name: the server does not start");
    my $log = substr(log_of($node), $offset);
    like($log, qr/FATAL: +$error/, "$name: and says why");
    unlike($log, qr/sesame/, "$name: no password in the log");
}

# Not preloaded.
configure($node, "timeshard.node_id = 'registry'", "timeshard.registry = 'host=a'");
start_with_env($node);
fails_with($node, $next, qr/ERROR:  55000: timeshard must be preloaded to claim a node ID\n.*HINT: .*shared_preload_libraries/s, 'not preloaded');
is($node->safe_psql('postgres', 'SELECT timeshard_time(1) < now()'), 't', 'not preloaded: reading goes on');

# A password that a reload brings.
my $registry = start_registry('registry');
configure($node, $preload, registry_settings($registry) =~ s/\n$//r);
restart_with_env($node);
is(await_claim($node), 100, 'the right settings claim');
my $offset = -s $node->logfile;
$node->append_conf('postgresql.conf', "timeshard.registry = 'host=a password=sesame'");
$node->reload;
$node->wait_for_log(qr/invalid value for parameter "timeshard\.registry"/, $offset);
unlike(log_of($node), qr/sesame/, 'a password brought by a reload stands in no log');
unlike($node->safe_psql('postgres', 'SHOW timeshard.registry'), qr/sesame/, 'and is not taken');

# Numbers that a reload brings: no range is not taken; with numbers past the layout the
# server could not start again.
$offset = -s $node->logfile;
$node->append_conf('postgresql.conf', "timeshard.registry_numbers = '9-1'");
$node->reload;
$node->wait_for_log(qr/invalid value for parameter "timeshard\.registry_numbers"/, $offset);
is($node->safe_psql('postgres', 'SHOW timeshard.registry_numbers'), '', 'no range: said in the log, and not taken');
$offset = -s $node->logfile;
$node->append_conf('postgresql.conf', "timeshard.registry_numbers = '1000-1024'");
$node->reload;
$node->wait_for_log(qr/WARNING: +timeshard\.registry_numbers must be between 0 and 1023\n.*DETAIL: .*\n.*HINT: .*next start/, $offset);
is($node->safe_psql('postgres', 'SELECT node_id FROM timeshard_claim_status()'), 100, 'a range past the layout: warned of, and the claim holds');

# A registry that a reload takes away is not looked for elsewhere. What is wrong can be
# shown in any database, also if it is cut within a character.
set_registry('');
ok(eventually(sub { registry_error($node) =~ /^timeshard\.registry is not set/ }), 'no registry any more: said as it is');
set_registry('host=/' . "\xc3\xbc" x 600 . ' dbname=x');
ok(eventually(sub { registry_error($node) =~ /\?\?/ }), 'an error that is cut within a character can be read');
is($node->safe_psql('postgres', "$next; SELECT length(registry_error) > 100 FROM timeshard_claim_status()"), "100\nt", 'the claim holds');

# Few workers: PostgreSQL's own launcher takes the first place, the one that claims the
# next. Without a place the error says so.
for my $workers (2, 1)
{
    configure($node, $preload, registry_settings($registry) =~ s/\n$//r, "max_worker_processes = $workers");
    restart_with_env($node);
    $workers > 1 ? like(await_claim($node), qr/^10\d$/, 'with two places it claims')
      : fails_with($node, $next, qr/55000: this server holds no claim.*\nDETAIL:  The worker that claims does not run\.\nHINT: .*max_worker_processes/, 'with one it does not run');
}
configure($node, $preload, registry_settings($registry) =~ s/\n$//r);
restart_with_env($node);
my $number = await_claim($node);

# A configured number in place of a claimed one, and back: pending until the restart.
configure($node, $preload, 'timeshard.node_id = 7');
reload_and_wait($node);
is($node->safe_psql('postgres', "$next; SELECT pending_restart FROM timeshard_config()"), "$number\nt", 'a configured number waits for the restart');
restart_with_env($node);
is($node->safe_psql('postgres', $next), 7, 'which takes it');
is($node->safe_psql('postgres', 'SELECT * FROM timeshard_claim_status()'), '||', 'then there is no claim to show');

# Nothing configured after a claimed number: the hint does not name that number.
configure($node, $preload, registry_settings($registry) =~ s/\n$//r);
restart_with_env($node);
like($node->safe_psql('postgres', $next), qr/^10\d$/, 'a claimed number again');
configure($node, $preload);
restart_with_env($node);
fails_with($node, $next, qr/ERROR:  F0000: the configured node ID has been lost\nDETAIL:  This server last claimed.*\nHINT:  Set timeshard.node_id to "registry"/,
    'a lost configuration is refused');

# The environment, with the password as in a container, and another registry: claims of
# the first one end at their end.
my $second = start_registry('second', numbers => '[300,310]');
$second->safe_psql('postgres', "CREATE ROLE ids LOGIN PASSWORD 'sesame';
    GRANT EXECUTE ON FUNCTION timeshard_claim, timeshard_extend_claim, timeshard_end_claim, timeshard_is_claimed TO ids");
my $rules = slurp_file($second->data_dir . '/pg_hba.conf');
unlink $second->data_dir . '/pg_hba.conf';
append_to_file($second->data_dir . '/pg_hba.conf', "local postgres ids scram-sha-256\n$rules");
$second->reload;
configure($node, $preload);
my %environment = (TIMESHARD_NODE_ID => 'registry', TIMESHARD_REGISTRY_NUMBERS => '305-306',
    TIMESHARD_REGISTRY => 'host=' . $second->host . ' port=' . $second->port . ' dbname=postgres user=ids');
restart_with_env($node, %environment);
ok(eventually(sub { registry_error($node) =~ /no password supplied/ }), 'a registry that asks for a password');
restart_with_env($node, %environment, PGPASSWORD => 'sesame');
is(await_claim($node), 305, 'the environment serves as well, for the password too');
$node->append_conf('postgresql.conf', registry_settings($registry) =~ s/.*\n//r);
$node->reload;
ok(eventually(sub { registry_error($node) =~ /proof was not signed by this registry/ }), 'another registry, brought by a reload, does not extend the claim');
is($node->safe_psql('postgres', $next), 305, 'which holds until its end');
$_->stop for $node, $registry, $second;
done_testing();
