# The identity changed across a restart, or asked to change by a reload: the epoch,
# the node bits, the node ID and where it comes from. Writers take IDs before and
# after, and through it where nothing may change.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use FaultKit;
use MarkFile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;
use TimeshardSession;

my $next = 'SELECT timeshard_next_id()';
my $change = 'SELECT * FROM timeshard_layout_change()';
my $epoch = $MarkFile::epoch;
my $node;
my @sets;
my %seen;

sub new_log
{
    my $log = substr(slurp_file($node->logfile), $seen{ $node->name } // 0);
    $seen{ $node->name } += length $log;
    return $log;
}

sub add_settings
{
    my (@settings) = @_;
    $node->append_conf('postgresql.conf', join "\n", @settings);
    return;
}

sub restart_as
{
    my (@settings) = @_;
    $node->stop;
    add_settings(@settings);
    start_with_env($node);
    new_log();
    return;
}

# Some IDs of several sessions; how many calls of them, and what of the layout.
sub take_ids
{
    my ($name) = @_;
    my $writers = start_writers($node, count => 3, pause => 500);
    $writers->stop;
    push @sets, $writers;
    my $figures = read_logs([ map { $_->logs } @sets ]);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_deeply($figures->{violations}, {}, "$name: nothing repeats, order holds");
    return read_logs([ $writers->logs ]);
}

# All IDs in the logs of these writers parse to this node, and a time of the run.
sub parse_to
{
    my ($figures, $sets, $bits, $of_epoch, $node_id, $name) = @_;
    my @ids = map { (split / /)[ 5 .. (() = / /g) ] } grep { /^I / } map { split /\n/, slurp_file($_) } map { $_->logs } @$sets;
    my $list = join ',', @ids;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is($node->safe_psql('postgres',
        "SELECT count(*), min(p.node_id), max(p.node_id), min(p.datetime) > now() - interval '10 min', max(p.datetime) <= now() + interval '1 ms'
         FROM unnest('{$list}'::bigint[]) i, timeshard_parse(i, $bits, $of_epoch) p"),
        @ids . "|$node_id|$node_id|t|t", "$name: node and time are right in each of " . @ids . ' IDs');
}

$node = fault_cluster('layout', shim => 0, conf => "timeshard.node_id = 5\ntimezone = 'UTC'\n");
my $first = take_ids('at first');
is($node->safe_psql('postgres', $change), '||', 'at first: no change of layout is known');

# The epoch moved forward: refused, whichever calls, until it is moved back.
for my $case ([ 'one day', 86_400_000 ], [ 'one minute', 60_000 ])
{
    my ($by, $ms) = @$case;
    my $name = injected("the epoch moved forward by $by");
    my $end = mark_of($node)->{end};
    my $bytes = mark_bytes($node);
    restart_as('timeshard.custom_epoch = ' . ($epoch + $ms));
    fails_with($node, $next, qr/ERROR:  55000: the epoch has been moved forward, and IDs would repeat\nDETAIL:  .*\nHINT:  Set timeshard\.custom_epoch back to $epoch and restart the server\./,
        "$name: refused");
    is(mark_bytes($node), $bytes, "$name: nothing is written");
    restart_as("timeshard.custom_epoch = $epoch");
    take_ids("$name, and back");
    is($node->safe_psql('postgres', $change), '||', "$name, and back: no change of layout");
    unlike(new_log(), qr/layout has changed/, "$name, and back: nor in the log");
}
my $name = injected('the epoch moved past the clock');
restart_as('timeshard.custom_epoch = ' . (time + 86400) . '000');
fails_with($node, $next, qr/ERROR:  55000: clock is before the epoch/, "$name: refused");
restart_as("timeshard.custom_epoch = $epoch");
take_ids("$name, and back");

# Moved back: no trouble, but IDs of before parse by the epoch of before.
my @old = @sets;
my $greatest = read_logs([ map { $_->logs } @old ])->{greatest};
my $earlier = $epoch - 365 * 86_400_000;
$name = injected('the epoch moved back');
my $end = mark_of($node)->{end};
restart_as("timeshard.custom_epoch = $earlier");
# By the floor it is told which IDs are new, not by when the first was made.
$node->poll_query_until('postgres', "SELECT clock_timestamp() > to_timestamp(($epoch + $end) / 1000.0) + interval '2 s'") or die 'time stands still';
my $moved = take_ids($name);
my ($since, $bits, $previous) = split /\|/, $node->safe_psql('postgres', $change);
is("$bits $previous", "10 $epoch", "$name: the layout of before is remembered");
cmp_ok($since, '>', $greatest, "$name: from which ID on: above all of before");
cmp_ok(($since >> 22) + 500, '<', $moved->{least} >> 22, "$name: and by the floor, well below those after, which came later");
my $log = new_log();
is(scalar(() = $log =~ /LOG: +timeshard's layout has changed from 41-10-12, epoch $epoch, to 41-10-12, epoch $earlier\n.*DETAIL: +The new layout applies from ID $since on/g),
    1, "$name: logged once");
parse_to($first, \@old, 10, $epoch, 5, "$name, IDs of before");
parse_to($moved, [ $sets[-1] ], 10, $earlier, 5, "$name, IDs after");

# And forward again, to where it was: now that is a move forward.
restart_as("timeshard.custom_epoch = $epoch");
fails_with($node, $next, qr/ERROR:  55000: the epoch has been moved forward.*Set timeshard\.custom_epoch back to $earlier/s,
    "$name, then forward: refused");
is($node->safe_psql('postgres', $change), "$since|10|$epoch", "$name, then forward: the change is still known");
restart_as("timeshard.custom_epoch = $earlier");
take_ids("$name, then forward, then back");
is($node->safe_psql('postgres', $change), "$since|10|$epoch", "$name, then forward, then back: it is as it was");

# Node bits, twice; the last change counts. A crash right after the first ID.
for my $to (4, 16)
{
    my $from = $to == 4 ? 10 : 4;
    $name = injected("node bits from $from to $to");
    my @before = ($sets[-1]);
    my $greatest = read_logs([ map { $_->logs } @sets ])->{greatest};
    $node->stop;
    add_settings("timeshard.node_id_bits = $to", 'timeshard.node_id = ' . ($to == 4 ? 5 : 60000));
    new_log();
    start_with_env($node);
    my $id = $node->safe_psql('postgres', $next);
    kill9_all($node);
    restart_now($node);
    my $known = $node->safe_psql('postgres', $change);
    my $after = take_ids($name);
    my ($since, $bits, $previous) = split /\|/, $node->safe_psql('postgres', $change);
    is($known, "$since|$bits|$previous", "$name: known after a crash, before an ID");
    is("$bits $previous", "$from $earlier", "$name: the layout of before is remembered");
    cmp_ok($since, '>', $greatest, "$name: from which ID on: above all of before");
    cmp_ok($since, '<=', $id, "$name: and not above those after");
    my $log = new_log();
    is(scalar(() = $log =~ /layout has changed from 41-$from-@{[ 22 - $from ]}, .*, to 41-$to-@{[ 22 - $to ]}, /g), 1,
        "$name: logged once, with a crash between");
    parse_to($after, \@before, $from, $earlier, 5, "$name, IDs of before");
    parse_to($after, [ $sets[-1] ], $to, $earlier, $to == 4 ? 5 : 60000, "$name, IDs after");
    is(scalar(() = $log =~ /timeshard's node ID has changed from 5 to 60000/g), $to == 4 ? 0 : 1, "$name: the node ID's change is logged");
}

# Another number across a restart, and asked for by a reload under load.
$name = injected('node ID changed across a restart');
restart_as('timeshard.node_id = 7');
take_ids($name);
$log = new_log();
is(scalar(() = $log =~ /LOG: +timeshard's node ID has changed from 60000 to 7\n/g), 1, "$name: logged once");
unlike($log, qr/layout has changed|WARNING/, "$name: and nothing else");

$name = injected('another identity asked for by a reload under load');
my $writers = start_writers($node, count => 4);
push @sets, $writers;
add_settings('timeshard.node_id = 9', 'timeshard.node_id_bits = 12', "timeshard.custom_epoch = $epoch");
$node->reload;
ok($node->poll_query_until('postgres', "SELECT pending_restart FROM timeshard_config()"), "$name: shown as pending");
ok($writers->await_progress, "$name: all sessions are served");
is($node->safe_psql('postgres', 'SELECT node_id, node_id_bits, custom_epoch FROM timeshard_config()'), "7|16|$earlier",
    "$name: not in force");
is($node->safe_psql('postgres', 'SELECT node_id FROM timeshard_parse(timeshard_next_id())'), 7, "$name: nor in new sessions");
$writers->stop;
parse_to(undef, [$writers], 16, $earlier, 7, $name);
is_deeply(read_logs([ map { $_->logs } @sets ])->{violations}, {}, "$name: nothing repeats, order holds");

# A crash of a backend keeps the identity, and a smaller step of the epoch than the
# time that goes by needs no refusal.
$name = injected('and still pending after a crash of a backend');
$writers = start_writers($node, count => 4);
push @sets, $writers;
add_settings("timeshard.custom_epoch = $earlier");
$node->reload;
kill9_backend($node);
ok($writers->await_progress, "$name: all sessions are served");
is($node->safe_psql('postgres', 'SELECT node_id, node_id_bits, pending_restart FROM timeshard_config()'), '7|16|t', "$name: not in force");
take_ids($name);
parse_to(undef, [ $sets[-1] ], 16, $earlier, 7, $name);
$writers->stop;

$name = injected('and in force after a restart');
restart_as();
take_ids($name);
parse_to(undef, [ $sets[-1] ], 12, $earlier, 9, $name);

$name = injected('the epoch moved forward by 300 ms');
restart_as('timeshard.custom_epoch = ' . ($earlier + 300));
take_ids($name);
like($node->safe_psql('postgres', $change), qr/^\d+\|12\|$earlier$/, "$name: the layout of before is remembered");
parse_to(undef, [ $sets[-1] ], 12, $earlier + 300, 9, $name);
check_ids($node, @sets, { name => 'all of it' });
$node->stop;

# A number that was configured, and is lost; one that comes after an address's.
for my $preload (0, 1)
{
    for my $by ('configuration', 'environment')
    {
        my $mode = ($preload ? 'preloaded' : 'lazy') . ", $by";
        my @configured = $by eq 'configuration' ? ('timeshard.node_id = 17') : ();
        my %env = $by eq 'environment' ? (TIMESHARD_NODE_ID => 17) : ();
        $node = fault_cluster(($preload ? 'preloaded_' : 'lazy_') . $by, shim => 0, derived => 1, preload => $preload,
            conf => "timezone = 'UTC'\n");
        @sets = ();

        take_ids("$mode: derived at first");
        my $derived = $node->safe_psql('postgres', 'SELECT node_id FROM timeshard_config()');
        $name = injected("$mode: configured after derived");
        $node->stop;
        add_settings(@configured);
        start_with_env($node, %env);
        take_ids($name);
        is($node->safe_psql('postgres', 'SELECT node_id, node_id_source FROM timeshard_config()'), "17|$by", "$name: in force");
        like(new_log(), qr/timeshard's node ID has changed from $derived to 17\n/, "$name: logged");

        $name = injected("$mode: derived after configured");
        $node->stop('immediate');
        add_settings('timeshard.node_id = -1') if @configured;
        start_with_env($node);
        my $bytes = mark_bytes($node);
        for my $asked (1 .. 2)
        {
            fails_with($node, $next,
                qr/ERROR:  F0000: the configured node ID has been lost\nDETAIL:  This server last issued IDs as node 17, .*its address would give $derived\.\nHINT:  Set timeshard\.node_id to 17, /,
                "$name: refused");
            restart_with_env($node) if $asked == 1;
        }
        is(mark_bytes($node), $bytes, "$name: nothing is written");
        is($node->safe_psql('postgres', 'SELECT node_id FROM timeshard_parse(' . (17 << 12) . ')'), 17, "$name: parsing goes on");
        $node->stop;
        add_settings('timeshard.node_id = 17') if @configured;
        start_with_env($node, %env);
        take_ids("$name, given back");
        parse_to(undef, [ $sets[-1] ], 10, $epoch, 17, "$name, given back");
        $node->stop;
    }
}
report_figures();
done_testing();
