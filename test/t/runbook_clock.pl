# doc/runbook.md, the clock: went back, was ahead, jumped, made a checkpoint while wrong.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Runbook;
use Test::More;
use Timeshard;
use TimeshardSession;

my $next = 'SELECT timeshard_next_id()';
my $node = new_cluster('clock', clock => 1, conf => "timeshard.node_id = 7\ncheckpoint_timeout = 1d\nautovacuum = off\n");
my $book = Runbook->new->at($node);

sub next_id
{
    return $node->safe_psql('postgres', $next);
}

sub refused
{
    my ($what, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return fails_with($node, $next, qr/ERROR:  55000: clock is \d+\.\d+ s behind \Q$what\E\n/, $name);
}

next_id();
set_clock($node, '-3600');
refused('the last ID', 'an hour back');
$book->ends_in('clock-back', 'works|t');

set_clock($node, '-5');
refused('the last ID', 'five seconds back');
my $start = monotonic();
$book->run('clock-back-seconds');
cmp_ok(monotonic() - $start, '>', 2, 'the call has waited');
set_clock($node, '+0');
$node->safe_psql('postgres', $_) for 'ALTER SYSTEM RESET timeshard.max_clock_wait', 'SELECT pg_reload_conf()';

set_clock($node, '-3600');
restart_with_env($node);
refused('what earlier runs of this server reserved', 'an hour back, after a restart');
$book->ends_in('clock-back', 'works|t');

# A checkpoint by a clock that was ahead, and no ID.
set_clock($node, '+3600');
$node->stop;
set_clock($node, '+0');
start_with_env($node);
refused(q(the server's last checkpoint), 'a checkpoint by a wrong clock');
$book->run('checkpoint');

# IDs by a clock that was an hour ahead.
set_clock($node, '+3600');
my $ahead = next_id();
set_clock($node, '+0');
refused('the last ID', 'was ahead');
$book->run('clock-ahead-number');
$book->run('clock-ahead');
cmp_ok(next_id(), '<', $ahead, 'until the clock gets there, IDs are smaller');
ok(-s $book->home . '/timeshard.mark.old', 'the old mark is kept');

# A jump past timeshard.max_clock_jump: wrong, or right at last.
set_clock($node, '+10d');
fails_with($node, $next, qr/ERROR:  55000: clock has jumped ahead by \d+\.\d+ s\n/, 'jumped');
$book->ends_in('clock-back', 'works|t');
$node->stop;
unlink $node->data_dir . '/timeshard.mark';
set_clock($node, '-10d');
start_with_env($node);
$node->safe_psql('postgres', 'CHECKPOINT');
next_id();
set_clock($node, '+0');
fails_with($node, $next, qr/ERROR:  55000: clock has jumped ahead by \d+\.\d+ s\n/, 'was behind, and is right');
$book->run('jump');

$book->finish;
$node->stop;
done_testing();
