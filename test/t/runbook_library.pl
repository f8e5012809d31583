# doc/runbook.md, the library: gone from a running and a preloaded server, and an older
# one than the mark is of.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use Libraries qw(installed_library install_library private_server build_newer_mark);
use MarkFile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Runbook;
use Test::More;
use Timeshard;

my $next = 'SELECT timeshard_next_id()';
my ($server, $library) = private_server();
my $node = new_cluster('library', install_path => $server, conf => "timeshard.node_id = 7\n");
my $book = Runbook->new->at($node);
$node->safe_psql('postgres', 'CREATE TABLE orders (id bigint PRIMARY KEY DEFAULT timeshard_next_id()); INSERT INTO orders DEFAULT VALUES');

# The operator's sources, which install this library.
sub sources_of
{
    my ($file) = @_;
    mkdir $book->home . '/timeshard';
    open my $out, '>', $book->home . '/timeshard/Makefile' or die "cannot write: $!";
    print $out "install:\n\t\@cp '$file' '$library.new' && mv '$library.new' '$library'\n";
    close $out or die "cannot write: $!";
    return;
}

sources_of(installed_library());
unlink $library or die "cannot remove $library: $!";
my $missing = qr{could not access file "(?:\$libdir/)?timeshard": No such file or directory};
fails_with($node, $next, $missing, 'gone');
$book->ends_in('missing', 'works|t');

# Preloaded: the server does not start.
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'timeshard'");
restart_with_env($node);
unlink $library or die "cannot remove $library: $!";
$node->stop;
my $log = -s $node->logfile;
ok(!start_with_env($node, __fail_ok => 1), 'gone, and preloaded: does not start');
like(slurp_file($node->logfile, $log), qr/FATAL: +could not access file "timeshard"/, 'as the log says');
$book->run('missing-start');
fails_with($node, $next, $missing, 'started without: no IDs');
$book->run('missing-undo');
$book->ends_in('missing', 'works|t');
is($node->safe_psql('postgres', 'SELECT preloaded FROM timeshard_config()'), 't', 'preloaded again');

# A newer version made IDs, then the older one was installed.
my $newer = build_newer_mark();
install_library($newer, $library);
restart_with_env($node);
my $last = $node->safe_psql('postgres', $next);
$node->stop;
install_library(installed_library(), $library);
start_with_env($node);
my $refused = qr/ERROR:  55000: file "timeshard.mark" was written by a newer version of timeshard\nDETAIL:  .*\nHINT:  Install that version/;
fails_with($node, $next, $refused, 'downgraded');
my $mark = mark_bytes($node);
like($book->try('raise-floor'), qr/was written by a newer version of timeshard/, 'downgraded: the floor cannot be raised');
is(mark_bytes($node), $mark, 'downgraded: nothing is overwritten');
sources_of($newer);
$book->ends_in('newer', 'works|t');
cmp_ok($node->safe_psql('postgres', $next), '>', $last, 'the newer version goes on above');

# To stay with the older one.
$last = $node->safe_psql('postgres', 'INSERT INTO orders DEFAULT VALUES RETURNING id');
$node->stop;
install_library(installed_library(), $library);
start_with_env($node);
fails_with($node, $next, $refused, 'downgraded again');
$book->run('newer-stay');
ok(-s $book->home . '/timeshard.mark.newer', 'the file is kept');
$book->ends_in('raise-floor', 'works|t');
cmp_ok($node->safe_psql('postgres', $next), '>', $last, 'the older version goes on above');

$book->finish;
$node->stop;
done_testing();
