# No role forges the node ID, the layout or the epoch. PostgreSQL lets any role
# set a variable of an unknown name, which timeshard.* are until the library is
# loaded; a session in which that was done gets no ID until it is undone.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

# What the server is told, and what a forger would rather have.
my %honest = (node_id => 7, node_id_bits => 11, custom_epoch => 1600000000000);
my %forged = (node_id => 5, node_id_bits => 16, custom_epoch => 1500000000000, max_clock_wait => 60000);

# The identity as the server tells it, and as a new ID shows it.
my $call = <<"SQL";
WITH made AS MATERIALIZED (SELECT timeshard_next_id() AS id)
SELECT concat_ws(' ', node_id, node_id_source, node_id_bits, custom_epoch, id >> 11 & 2047,
    abs((id >> 22) + $honest{custom_epoch} - extract(epoch FROM clock_timestamp()) * 1000) < 60000)
FROM made, timeshard_config()
SQL

# Each attack with N for the setting's name and V for the value: what a
# superuser was talked into, the connection's options, what the session does
# before its first ID, and what undoes it. Where nothing in the session does,
# its next connection is honest once the superuser's part is undone.
my @attacks = (
    { name => 'SET', sql => 'SET N = V;', undo => 'RESET N;' },
    { name => 'SET SESSION', sql => q(SET SESSION N TO 'V';), undo => 'RESET ALL;' },
    { name => 'SET and DISCARD', sql => 'SET N = V;', undo => 'DISCARD ALL;' },
    { name => 'SET LOCAL', sql => 'BEGIN; SET LOCAL N = V;', undo => 'ROLLBACK;' },
    { name => 'SET in a transaction', sql => 'BEGIN; SET N = V;', undo => 'ROLLBACK;' },
    { name => 'SET behind a savepoint', sql => 'BEGIN; SAVEPOINT a; SET N = V;', undo => 'ROLLBACK TO a;' },
    { name => 'savepoint behind SET', sql => 'BEGIN; SET N = V; SAVEPOINT a;', undo => 'ROLLBACK TO a; ROLLBACK;' },
    { name => 'set_config', sql => q(SELECT set_config('N', 'V', false);), undo => 'SET N TO DEFAULT;' },
    { name => 'set_config, local', sql => q(BEGIN; SELECT set_config('N', 'V', true);), undo => 'ROLLBACK;' },
    { name => 'upper case', sql => 'SET UPPER = V;', undo => 'RESET N;' },
    { name => 'mixed case', sql => 'SET MIXED = V;', undo => 'RESET N;' },
    { name => 'DO', sql => q(DO $$BEGIN SET N = V; END$$;), undo => 'RESET N;' },
    { name => 'PGOPTIONS -c', options => '-c N=V' },
    { name => 'PGOPTIONS -c, upper case', options => '-c UPPER=V' },
    { name => 'PGOPTIONS --', options => '--DASHED=V' },
    { name => 'PGOPTIONS and SET', options => '-c N=V', sql => 'SET N = V; RESET N;' },
    { name => 'ALTER ROLE', before => 'ALTER ROLE forger SET N = V', after => 'ALTER ROLE forger RESET N' },
    { name => 'ALTER ROLE and RESET', sql => 'RESET N;',
        before => 'ALTER ROLE forger SET UPPER = V', after => 'ALTER ROLE forger RESET ALL' },
    { name => 'ALTER ROLE IN DATABASE', before => 'ALTER ROLE forger IN DATABASE postgres SET N = V',
        after => 'ALTER ROLE forger IN DATABASE postgres RESET N' },
    { name => 'ALTER ROLE ALL', before => 'ALTER ROLE ALL SET N = V', after => 'ALTER ROLE ALL RESET N' },
    { name => 'ALTER DATABASE', before => 'ALTER DATABASE postgres SET N = V', after => 'ALTER DATABASE postgres RESET N' },
    { name => 'function', call => 'SELECT forge();', undo => '-- leaving the function does',
        before => qq(CREATE FUNCTION forge() RETURNS text LANGUAGE plpgsql SET N = V AS \$\$BEGIN RETURN ($call); END\$\$),
        after => 'DROP FUNCTION forge()' },
    { name => 'parallel worker', sql => "SET $force_parallel = on; SET N = V;",
        call => 'SELECT in_worker(:leader);', undo => 'RESET N;' },
    { name => 'parallel worker, PGOPTIONS', sql => "SET $force_parallel = on;", options => '-c N=V',
        call => 'SELECT in_worker(:leader);' },
);

# What leaves nothing behind is no attack: the ID is made, by the server's value.
my @harmless = (
    'SET N = V; RESET N;',
    'SET N = V; BEGIN; RESET N;',
    'SET N = V; BEGIN; RESET N; SAVEPOINT a;',
    'BEGIN; SET N = V; SAVEPOINT a; RESET N;',
    'SET N = V; BEGIN; SAVEPOINT a; RESET N; RELEASE a;',
    'BEGIN; SET LOCAL N = V; COMMIT;',
    'BEGIN; SET N = V; ROLLBACK;',
    'SET MIXED = V; SET N TO DEFAULT;',
    "SET $force_parallel = on; SELECT count(in_worker(:leader));",
);

my %lines = map { ("timeshard.$_" => $honest{$_}) } keys %honest;
my $in_file = join "\n", map { "$_ = $lines{$_}" } sort keys %lines;
my $in_argv = join ' ', map { "-c $_=$lines{$_}" } sort keys %lines;
my %in_env = map { ('TIMESHARD_' . uc $_ => $honest{$_}) } keys %honest;

my @servers = (
    { name => 'file', conf => $in_file },
    { name => 'environment', env => \%in_env, source => 'environment' },
    { name => 'arguments', options => $in_argv },
    { name => 'broken', options => $in_argv, broken => 1 },
    { name => 'preloaded', conf => $in_file, preload => 1 },
);

sub fill
{
    my ($template, $setting) = @_;
    my %word = (N => "timeshard.$setting", V => $forged{$setting}, UPPER => uc "timeshard.$setting",
        MIXED => '"TimeShard"."' . ucfirst($setting) . '"', DASHED => "timeshard.$setting" =~ tr/_/-/r);
    return ($template // '') =~ s/\b(N|V|UPPER|MIXED|DASHED)\b/$word{$1}/gr;
}

# A session of the unprivileged role; returns its output after "attack", and its errors.
sub session
{
    my ($node, $sql, $options) = @_;
    local $ENV{PGOPTIONS} = $options // '';
    my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT pg_backend_pid() AS leader \\gset\n$sql",
        on_error_stop => 0, extra_params => [ '-U', 'forger' ]);
    return ($out =~ s/.*?^attack\n?//msr, $err);
}

my $refused = qr/55P02: +parameter "timeshard\.\w+" can only be set in the server's configuration
.*HINT: +(?:Use RESET timeshard\.\w+\.|Remove it from the connection|Have a superuser run ALTER ROLE)/s;
my $refused_by_server = qr/cannot be (changed|set) (now|after|until)|transaction is aborted/;

for my $server (@servers)
{
    my ($name, $preloaded) = @$server{qw(name preload)};
    my $node = new_cluster($name, %$server);
    my $expected = join ' ', $honest{node_id}, $server->{source} // 'configuration',
      $honest{node_id_bits}, $honest{custom_epoch}, $honest{node_id}, 't';

    # In the worker, and not in its leader, the library is loaded.
    $node->safe_psql('postgres', <<"SQL");
CREATE ROLE forger LOGIN;
CREATE FUNCTION in_worker(leader int) RETURNS text LANGUAGE plpgsql PARALLEL SAFE AS \$\$
BEGIN
    IF pg_backend_pid() = leader THEN RAISE 'not in a worker'; END IF;
    RETURN ($call);
END\$\$;
SQL
    restart_with_env($node, %{ $server->{env} // {} });
    if ($server->{broken})
    {
        $node->append_conf('postgresql.conf', "timeshard.node_id = 9\nthis line = = is none\n");
        my $offset = -s $node->logfile;
        $node->reload;
        $node->wait_for_log(qr/contains errors; no changes were applied/, $offset);
    }

    # Runs an attack with each of the settings.
    my $attack_all = sub {
        my ($attack, $undo, @settings) = @_;
        for my $setting (@settings)
        {
            my $label = "$name: $attack->{name} of $setting";
            if ($attack->{before})
            {
                my ($rc, undef, $err) = $node->psql('postgres', fill($attack->{before}, $setting));
                like($err, $refused_by_server, "$label: PostgreSQL stores no such value") if $preloaded;
                next if $preloaded;
                is($rc, 0, "$label: stored") or diag($err);
            }
            my $its_call = $attack->{call} // "$call;";
            my ($out, $err) = session($node,
                fill($attack->{sql}, $setting) . "\n\\echo attack\n$its_call\n\\echo undone\n"
                  . ($undo && $attack->{undo} ? fill($attack->{undo}, $setting) . "\n$call;\n" : ''),
                fill($attack->{options}, $setting));
            my $after = $undo && $attack->{undo} ? "\n$expected" : '';
            if ($preloaded)
            {
                like($err, $attack->{options} ? qr/FATAL.*$refused_by_server/s : $refused_by_server,
                    "$label: PostgreSQL refuses it");
                unlike($out, qr/^(?!\Q$expected\E$|undone$|$)/m, "$label: and nothing is forged");
            }
            else
            {
                like($err, $refused, "$label: refused");
                is($out, "undone$after", "$label: " . ($after ? 'works once it is undone' : 'no ID'));
            }
            $node->safe_psql('postgres', fill($attack->{after}, $setting)) if $attack->{after};
        }
    };

    # Nothing has captured the identity yet, so no session undoes its attack.
    my @settings = $name eq 'file' ? sort keys %forged : $server->{broken} || $preloaded ? 'node_id' : sort keys %honest;
    $attack_all->($_, 0, @settings) for @attacks;
    my $stacked = fill($harmless[1], 'node_id');
    is((session($node, "$stacked\n\\echo attack\n$call;ROLLBACK;\n$call;"))[0],
        $preloaded ? $expected : "$expected\n$expected",
        "$name: a first caller with a stacked value captures the server's");
    is($node->safe_psql('postgres', $call), $expected, "$name: the identity is the server's");

    $attack_all->($_, 1, 'node_id') for grep { $_->{undo} } @attacks;
    for my $sql ($preloaded ? () : @harmless)
    {
        my ($out, $err) = session($node, fill($sql, 'node_id') . "\n\\echo attack\n$call;\n"
              . "COMMIT; $call; SELECT pending_restart FROM timeshard_config();");
        is($out, "$expected\n$expected\nf", "$name: harmless: $sql") or diag($err);
    }
    is((session($node, "\\echo attack\nSET $force_parallel = on; SELECT in_worker(:leader);"))[0],
        $expected, "$name: the library's first call in a session can be in a parallel worker");
    is((session($node, "$call;\n\\echo attack\nSET $force_parallel = on; SELECT in_worker(:leader);"))[0],
        $expected, "$name: so can a later one");

    # Once the library is loaded, PostgreSQL itself refuses.
    my ($out, $err);
    for my $setting (qw(node_id node_id_bits custom_epoch))
    {
        ($out, $err) = session($node, "\\echo attack\n$call; SET timeshard.$setting = 5; $call;");
        like($err, qr/55P02: +parameter "timeshard.$setting" cannot be changed now/, "$name: SET of $setting after an ID");
        is($out, "$expected\n$expected", "$name: changes nothing");
    }
    is($node->safe_psql('postgres', $call), $expected, "$name: nor has anything else");

    if ($name eq 'file')
    {
        (undef, $err) = session($node, "ALTER SYSTEM SET timeshard.node_id = 5; ALTER ROLE forger SET timeshard.node_id = 5;
            CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql SET timeshard.node_id = 5 AS 'SELECT 1';");
        is(() = ($err =~ /42501/g), 3, 'the unprivileged role stores no value') or diag($err);

        # Stored before the library was ever loaded, met by one that is preloaded.
        $node->safe_psql('postgres', "ALTER ROLE $_ SET timeshard.node_id = 5") for qw(forger ALL);
        $node->safe_psql('postgres', 'ALTER DATABASE postgres SET timeshard.node_id = 5');
        $node->append_conf('postgresql.conf', "shared_preload_libraries = 'timeshard'");
        restart_with_env($node);
        ($out, $err) = session($node, "\\echo attack\n$call;");
        is($out, $expected, 'stored values change nothing where the library is preloaded');
        like($err, qr/WARNING.*"timeshard.node_id" cannot be changed now/, 'and PostgreSQL warns of them');
    }
    $node->stop;
}

done_testing();
