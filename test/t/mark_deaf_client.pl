# A client that does not read its errors keeps nobody from an ID. An error is sent to
# the client before PostgreSQL releases the session's locks, so none may be raised while
# one of the extension's locks, or of the server's that it takes, is held.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";

use DeafClient;
use FaultKit;
use MarkShim;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;
use TimeshardSession;

$ENV{PGOPTIONS} = '-c statement_timeout=20s';    # a session that is kept out fails

# A statement whose error is too long for a socket's buffers: the text is its context.
my $call = q{DO $do$ BEGIN EXECUTE 'SELECT timeshard_next_id() /* ' || repeat('x', 4000000) || ' */'; END $do$};

my $node = fault_cluster('deaf', conf => "max_files_per_process = 64\ncheckpoint_timeout = 1h\n");
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE one (line text) SERVER files OPTIONS (filename '/etc/passwd');
CREATE ROLE reader LOGIN;
GRANT SELECT ON one TO reader;
SQL

# A client of the role that may read one table, and has opened as many files as one
# session can.
sub client_out_of_files
{
    my $client = DeafClient->new($node, 'reader');
    $client->ask_ok('BEGIN');
    $client->ask_ok('SAVEPOINT a');
    my $open = 0;
    while ($open < 100)
    {
        $client->send("SAVEPOINT b; DECLARE c$open CURSOR FOR SELECT * FROM one; FETCH c$open");
        my $error = $client->read_until_ready;
        if ($error)
        {
            like($error, qr/exceeded maxAllocatedDescs/, 'the client has no file descriptor left');
            $client->ask_ok('ROLLBACK TO b');
            return $client;
        }
        $open++;
    }
    die 'the server gives a session more files than it has';
}

# What the client's call waits for, once it does or has ended; empty before.
sub wait_event
{
    my ($client) = @_;
    my $pid = $client->pid;
    return $node->safe_psql('postgres', "SELECT wait_event FROM pg_stat_activity WHERE pid = $pid AND query LIKE 'DO %'");
}

# The client's call, whose answer it does not read: waits until it has failed, or is done.
sub call_and_do_not_read
{
    my ($client) = @_;
    $client->send($call);
    return eventually(sub { wait_event($client) =~ /^Client/ });
}

# Others get IDs, also past what has been reserved, and the server makes its checkpoints.
sub others_go_on
{
    my ($client, $name) = @_;
    for my $call (1 .. 3)
    {
        my ($rc, undef, $err) = $node->psql('postgres', 'SELECT timeshard_next_id()');
        ok($rc == 0, "$name: another session gets ID $call") or diag $err;
        await_end_of_reservation();
    }
    my ($rc, undef, $err) = $node->psql('postgres', 'CHECKPOINT');
    ok($rc == 0, "$name: and a checkpoint is made") or diag $err;
    $client->close;
    return;
}

# The next call has to extend the reservation.
sub await_end_of_reservation
{
    return eventually(sub {
        $node->safe_psql('postgres', 'SELECT clock_timestamp() > reserved_until FROM timeshard_stats()') eq 't';
    });
}

my $out_of_files = client_out_of_files();
$node->safe_psql('postgres', 'SELECT timeshard_next_id()');
await_end_of_reservation();
ok(call_and_do_not_read($out_of_files), 'no descriptor left: the call has ended, or its error waits for the client');
others_go_on($out_of_files, 'no descriptor left');

restart_with_env($node);
my $first = client_out_of_files();
ok(call_and_do_not_read($first), 'no descriptor left at the first ID: the call has ended, or its error waits');
others_go_on($first, 'no descriptor left at the first ID');

await_end_of_reservation();
my $failing = DeafClient->new($node, 'reader');
shim($node, 'fail fdatasync EIO always');
ok(call_and_do_not_read($failing), 'a disk that fails: the error waits for the client');
is(wait_event($failing), 'ClientWrite', 'which does not read it');
shim_clear($node);
others_go_on($failing, 'a disk that fails');

done_testing();
