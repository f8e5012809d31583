# doc/high-availability.md, as it stands: a primary and two standbys with a node ID for
# each, promotion, the old primary rewound, a split brain made on purpose and the query
# that shows it, compared with what each line really has; rows taken over; and the
# same split brain with one number for the group. Failover under load is in
# failover_load.pl, taking over where it is hard in failover_take_over.pl.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use ManyServers;
use Manual qw(read_text blocks_of);
use MarkFile qw(mark_bytes);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Standbys qw(await_replay);
use Test::More;
use Timeshard;
use TimeshardSession;

# The tests' own name would stand for that of the cluster, as which a standby is known.
delete $ENV{PGAPPNAME};

# The first has the page's configuration and PostgreSQL's own, with nothing from the tests
# that replication could need. What is a member's own stands where the page has it: the
# name, and the port that only the tests need.
my $text = read_text("$FindBin::RealBin/../../doc/high-availability.md");
my ($conf, $own) = map { $_->{text} } grep { $_->{info} eq 'postgresql.conf' } blocks_of($text);
my ($include) = $text =~ m{`(include '/etc/postgresql/member\.conf')`};
my %node = map { $_ => PostgreSQL::Test::Cluster->new($_) } qw(db1 db2 db3);
my %number = (db1 => 11, db2 => 12, db3 => 13);
my $db1 = $node{db1};
$db1->init(extra => [ $server_major < 18 ? () : '--no-data-checksums' ]);
$db1->adjust_conf('postgresql.conf', $_, undef) for qw(wal_level max_wal_senders);
$db1->append_conf('postgresql.conf', "timezone = 'UTC'\nlog_timezone = 'UTC'\nwal_retrieve_retry_interval = '200ms'\n$conf" . $include =~ s{/etc/postgresql}{..}r);
my $folder = $db1->basedir;
for my $name (sort keys %node)
{
    my $dir = $node{$name}->data_dir;
    mkdir $node{$name}->basedir;
    mkdir $dir, 0700 unless -d $dir;
    symlink $dir, "$folder/$name" or die "cannot link $folder/$name: $!";
    append_to_file($node{$name}->basedir . '/member.conf',
        $own =~ s/db1/$name/r =~ s/11/$number{$name}/r . 'port = ' . $node{$name}->port . "\n");
}
write_services("$folder/pg_service.conf", %node, shop => [ @node{qw(db1 db2 db3)} ]);

# Cluster->start would give it a name on the command line.
sub start_member
{
    my ($name) = @_;
    $node{$name}->{_pid} = undef;
    system_or_bail('pg_ctl', '-w', '-D', $node{$name}->data_dir, '-l', $node{$name}->logfile, 'start');
    $node{$name}->_update_pid(1);
    return;
}

sub query
{
    my ($name, $sql) = @_;
    return $node{$name}->safe_psql('postgres', $sql);
}

# Waits until the primary has these standbys.
sub await_standbys
{
    my ($primary, @standbys) = @_;
    my $list = join ',', map { "'$_'" } @standbys;
    $node{$primary}->poll_query_until('postgres',
        "SELECT count(DISTINCT application_name) = " . @standbys . " FROM pg_stat_replication WHERE state = 'streaming' AND application_name IN ($list)")
      or die "@standbys do not follow $primary";
    await_replay($node{$primary}, @node{@standbys});
    return;
}

# A split brain on purpose: the third member follows the new primary, and both take writes
# for three seconds.
my $split = <<'SH';
old=db2 new=db1
psql -qX "service=$old" -c "ALTER SYSTEM SET synchronous_standby_names = ''" -c 'SELECT pg_reload_conf()'
psql -qX service=db3 -c "ALTER SYSTEM SET primary_conninfo = 'service=$new'" -c 'SELECT pg_reload_conf()'
pg_ctl -D "$new" -s promote
echo "INSERT INTO orders (item) VALUES ('book');" >insert.sql
for server in "$old" "$new"; do
  pgbench -n -c 4 -T 3 -f insert.sql "service=$server" &
done
wait
SH

# What the lines really have: id => item and maker.
sub rows_of
{
    my ($name) = @_;
    return map { split / /, $_, 2 } split /\n/, query($name, "SELECT id || ' ' || made_on || ' ' || item FROM orders");
}

# The figures of the page's query, by what was found.
sub figures_of
{
    my ($output) = @_;
    my %count;
    $count{$1} = $2 while $output =~ /^ (\S[^|]*?) +\| +(\d+) \|/mg;
    return \%count;
}

# The same, counted here.
sub compare
{
    my ($here, $there) = @_;
    my %count;
    for my $id (keys %{ { %$here, %$there } })
    {
        $count{ !exists $here->{$id} ? 'only there' : !exists $there->{$id} ? 'only here'
            : $here->{$id} eq $there->{$id} ? 'on both' : 'one ID, two rows' }++;
    }
    return \%count;
}

start_member('db1');
my $page = ManyServers->new('high-availability.md', first => 'db1', folder => $folder);

subtest 'promotion' => sub {
    $page->run_next('standbys');
    start_member($_) for qw(db2 db3);
    await_standbys('db1', qw(db2 db3));

    # One gets no more, and is not the one to promote.
    query('db3', q(ALTER SYSTEM SET primary_conninfo = ''));
    $node{db3}->reload;
    $node{db3}->poll_query_until('postgres', 'SELECT count(*) = 0 FROM pg_stat_wal_receiver') or die 'db3 still receives';
    $page->run_until('db1-dies');
    await_standbys('db1', 'db2');
    like($page->run_next('db1-dies'), qr/^\d+\|db3\n(\d+)\|db2\n\z/, 'who has more comes last');
    for my $name (qw(db2 db3))
    {
        $node{$name}->stop;
        start_member($name);
    }
    my $again = $page->run_sh($page->block('db1-dies') =~ s/^pg_ctl .*\n//r);
    like($again, qr/^\d+\|db3\n(\d+)\|db2\n\z/, 'after a restart that finds no primary, too');
    $page->run_until('promoted');
    $page->run_next('promoted');
    await_standbys('db2', 'db3');
    is(query('db3', 'SELECT count(*) FROM orders'), 2, 'the other standby follows');
    is(query('db2', 'SELECT preloaded FROM timeshard_config()'), 't', 'preloaded');
    unlike(log_of($node{db2}), qr/on a copy of a data directory/, 'no copy to warn of');
    my $where = q(psql -XAtc 'SHOW cluster_name' service=shop);
    is($page->run_sh($where), "db2\n", 'clients come to the new primary');
    start_member('db1');
    is($page->run_sh($where), "db1\n", 'but not where the old one is started again');
    $db1->stop('immediate');
};

subtest 'the old primary comes back' => sub {
    # Late: the new one has been through checkpoints since.
    query('db2', "SELECT pg_logical_emit_message(true, 'test', 'more'), pg_switch_wal(); CHECKPOINT") for 1 .. 3;
    my $mark = mark_bytes($db1);
    $page->run_until('rewound');
    is(mark_bytes($db1), $mark, 'rewound, it has its own mark');
    start_member('db1');
    await_standbys('db2', qw(db1 db3));
    $page->run_until('who-writes');
};

subtest 'synchronous replication hinders a split brain' => sub {
    $node{$_}->stop for qw(db1 db3);
    my $session = TimeshardSession->new($node{db2});
    $session->send("INSERT INTO orders (item) VALUES ('alone')");
    ok(eventually(sub { query('db2', "SELECT wait_event = 'SyncRep' FROM pg_stat_activity WHERE pid = " . $session->pid) eq 't' }),
        'cut off from its standbys, it answers no COMMIT');
    is(query('db2', q{SELECT count(*) FROM orders WHERE item = 'alone'}), 0, 'and nobody sees the row');
    start_member($_) for qw(db1 db3);
    is(($session->receive)[1], '', 'until one is back');
    $session->ask_ok(q{DELETE FROM orders WHERE item = 'alone'});
    $session->finish;
    await_standbys('db2', qw(db1 db3));
};

subtest 'a split brain' => sub {
    unlike($page->run_sh($split), qr/ERROR/, 'two members take writes');
    my ($timeline) = $page->run_next('who-writes') =~ /^db1\|timeline (\S+)$/m;
    is(hex $timeline, 3, 'the timeline');
    my $look = $page->block('who-writes') =~ s/pg_walfile_name\(pg_current_wal_lsn\(\)\)/'0000000A0000000000000001'/r;
    like($page->run_sh($look), qr/^db1\|timeline 0000000A$/m, 'also the tenth');
    $page->run_until('both-lines');
    my %here = rows_of('db1');
    my %there = rows_of('db2');
    my $found = $page->run_next('both-lines');
    my $count = figures_of($found);
    is_deeply($count, compare(\%here, \%there), 'the query finds what is there');
    is($count->{'one ID, two rows'} // 0, 0, 'no ID twice');
    is($count->{'on both'}, 2, 'and what there was before');
    my @times = $found =~ /^ only [^|]*\|[^|]*\| ([^|]*?) +\| ([^|]*?) *$/mg;
    ok($times[0] lt $times[3] && $times[2] lt $times[1], 'both lines overlap in time');

    my $parted = query('db1', 'SELECT pg_last_xact_replay_timestamp()');
    like(log_of($db1), qr/last completed transaction was at log time \Q$parted\E\n/, 'the log says, too, when they parted');

    $page->run_next('take-over-own');
    is_deeply({ rows_of('db1') }, { %here, %there }, 'taken over as they are: every row of both lines is there, and none besides');
    is(query('db1', q{SELECT count(*) FROM orders WHERE (timeshard_parse(id)).node_id::text <> replace(made_on, 'db', '1')}), 0,
        'each made by whom its ID says');
    like($page->run_next('by-hand'), qr/\(0 rows\)/, 'nothing was changed or deleted');
};

subtest 'the other line comes back' => sub {
    # It has crashed, and has its configuration elsewhere.
    $node{db2}->stop('immediate');
    mkdir "$folder/etc";
    rename $node{db2}->data_dir . '/postgresql.conf', "$folder/etc/postgresql.conf" or die "cannot rename: $!";
    my $rewind = $page->block('rewind-own') =~ s/db([12])/'db' . (3 - $1)/ger;
    like($page->run_sh($rewind), qr/^postgres: could not access the server configuration file/m, 'not rewound where it has no configuration');
    my ($option) = $text =~ m{`(--config-file=)/etc/postgresql/15/main/postgresql\.conf`};
    unlike($page->run_sh($rewind =~ s{^pg_rewind.*\K}{ $option$folder/etc/postgresql.conf}mr), qr/ERROR/, 'the other line is rewound');
};

subtest 'one number for the group' => sub {
    my ($shared) = $text =~ /`(timeshard\.node_id = \d+)`/;
    $node{$_}->stop for qw(db3 db1);
    for my $name (sort keys %node)
    {
        my $file = $node{$name}->basedir . '/member.conf';
        my $lines = slurp_file($file) =~ s/^timeshard.*\n//mr;
        open my $out, '>', $file or die "cannot write $file: $!";
        print $out $lines;
        close $out or die "cannot write $file: $!";
        $node{$name}->append_conf('postgresql.conf', $shared);
        start_member($name);
    }
    await_standbys('db1', qw(db2 db3));
    unlike($page->run_sh($split =~ s/old=db2 new=db1/old=db1 new=db2/r), qr/ERROR/, 'the same split brain');
    my %here = rows_of('db2');
    my %there = rows_of('db1');

    my $found = $page->ask("\\c service=db2\nALTER SERVER other_line OPTIONS (SET service 'db1');
        SELECT found, count(*), timeshard_time(max(id)) AS last FROM both_lines GROUP BY 1 ORDER BY 1;");
    my $count = figures_of($found);
    is_deeply($count, compare(\%here, \%there), 'the query finds what is there');
    cmp_ok($count->{$_} // 0, '>', 0, $_) for 'one ID, two rows', 'only here', 'only there';

    $page->run_next('take-over');
    my %all = rows_of('db2');
    my %renamed = map { split /\|/ } split /\n/, query('db2', 'SELECT old_id, id FROM made_twice');
    my $wrong = 0;
    $wrong += ($all{$_} // '') ne $here{$_} for keys %here;
    $wrong += ($all{ $renamed{$_} // $_ } // '') ne $there{$_} for keys %there;
    is($wrong, 0, 'taken over: every row of both lines is there');
    is(scalar keys %all, $count->{'on both'} + $count->{'only here'} + $count->{'only there'} + 2 * $count->{'one ID, two rows'}, 'and none besides');
    cmp_ok(query('db2', "INSERT INTO orders (item) VALUES ('new') RETURNING id"), '>', (sort { $a <=> $b } keys %all)[-1], 'new IDs are above');

    $node{db1}->stop;
    $page->run_next('rewind-shared');
    start_member('db1');
    await_standbys('db2', 'db1');
    is(query('db1', 'SELECT count(*) FROM orders'), 1 + keys %all, 'and has all');
};

$page->finish;
$_->stop('immediate') for values %node;
done_testing();
