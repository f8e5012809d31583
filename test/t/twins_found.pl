# doc/duplicate-node-ids.md on servers that are configured alike: found from a comparison of
# timeshard_config() over a list of servers (down, mute, standbys and strangers among
# them), also by a role that is no superuser. And whether two configurations can meet,
# by what the query says and by the IDs that two servers really make, on clocks that
# stand still. What to do then is in twins_repair.pl.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use IO::Socket::UNIX;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use Timeshard;
use Twins;

my ($one, $two, $hub, $steps) = start_twins();

sub add_server
{
    my ($name, %options) = @_;
    my $wrapper = delete $options{wrapper} // 'postgres_fdw';
    hub("CREATE SERVER $name FOREIGN DATA WRAPPER $wrapper OPTIONS (connect_timeout '2', " . join(', ', map { "$_ '$options{$_}'" } sort keys %options) . ')');
    hub("CREATE USER MAPPING FOR CURRENT_USER SERVER $name OPTIONS (user '" . hub('SELECT current_user') . "')");
    return;
}

sub address
{
    my ($server) = @_;
    return (host => $server->host, port => $server->port);
}

subtest 'compared beforehand' => sub {
    is($steps->run('compare'), "db1|298|configuration|10|1702385533000|f|\ndb2|298|configuration|10|1702385533000|f|\ndb3||||||could not establish connection",
        'each server has a row');
    is(findings(), "db1 db2 same node ID\ndb3 no answer: could not establish connection", 'two alike, one down');
    like(hub(q(SELECT error FROM fleet WHERE server = 'db3')), qr/^could not establish connection: connection to server .* failed: /, 'with the whole reason');
};

my $standby = PostgreSQL::Test::Cluster->new('standby');
subtest 'all kinds of servers' => sub {
    $one->backup('backup', backup_options => ['--checkpoint=fast']);
    $standby->init_from_backup($one, 'backup', has_streaming => 1);
    start_with_env($standby);
    my $mute = PostgreSQL::Test::Utils::tempdir_short();
    my $socket = IO::Socket::UNIX->new(Type => SOCK_STREAM, Local => "$mute/.s.PGSQL.7", Listen => 5) or die "cannot listen: $!";

    add_server('standby', address($standby), dbname => 'twin_1');
    add_server('mute', host => $mute, port => 7, dbname => 'twin_1');
    add_server('again', address($one), dbname => 'twin_1', wrapper => 'dblink_fdw');
    add_server('bare', address($one), dbname => 'postgres');
    add_server('self', address($hub), dbname => 'fleet');
    is(findings('^(db[12]|standby|mute|again|bare)$'), join("\n", sort
        'again db1 one server under two names, or a copied machine',
        'again db2 same node ID',
        'bare no answer: function timeshard_config() does not exist',
        'db1 db2 same node ID',
        'db2 standby same node ID, once a standby is promoted',
        'mute no answer: ' . ($server_major < 16 ? 'could not establish connection' : 'not in time')), 'each is found as what it is; a standby is no twin of its primary');
    like(findings('^self$'), qr/^self node ID is not configured: (?:address|none)$/, 'a derived node ID is flagged');
    is(hub('SELECT count(*) FROM fleet'), 8, 'no server is left out');

    $standby->promote;
    $standby->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'not promoted';
    is(findings('^(db1|standby)$'), 'db1 standby same node ID, of one origin: a copy, or a group with two primaries', 'a group with two primaries');
    $standby->stop('immediate');

    # The other way that the page names.
    for ([ db1 => $one, 'twin_1' ], [ db2 => $two, 'twin_2' ], [ db3 => undef ])
    {
        my ($name, $server, $database) = @$_;
        $server->safe_psql($database, 'CREATE VIEW configuration AS SELECT node_id FROM timeshard_config()') if $server;
        hub("CREATE FOREIGN TABLE config_$name (node_id integer) SERVER $name OPTIONS (table_name 'configuration')");
    }
    my $views = 'SELECT node_id FROM config_db1 UNION ALL SELECT node_id FROM config_db2';
    is(hub($views), "298\n298", 'by postgres_fdw');
    fails_with($hub, "$views UNION ALL SELECT node_id FROM config_db3", qr/08001: could not connect to server "db3"/, 'which one that is down fails', dbname => 'fleet');
    hub("DROP SERVER $_ CASCADE") for qw(standby mute again bare);
};

subtest 'not by a superuser' => sub {
    $steps->run('rights');
    for my $server ($one, $two)
    {
        my $hba = $server->data_dir . '/pg_hba.conf';
        my $text = slurp_file($hba);
        open my $out, '>', $hba or die "cannot write $hba: $!";
        print $out "local all watcher scram-sha-256\n$text";
        close $out;
        reload_and_wait($server);
    }
    my @watcher = ('-U', 'watcher');
    is(findings('db', @watcher), join("\n", map { "$_ no answer: could not establish connection" } qw(db1 db2 db3)), 'a role that the servers do not know');
    $_->safe_psql('postgres', q(CREATE ROLE watcher LOGIN PASSWORD 'change-me')) for $one, $two;
    is(findings('db', @watcher), "db1 db2 same node ID\ndb3 no answer: could not establish connection", 'one that they do');
    my $because = sub { return hub(q(SELECT error FROM fleet WHERE server = 'self')) };
    like($because->(), qr/^user mapping not found for (?:user )?"watcher"/, 'no password for a server');
    hub(q(CREATE USER MAPPING FOR watcher SERVER self OPTIONS (user 'watcher', password 'change-me')));
    findings('', @watcher);
    like($because->(), qr/^permission denied for foreign server self/, 'no right to it');
    hub('GRANT USAGE ON FOREIGN SERVER self TO watcher');
    findings('', @watcher);
    like($because->(), qr/^password .*required/, 'a server that does not ask for the password');
    is(hub(q(SELECT count(*) FROM pg_auth_members WHERE member = 'watcher'::regrole)), 0, 'it is a member of nothing');
    hub(q(DROP SERVER self CASCADE));
    hub('DELETE FROM fleet');
    is(hub('SELECT finding FROM findings'), 'no server has been asked', 'an empty list is no good news');
};

my $epoch = 1702385533000;
subtest 'which configurations can meet' => sub {
    my $moment = int(time) + 20;
    stand_still($moment);
    # Of two: node ID, its bits, how many ms later its epoch is, and what is found.
    for my $case ([ 298, 10, 0, 'db1 db2 same node ID' ], [ 299, 10, 0, '' ], [ 74, 8, 0, 'db1 db2 node IDs overlap' ], [ 75, 8, 0, '' ],
        [ 1193, 12, 0, 'db1 db2 node IDs overlap' ], [ 1196, 12, 0, '' ], [ 298, 10, 5000, 'db1 db2 same node ID, epochs 00:00:05 apart' ])
    {
        my ($node, $bits, $later, $finding) = @$case;
        my $name = "node $node at $bits bits" . ($later ? ', another epoch' : '');
        configure($two, "timeshard.node_id = $node", "timeshard.node_id_bits = $bits", 'timeshard.custom_epoch = ' . ($epoch + $later));
        restart_without_past($two);
        # Past the floor that the checkpoint of the restart is.
        $moment += 4;
        stand_still($moment, $later / 1000);
        is(findings('^(db1|db2)$'), $finding, "$name: what the comparison says");
        # All that a run may have of one millisecond: seven eighths.
        my %made = map { $_ => 1 } split /\n/, one('SELECT timeshard_next_ids(3584)');
        my $common = grep { $made{$_} } split /\n/, two('SELECT timeshard_next_ids(' . (7 << 19 - $bits) . ')');
        is($common > 0 ? 'some' : 'none', $finding ? 'some' : 'none', "$name: IDs in common");
    }

    # Any two, against the numbers of 22 bits that they have.
    my @made = map { my $bits = 1 + int rand 16; { bits => $bits, node => int rand 1 << ($bits < 7 ? $bits : 7) } } 1 .. 80;
    hub('DELETE FROM fleet; INSERT INTO fleet SELECT to_char(n, \'FM000\'), NULL, n, now(), false, node, \'configuration\', bits, 0, false FROM (VALUES '
          . join(', ', map { "($_, $made[$_]{node}, $made[$_]{bits})" } 0 .. $#made) . ') AS v (n, node, bits)');
    my %found = map { $_ => 1 } split /\n/, hub('SELECT server::integer || \' \' || other::integer FROM findings');
    my @wrong;
    for my $b (0 .. $#made)
    {
        for my $a (0 .. $b - 1)
        {
            my ($first, $last) = map { my $of = $_; [ map { $_->{node} + $of << 22 - $_->{bits} } @made[ $a, $b ] ] } 0, 1;
            my $meet = $first->[0] < $last->[1] && $first->[1] < $last->[0];
            push @wrong, "$made[$a]{node} at $made[$a]{bits}, $made[$b]{node} at $made[$b]{bits}" if !!$meet ne !!$found{"$a $b"};
        }
    }
    is("@wrong", '', 'of 80 at random, every pair that overlaps and no other');
    cmp_ok(scalar keys %found, '>', 20, 'and some do');
};

is(join(' ', $steps->left_out), 'collector made-up-rows referrers rekey side-by-side', 'all of the page has been run, but for what twins_repair.pl runs');
$steps->finish;
$_->stop('immediate') for $hub, $one, $two;
done_testing();
