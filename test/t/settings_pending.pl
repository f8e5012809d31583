# What a reload brings waits for the server's next start, whatever it is: another
# identity, one that does not fit, or a value that cannot be read. Until then nobody
# is stopped, and a restart after a backend's crash is no start.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";

use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

my $made = 'SELECT node_id FROM timeshard_parse(timeshard_next_id())';
my $identity = "SELECT concat_ws(' ', node_id, node_id_source, node_address, node_id_bits, custom_epoch) FROM timeshard_config()";
my $pending = 'SELECT pending_restart FROM timeshard_config()';
my $whole = 'The value must be a whole number between';

# What a session of its own answers, and its warnings.
sub ask
{
    my ($node, $sql) = @_;
    my (undef, $out, $err) = $node->psql('postgres', $sql, on_error_stop => 0);
    return ($out, $err);
}

my @readable = ([ node_id => 8 ], [ node_id => 5000 ], [ node_id => -1 ], [ node_id_bits => 3 ], [ custom_epoch => '1600000000000' ]);
my %unreadable = (
    node_id => [ 'abc', '', '-2', '65536' ],
    node_id_bits => [ '0', '17', '8.6' ],
    custom_epoch => [ 'abc', '253402300800000' ],
);
my @unreadable = map { my $setting = $_; map { [ $setting => $_ ] } @{ $unreadable{$setting} } } sort keys %unreadable;

for my $preload (0, 1)
{
    my $mode = $preload ? 'preloaded' : 'stock';
    my @own = ('timeshard.node_id = 7', 'restart_after_crash = on', $preload ? "shared_preload_libraries = 'timeshard'" : ());
    my $node = new_cluster($mode, conf => join "\n", @own);
    $node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION in_worker(leader int) RETURNS bigint LANGUAGE plpgsql PARALLEL SAFE AS $$
BEGIN
    IF pg_backend_pid() = leader THEN RAISE 'not in a worker'; END IF;
    RETURN (SELECT node_id FROM timeshard_parse(timeshard_next_id()));
END$$;
SQL
    # The function's answer in a worker, with and without the library in its leader.
    my $in_worker = "SELECT pg_backend_pid() AS leader \\gset\nSET $force_parallel = on; SELECT in_worker(:leader);";
    configure($node, @own);
    restart_with_env($node);
    my $before = $node->safe_psql('postgres', $identity);
    is($before, '7 configuration 10 1702385533000', "$mode: the identity at first");
    is($node->safe_psql('postgres', $made), 7, "$mode: as an ID shows");

    for my $case (@readable)
    {
        my $name = "$mode, $case->[0] = $case->[1]";
        configure($node, @own, "timeshard.$case->[0] = $case->[1]");
        reload_and_wait($node);
        crash_restart($node);
        is($node->safe_psql('postgres', "$identity; $made; $pending"), "$before\n7\nt", "$name: a crash changes nothing, and it stays pending");
    }

    my $old = $node->background_psql('postgres');
    $old->query_safe($made);
    my $loaded = $node->background_psql('postgres'); # has made no ID
    $loaded->query_safe("LOAD 'timeshard'");
    for my $case (@unreadable)
    {
        my ($setting, $value) = @$case;
        my $name = "$mode, $setting = '$value'";
        my $offset = -s $node->logfile;
        configure($node, @own, "timeshard.$setting = '$value'");
        reload_and_wait($node);
        my ($out, $err) = ask($node, "$made; $pending; $identity");
        is($out, "7\nt\n$before", "$name: a new session works, and it is pending");
        my $warning = qr/WARNING: +invalid value for parameter "timeshard\.$setting": "\Q$value\E"\n.*DETAIL: +$whole/;
        if ($preload)
        {
            is($err, '', "$name: no session is told");
            is(() = (slurp_file($node->logfile, $offset) =~ /$warning/g), 1, "$name: the log has it once");
        }
        else
        {
            is(() = ($err =~ /WARNING/g), 1, "$name: one warning");
            like($err, qr/$warning.*\nHINT: +Correct it before the server's next start/, "$name: which says what, and what to do");
        }
        is($_->query_safe("$made; $pending"), "7\nt", "$name: a session from before goes on, and knows") for $old, $loaded;
    }
    my ($out, $err) = ask($node, $in_worker);
    is($out, 7, "$mode: a parallel worker goes on") or diag($err);
    ($out, $err) = ask($node, "$made; $in_worker");
    is($out, "7\n7", "$mode: so does that of a leader with an ID") or diag($err);
    my $kept = $node->background_psql('postgres', on_error_stop => 0); # has met the value that cannot be read
    $kept->query($made);

    for my $setting (sort keys %unreadable)
    {
        (undef, $err) = ask($node, "LOAD 'timeshard';\nALTER SYSTEM SET timeshard.$setting = 'abc';");
        like($err, qr/ERROR: +invalid value for parameter "timeshard\.$setting": "abc"/, "$mode: ALTER SYSTEM refuses such a $setting");
    }

    # Not a part of the identity: a new session has the default.
    configure($node, @own, "timeshard.max_clock_wait = 'abc'");
    reload_and_wait($node);
    ($out, $err) = ask($node, "$made; $pending");
    is($out, "7\nf", "$mode: a wait that cannot be read stops nobody");
    like($err, qr/WARNING: +invalid value for parameter "timeshard\.max_clock_wait": "abc"/, "$mode: and is warned of") unless $preload;
    is($kept->query("$made; $pending"), "7\nf", "$mode: corrected and reloaded, nothing is pending");
    $_->quit for $old, $loaded, $kept;

    for my $value ('abc', 5000)
    {
        configure($node, @own, "timeshard.node_id = '$value'");
        reload_and_wait($node);
        crash_restart($node);
        ($out, $err) = ask($node, "$identity; $made; $pending");
        is($out, "$before\n7\nt", "$mode: a crash while $value is pending changes nothing, twice") or diag($err);
        crash_restart($node);
        ($out, $err) = ask($node, $in_worker);
        is($out, 7, "$mode: nor is the first session, in a parallel worker, stopped by $value") or diag($err);
    }

    # What is pending comes with a start.
    configure($node, @own, 'timeshard.node_id = 8');
    reload_and_wait($node);
    crash_restart($node);
    restart_with_env($node);
    is($node->safe_psql('postgres', "$made; $pending"), "8\nf", "$mode: a start takes the new number");
    configure($node, @own[ 1 .. $#own ]);
    restart_with_env($node, TIMESHARD_NODE_ID => 9);
    is($node->safe_psql('postgres', $made), 9, "$mode: the environment's");
    configure($node, @own);
    reload_and_wait($node);
    crash_restart($node);
    is($node->safe_psql('postgres', "$identity; $made; $pending"), "9 environment 10 1702385533000\n9\nt", "$mode: its source is kept too");

    # Without a configured number, the address is kept, and no number has been lost.
    configure($node, @own[ 1 .. $#own ]);
    restart_without_past($node);
    $before = $node->safe_psql('postgres', $identity);
    if ($before =~ /address/)
    {
        my $derived = $node->safe_psql('postgres', $made);
        configure($node, @own);
        reload_and_wait($node);
        crash_restart($node);
        is($node->safe_psql('postgres', "$identity; $made; $pending"), "$before\n$derived\nt", "$mode: a derived number stays through a crash");
    }

    # Without preloading, only an ID makes the identity known to those after a crash.
    configure($node, @own);
    restart_without_past($node);
    is($node->safe_psql('postgres', $identity), '7 configuration 10 1702385533000', "$mode: captured, without an ID");
    configure($node, @own, 'timeshard.node_id = 8');
    reload_and_wait($node);
    crash_restart($node);
    is($node->safe_psql('postgres', $made), $preload ? 7 : 8, "$mode: a crash before the first ID");
    $node->stop;
}

# Two starts at one time of a clock that stands still are two starts.
my $node = new_cluster('frozen', clock => 1, conf => 'timeshard.node_id = 7');
my $now = time;
my $stands = sub { return POSIX::strftime('%Y-%m-%d %H:%M:%S', localtime($now + $_[0])) };
for my $number (7, 8)
{
    configure($node, "timeshard.node_id = $number");
    set_clock($node, $stands->(10));
    restart_with_env($node);
    set_clock($node, $stands->(10 * $number)); # past the mark
    is($node->safe_psql('postgres', "SELECT pg_postmaster_start_time() = to_timestamp($now + 10); $made"), "t\n$number",
        "a start at a time at which there has been one, as $number");
}
$node->stop;

done_testing();
