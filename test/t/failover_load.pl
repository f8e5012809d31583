# doc/high-availability.md under load: clients that know all three members and want
# the one that can be written to, while primaries are killed, standbys promoted and
# old primaries rewound, one after the other. With one node ID: no ID repeats, order
# holds from the first call to the last, and nothing is lost that was committed with
# a synchronous standby; also when the new primary's clock is behind. Then with a
# number for each.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use FaultKit;
use File::Copy qw(copy);
use PostgreSQL::Test::Utils;
use Standbys;
use Test::More;
use Timeshard;
use TimeshardSession;

my @members = qw(db1 db2 db3);
my %node = (db1 => new_primary('db1', clock => 1, preload => 1,
    conf => "wal_log_hints = on\nwal_keep_size = '1GB'\nwal_retrieve_retry_interval = '200ms'\n"));
my $primary = 'db1';
$node{db1}->backup('base', backup_options => ['--checkpoint=fast']);
$node{$_} = new_standby($node{db1}, $_, backup => 'base', preload => 1, clock => '+0') for qw(db2 db3);
$_->append_conf('postgresql.conf', "synchronous_standby_names = 'ANY 1 (db1, db2, db3)'\n") for values %node;
$_->reload for values %node;

my $clients = sprintf 'host=%s port=%s dbname=postgres target_session_attrs=read-write',
  map { my $what = $_; join ',', map { $node{$_}->$what } @members } qw(host port);

sub await_standbys
{
    my ($number) = @_;
    $node{$primary}->poll_query_until('postgres',
        "SELECT count(DISTINCT application_name) = $number FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = 'quorum'")
      or die "the standbys do not follow $primary";
    return;
}

# The standby that has more, once nothing more can come, and all of it is replayed.
sub furthest
{
    my (@standbys) = @_;
    my %has;
    for my $name (@standbys)
    {
        $node{$name}->poll_query_until('postgres', q(SELECT wait_event IN ('RecoveryWalStream', 'RecoveryRetrieveRetryInterval')
              AND NOT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')
            FROM pg_stat_activity WHERE backend_type = 'startup')) or die "$name still receives";
        $has{$name} = $node{$name}->safe_psql('postgres', q(SELECT greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0'));
    }
    return sort { $has{$b} <=> $has{$a} } @standbys;
}

# The primary dies; the standby that has more takes over, the other follows it, and
# the clients go on. Then the old primary is rewound, and follows too. With
# restart => 1 one standby stops before that, and both are started when it is dead.
sub fail_over
{
    my ($name, $writers, %options) = @_;
    await_standbys(2);
    $writers->await_progress or die 'the clients do not get on';
    my $old = $primary;
    my ($behind, $ahead) = my @standbys = grep { $_ ne $old } @members;
    if ($options{restart})
    {
        $node{$behind}->stop('immediate');
        $writers->await_progress or die "the clients do not get on without $behind";
    }
    injected("$name: $old is killed");
    kill9_all($node{$old});
    if ($options{restart})
    {
        $node{$ahead}->stop('immediate');
        restart_now($node{$_}) for @standbys;
    }
    my $follower;
    ($primary, $follower) = furthest(@standbys);
    is($primary, $ahead, "$name: $ahead has more") if $options{restart};
    $node{$primary}->promote;
    $node{$follower}->enable_streaming($node{$primary});
    $node{$follower}->reload;
    ok($writers->await_progress, "$name: the clients go on, on $primary");
    await_standbys(1);

    $node{$primary}->safe_psql('postgres', 'CHECKPOINT');
    my $dir = $node{$old}->data_dir;
    unlink "$dir/postmaster.pid";    # the process that it names may be waiting to be reaped
    copy("$dir/postgresql.conf", $node{$old}->basedir) or die "cannot copy: $!";
    command_ok([ 'pg_rewind', '--no-sync', '--source-server', $node{$primary}->connstr('postgres'), '--target-pgdata', $dir ],
        "$name: $old is rewound");
    copy($node{$old}->basedir . '/postgresql.conf', $dir) or die "cannot copy: $!";
    $node{$old}->enable_streaming($node{$primary});
    restart_now($node{$old});
    await_standbys(2);
    return;
}

# All members have the same rows.
sub all_agree
{
    my ($name) = @_;
    await_replay($node{$primary}, @node{ grep { $_ ne $primary } @members });
    my %sum = map { $_ => 1 }
      map { $_->safe_psql('postgres', q(SELECT count(*), md5(string_agg(id::text, ',' ORDER BY id)) FROM fault_rows)) } values %node;
    is(scalar keys %sum, 1, "$name: all members have the same rows");
    return;
}

await_standbys(2);
my @all = start_writers($node{db1}, conninfo => $clients, pause => 2000);
fail_over('clocks agree', $all[0]);
fail_over('clocks agree, again', $all[0], restart => 1);
check_ids($node{$primary}, @all, { name => 'clocks agree' });
all_agree('clocks agree');

# By a clock that is behind, IDs that were returned and not committed could come
# again: here every ID that a client gets is committed.
push @all, start_writers($node{$primary}, conninfo => $clients, pause => 2000, kinds => [qw(rows row)]);
set_clock($node{$_}, '-2s') for grep { $_ ne $primary } @members;
fail_over('the new clock is behind', $all[1]);
set_clock($_, '+0') for values %node;
ok($all[1]->await_progress, 'the new clock is behind: and on, once it is right');
check_ids($node{$primary}, @all, { name => 'the new clock is behind' });
ok((grep { /clock is \S+ s behind the last commit that was replayed/ } $all[1]->errors), "the new clock is behind: calls were refused until it had passed what was replayed");
all_agree('the new clock is behind');

# From now on each has its own.
my %number = (db1 => 11, db2 => 12, db3 => 13);
$node{$_}->stop for $primary, grep { $_ ne $primary } @members;
$node{$_}->append_conf('postgresql.conf', "timeshard.node_id = $number{$_}\n") for @members;
start_with_env($node{$_}) for $primary, grep { $_ ne $primary } @members;
await_standbys(2);
my @primaries = $primary;
push @all, start_writers($node{$primary}, conninfo => $clients, pause => 2000);
fail_over('a number for each', $all[2]);
push @primaries, $primary;
check_ids($node{$primary}, @all, { name => 'a number for each' });
all_agree('a number for each');
is($node{$primary}->safe_psql('postgres', q(SELECT string_agg(DISTINCT (timeshard_parse(id)).node_id::text, ' ') FROM fault_rows)),
    join(' ', sort(map({ $number{$_} } @primaries), 7)), 'a number for each: the rows say who has been primary');

report_figures();
$_->stop('immediate') for values %node;
done_testing();
