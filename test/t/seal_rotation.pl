# A new key takes over without breaking a link: two to four keys, in sessions that go on
# through every reload, and with sessions that seal and open all the while.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SealKeys;
use Test::More;
use Timeshard;
use TimeshardSession;

my $node = seal_cluster('rotation', [0]);
my $session = TimeshardSession->new($node);
my $seal = "SELECT timeshard_seal(4711, 'video')";

sub open_of { my ($code) = @_; return "SELECT timeshard_open('$code', 'video')" }

# Replaces the file, reloads, and has the old session notice.
sub keys_become
{
    my (@numbers) = @_;
    write_key_file($node->{key_file}, join '', map { key_line($_) } @numbers);
    my $before = $session->ask_ok('SELECT pg_conf_load_time()');
    reload_and_wait($node);
    return eventually(sub { $session->ask_ok('SELECT pg_conf_load_time()') ne $before });
}

# Without a reload, a session keeps its keys.
my %code = (0 => $session->ask_ok($seal));
like($code{0}, qr/^[0-7]/, 'the first character tells the key: 0');
write_key_file($node->{key_file}, key_line(1));
is($session->ask_ok($seal), $code{0}, 'no reload: the session keeps its key');
like($node->safe_psql('postgres', $seal), qr/^[89A-F]/, 'and a new one reads the file');

# Two to four keys: add the new one behind, then put it first, at last drop the old.
for my $new (1, 2, 3)
{
    my @before = reverse 0 .. $new - 1;
    keys_become(@before, $new);
    is($session->ask_ok($seal), $code{ $new - 1 }, "$new added: the first still seals");
    keys_become($new, @before);
    $code{$new} = $session->ask_ok($seal);
    is($node->safe_psql('postgres', $seal), $code{$new}, "$new first: old and new sessions seal alike");
    is($session->ask_ok(open_of($code{$_})), 4711, "the code of key $_ opens, $new first") for 0 .. $new;
}
is(scalar(keys %{ { map { $_ => 1 } values %code } }), 4, 'each key has codes of its own');
keys_become(3, 2, 1);
my (undef, $err) = $session->ask(open_of($code{0}));
like($err, qr/22P02: invalid public code: "\Q@{[ $code{0} ]}\E"\nDETAIL: +The key file has no key 0\./, 'a key that is gone opens no more');
is($session->ask_ok(open_of($code{1})), 4711, 'the others do');

# Number 0 can be used again, for another key.
write_key_file($node->{key_file}, key_line(3) . '0 ' . 'ab' x 32 . "\n");
reload_and_wait($node);
isnt($node->safe_psql('postgres', open_of($code{0})), 4711, 'the number again with another key: its old codes give other IDs');

# A reload in a transaction is seen after it at the latest, and one of a bad file leaves
# the session usable.
keys_become(2);
$session->ask_ok('BEGIN');
my $in_transaction = $session->ask_ok($seal);
write_key_file($node->{key_file}, "2 bad\n");
reload_and_wait($node);
eventually(sub {
    $session->ask('SAVEPOINT s');
    (undef, $err) = $session->ask($seal);
    $session->ask('ROLLBACK TO s');
    return $err ne '';
});
like($err, qr/F0000: invalid key file/, 'a bad file: an error');
$session->ask('ROLLBACK');
keys_become(2);
is($session->ask_ok($seal), $in_transaction, 'a good one again: the session goes on');

# Four sessions seal, and open in a later statement, while the keys change as the manual
# says. An old key stays for two more changes.
keys_become(0);
my $script = <<'SQL';
\set id random(1, 9000000000000000000)
SELECT timeshard_seal(:id, 'video') AS code \gset
SELECT 1 / (timeshard_open(':code', 'video') = :id)::integer AS same \gset
SQL
my $bench = IPC::Run::start(
    [ 'pgbench', '-n', '-c', 4, '-T', 10, '-h', $node->host, '-p', $node->port, '-f', write_script($script), 'postgres' ],
    '>', \my $out, '2>', \my $bench_err);
my $changes = 0;
for my $new (map { $_ % 4 } 1 .. 8)
{
    my ($old, $older) = (($new + 3) % 4, ($new + 2) % 4);
    keys_become(@$_) for [ $old, $older, $new ], [ $new, $old, $older ];
    $changes++;
}
$bench->finish;
is($bench_err =~ s/^pgbench \(.*\n//mgr, '', "four sessions, $changes changes of keys: no error");
like($out, qr/number of failed transactions: 0 /, 'and none failed');

sub write_script
{
    my ($text) = @_;
    my $path = $node->basedir . '/seal.pgbench';
    append_to_file($path, $text);
    return $path;
}

$session->finish;
$node->stop;
done_testing();
