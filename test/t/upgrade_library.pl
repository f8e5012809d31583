# An upgrade of the library on a server that runs: the server came up with an
# older library, and `make install` has put the newest in its place. Sessions that
# have the old one go on. Where both could not share the state, new sessions are
# refused, and told to restart. After the restart the newest runs, and no ID is one
# that any session has seen before, though the clock has gone back meanwhile.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";

use Libraries qw(sources installed_library build_library install_library state_version private_server);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

plan skip_all => 'no sources in ' . sources() unless glob sources() . '/src/*/shared_state.cpp';

# The preloaded server starts with 1.0.0's library where run.sh could get its sources,
# the other one with a library that differs in the version of its state alone.
my $version = state_version();
my $older_version = $version - 1;
my $newest = installed_library();
my %older = (lazy => build_library('older', "-DTIMESHARD_STATE_VERSION=$older_version"));
$older{preloaded} = $ENV{TIMESHARD_SOURCES_1_0_0} ? build_library('first', '', $ENV{TIMESHARD_SOURCES_1_0_0}) : $older{lazy};
note("the preloaded server starts with $older{preloaded}");
my ($server, $library) = private_server();

sub refusal
{
    my ($state, $needed) = @_;
    return qr/ERROR:  55000: the server runs another version of timeshard than this library
DETAIL:  The shared state has version $state, and the library needs version $needed\.
HINT:  Restart the server\./;
}

# Every function that has to do with the state, as a session calls it.
my @calls = map { "SELECT $_" } (
    'timeshard_next_id()', 'timeshard_next_ids(2)', q{timeshard_next_id_with_prefix('A_')},
    q{timeshard_prefix_at('A', 3)}, 'timeshard_horizon()', 'timeshard_parse(1)', q{timeshard_parse('A_1')},
    'timeshard_config_info()', 'timeshard_time(1)', 'timeshard_lower_bound(now())',
    'timeshard_between(1, now(), now())', 'timeshard_layout_change()', 'timeshard_raise_floor(1)');
push @calls, 'SELECT * FROM timeshard_stats()', 'SELECT * FROM timeshard_config()';

my (%seen, $repeated, $largest);

# Takes notice of IDs that a client has got; returns how many were new.
sub notice
{
    my @ids = map { split /\s+/ } @_;
    for my $id (@ids)
    {
        die "no ID: $id" unless $id =~ /^\d{15,19}$/;
        $repeated++ if $seen{$id}++;
        $largest = $id if $id > ($largest // 0);
    }
    return scalar @ids;
}

# In one line, because a session's queries and answers are logged.
my $ids = q{SELECT string_agg(timeshard_next_id()::text, ' ') FROM generate_series(1, 500)};

for my $mode (qw(lazy preloaded))
{
    my $preload = $mode eq 'preloaded';
    (%seen, $repeated, $largest) = ();
    $repeated = 0;
    install_library($older{$mode}, $library);
    my $node = new_cluster($mode, clock => 1, preload => $preload, install_path => $server, create => 0,
        conf => "timeshard.node_id = 3\ntimeshard.max_clock_wait = '10s'");
    my $sql = sub { return $node->safe_psql('postgres', $_[0]) };
    $sql->(q{CREATE EXTENSION timeshard VERSION '1.0.0'});
    $sql->('CREATE TABLE made (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), n integer)');

    $sql->('CREATE DATABASE early');
    $node->safe_psql('early', "CREATE EXTENSION timeshard VERSION '1.0.0'");

    my @old = map { $node->background_psql('postgres', on_error_stop => 0) } 1 .. 3;
    notice($_->query_safe($ids)) for @old;

    # Sessions at work while the file is replaced.
    my $script = $node->basedir . '/load.pgbench';
    append_to_file($script, "INSERT INTO made (n) SELECT generate_series(1, 100);\n");
    my ($out, $err) = ('', '');
    my $load = IPC::Run::start([ 'pgbench', '-n', '-h', $node->host, '-p', $node->port, '-f', $script, '-c', 2, '-T', 4, 'postgres' ],
        '>', \$out, '2>', \$err);
    $node->poll_query_until('postgres', 'SELECT count(*) > 1000 FROM made') or die 'no load';
    install_library($newest, $library);

    if ($preload)
    {
        # The server's own processes have the old library, and hand it on.
        notice($sql->($ids)) for 1 .. 3;
        is($sql->('SELECT node_id FROM timeshard_config()'), 3, "$mode: new sessions go on with the server's library");
    }
    else
    {
        for my $round (1, 2)
        {
            fails_with($node, $_, refusal($older_version, $version), "$mode, round $round: $_") for @calls;
        }
        # A refused session is not spoilt, and what needs no state works.
        my $session = $node->background_psql('postgres', on_error_stop => 0);
        $session->query('SELECT timeshard_next_id()');
        $session->{stderr} = '';
        is($session->query(q{SELECT timeshard_format(1, 'A')}), 'A0000000000000000001', "$mode: what needs no state works");
        is($session->query('SELECT 1'), 1, "$mode: and the session does");
        $session->quit;
        fails_with($node, 'INSERT INTO made (n) VALUES (1)', refusal($older_version, $version), "$mode: a default");
    }
    # Without preloading, a session that updates the objects before the restart has the newest library.
    is($node->psql('early', 'ALTER EXTENSION timeshard UPDATE'), 0, "$mode: objects updated before the restart") unless $preload;
    notice($_->query_safe($ids)) for @old;
    ok($load->finish, "$mode: the sessions at work outlast the installation") or diag($err);
    my ($transactions) = $out =~ /number of transactions actually processed: (\d+)/;
    is($sql->('SELECT count(*) FROM made'), 100 * $transactions, "$mode: and have made what they were told to");
    notice($sql->('SELECT id FROM made'));
    # Those that were never committed count too.
    notice($old[0]->query_safe("BEGIN; $ids; ROLLBACK"));
    notice($old[1]->query_safe("BEGIN; $ids"));
    is($repeated, 0, "$mode: no ID twice before the restart");
    my ($before, $floor) = (scalar(keys %seen), $largest);

    if ($preload) { $node->stop('immediate') }
    else { $_->quit for @old; $node->stop }
    set_clock($node, '-3');
    start_with_env($node);

    # The first of several sessions at once.
    my @new = map { $node->background_psql('postgres', on_error_stop => 0) } 1 .. 3;
    my $first = $new[0]->query_safe('SELECT timeshard_next_id()');
    cmp_ok($first, '>', $floor, "$mode: after the restart IDs go on above all that was seen");
    notice($first);
    notice($_->query_safe($ids)) for @new;
    is(notice($sql->('INSERT INTO made (n) SELECT generate_series(1, 1000) RETURNING id')), 1000, "$mode: and defaults");
    is($repeated, 0, "$mode: no ID twice, of $before before and " . (keys(%seen) - $before) . ' after');
    is($sql->('SELECT count(*) = count(DISTINCT id) FROM made'), 't', "$mode: nor in the table");
    for my $objects ('1.0.0', 'the newest')
    {
        $sql->('ALTER EXTENSION timeshard UPDATE') if $objects ne '1.0.0';
        is($node->psql('postgres', $_), 0, "$mode, after the restart, by the objects of $objects: $_") for grep { !/raise_floor/ } @calls;
    }

    # As if a later version had been put into the database before its library is loaded.
    $sql->("CREATE FUNCTION later_stats(OUT a text, OUT b text) LANGUAGE C AS '\$libdir/timeshard', 'timeshard_stats';
        CREATE FUNCTION later_parse(bigint, OUT a text, OUT b text) LANGUAGE C AS '\$libdir/timeshard', 'timeshard_parse'");
    fails_with($node, "SELECT * FROM $_->[0]", qr/ERROR:  55000: the extension timeshard is of another version than the library
DETAIL:  The function returns $_->[1] columns, and the library makes $_->[2]\.
HINT:  Restart the server\./, "$mode: $_->[0] of a later version") for [ 'later_stats()', 2, 13 ], [ 'later_parse(1)', 2, 6 ];

    cmp_ok($node->safe_psql('early', 'SELECT timeshard_next_id()'), '>', $largest, "$mode: nor in another database");

    # The way back is refused as the way on was.
    if (!$preload)
    {
        install_library($older{$mode}, $library);
        fails_with($node, 'SELECT timeshard_next_id()', refusal($version, $older_version), "$mode: the older library on the newer state");
        notice($new[1]->query_safe($ids));
        is($repeated, 0, "$mode: the newer sessions go on");
    }
    $_->quit for @new;
    $node->stop;
}

done_testing();
