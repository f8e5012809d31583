# What the TAP tests share: clusters with Timeshard in them, a clock that a
# test can step, sessions that run side by side.
package Timeshard;

use strict;
use warnings FATAL => 'all';

use Compiled;
use Exporter 'import';
use File::Basename qw(dirname);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

our @EXPORT = qw(
  new_cluster start_with_env restart_with_env restart_without_past set_clock fails_with
  run_pgbench log_of faketime_library crash_restart await_server configure reload_and_wait
  $server_major $force_parallel
);

# The major version of the server that is tested, the first in the path.
our ($server_major) = `pg_config --version` =~ /(\d+)/ or die 'no pg_config in the path';

# The setting that has PostgreSQL use parallel workers for everything. 16 renamed it.
our $force_parallel = $server_major < 16 ? 'force_parallel_mode' : 'debug_parallel_query';

# A cluster, initialised, configured and started, with the extension created.
#
#   preload => 1       shared_preload_libraries = 'timeshard'
#   conf => "..."      lines for postgresql.conf
#   derived => 1       not the node ID 1, which a cluster has without conf and env
#   env => {...}       environment of the server process
#   options => "..."   the server's command line, such as '-c timeshard.node_id=7'
#   prefix => [...]    a command that the server is started through
#   clock => 1         under libfaketime; step it with set_clock()
#   init => [...]      passed on to PostgreSQL::Test::Cluster->init
#   start => 0         do not start it (nor create the extension)
#   create => 0        do not create the extension
#   install_path => .. the server that it runs on, if not the tests' own
sub new_cluster
{
    my ($name, %options) = @_;
    my $node = PostgreSQL::Test::Cluster->new($name, map { $_ => $options{$_} } grep { $options{$_} } 'install_path');

    $node->init(@{ $options{init} // [] });
    $node->append_conf('postgresql.conf', "shared_preload_libraries = 'timeshard'")
      if $options{preload};
    $node->append_conf('postgresql.conf', 'timeshard.node_id = 1')
      unless $options{derived} || exists(($options{env} // {})->{TIMESHARD_NODE_ID});
    $node->append_conf('postgresql.conf', $options{conf}) if $options{conf};
    prepare_clock($node) if $options{clock};
    @$node{qw(timeshard_options timeshard_prefix)} = @options{qw(options prefix)};
    return $node if defined $options{start} && !$options{start};

    start_with_env($node, %{ $options{env} // {} });
    $node->safe_psql('postgres', 'CREATE EXTENSION timeshard')
      unless defined $options{create} && !$options{create};
    return $node;
}

# Starts the cluster with these variables in the server's environment, and no
# TIMESHARD_* of the machine's own. Its stepped clock, if it has one, goes along.
sub start_with_env
{
    my ($node, %env) = @_;
    my $action = delete $env{__action} // 'start';
    my %fail = (fail_ok => delete $env{__fail_ok} // 0);
    local %ENV = (%ENV, %env);
    delete $ENV{$_} for grep { /^TIMESHARD_/ && !exists $env{$_} } keys %ENV;
    local %ENV = (%ENV, %{ $node->{timeshard_clock} // {} });
    return start_by_pg_ctl($node, %fail) if $node->{timeshard_options} || $node->{timeshard_prefix};
    return $node->$action(%fail);
}

# Cluster->start, which has no room for a command line.
sub start_by_pg_ctl
{
    my ($node, %fail) = @_;
    my $options = join ' ', '--cluster-name=' . $node->name, $node->{timeshard_options} // ();
    my $status = system_log(@{ $node->{timeshard_prefix} // [] },
        'pg_ctl', '-w', '-D', $node->data_dir, '-l', $node->logfile, '-o', $options, 'start');
    $node->_update_pid($status == 0 ? 1 : -1);
    BAIL_OUT('pg_ctl start failed: ' . log_of($node)) if $status != 0 && !$fail{fail_ok};
    return $status == 0;
}

sub restart_with_env
{
    my ($node, %env) = @_;
    $node->stop;
    return start_with_env($node, %env);
}

# Starts the cluster again as if it had never issued an ID: the mark would
# refuse an epoch moved forward, or a derived node ID after a configured one.
sub restart_without_past
{
    my ($node, %env) = @_;
    $node->stop;
    unlink $node->data_dir . '/timeshard.mark';
    return start_with_env($node, %env);
}

# Waits until the server answers. (poll_query_until has psql read the query, and
# fails where psql has ended before that because the server is still starting.)
sub await_server
{
    my ($node) = @_;
    my @psql = ('psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', 'SELECT true');
    for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
    {
        my ($out, $err) = ('', '');
        return 1 if IPC::Run::run(\@psql, '<', \undef, '>', \$out, '2>', \$err);
        usleep(100_000);
    }
    return 0;
}

# Kills one backend with signal 9; the server, which needs restart_after_crash,
# starts its shared memory anew. Returns when it answers again.
sub crash_restart
{
    my ($node) = @_;
    my $offset = -s $node->logfile;
    my $victim = $node->background_psql('postgres', on_error_stop => 0);
    my $pid = $victim->query('SELECT pg_backend_pid()');
    kill 'KILL', $pid or die "cannot kill backend $pid: $!";
    $node->wait_for_log(qr/all server processes terminated; reinitializing/, $offset);
    await_server($node) or die 'the server did not come back';
    eval { $victim->quit };
    return;
}

# The library that moves a server's clock; Debian's package libfaketime.
sub faketime_library
{
    my ($library) = glob('/usr/lib/*/faketime/libfaketime.so.1');
    BAIL_OUT('libfaketime is not installed') unless $library;
    return $library;
}

# libfaketime opens its file at each reading of the clock: clock_guard.c says why
# it needs a guard.
sub prepare_clock
{
    my ($node) = @_;
    $node->{timeshard_clock_file} = $node->basedir . '/clock';
    set_clock($node, '+0');
    $node->{timeshard_clock} = {
        LD_PRELOAD => join(':', compile_preload('clock_guard'), faketime_library()),
        FAKETIME_TIMESTAMP_FILE => $node->{timeshard_clock_file},
        FAKETIME_NO_CACHE => 1,
        FAKETIME_DONT_FAKE_MONOTONIC => 1,
        NO_FAKE_STAT => 1,    # takes a lock that a killed process never frees
    };
    return;
}

# Steps the clock of a cluster made with clock => 1: '+0' is the machine's
# clock, '-1h' an hour behind it, '-0.05' 50 ms, '2026-01-01 00:00:00' stands
# still. Takes effect at once, whole: the file is replaced, not rewritten.
sub set_clock
{
    my ($node, $setting) = @_;
    my $file = $node->{timeshard_clock_file};
    open my $out, '>', "$file.new" or die "cannot write $file.new: $!";
    print $out "$setting\n";
    close $out or die "cannot write $file.new: $!";
    rename "$file.new", $file or die "cannot rename $file.new: $!";
    return;
}

# Makes these the only lines that a test has added to a cluster's configuration
# after its first call of this, and the only ones about Timeshard.
sub configure
{
    my ($node, @lines) = @_;
    my $file = $node->data_dir . '/postgresql.conf';
    $node->{timeshard_clean} //= slurp_file($file) =~ s/^timeshard\..*\n//mgr;
    open my $out, '>', $file or die "cannot write $file: $!";
    print $out $node->{timeshard_clean}, map { "$_\n" } @lines;
    close $out or die "cannot write $file: $!";
    return;
}

# Reloads; returns when every session that starts from now on has the new values.
sub reload_and_wait
{
    my ($node) = @_;
    my $before = $node->safe_psql('postgres', 'SELECT pg_conf_load_time()');
    $node->reload;
    $node->poll_query_until('postgres', "SELECT pg_conf_load_time() > '$before'") or die 'no reload';
    return;
}

# Runs $sql, which must fail with an error that matches $pattern.
sub fails_with
{
    my ($node, $sql, $pattern, $name, %params) = @_;
    my ($rc, $out, $err) = $node->psql($params{dbname} // 'postgres', "\\set VERBOSITY verbose\n$sql",
        on_error_stop => 1, %{ $params{psql} // {} });
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok($rc != 0, "$name: fails") && like($err, $pattern, $name);
}

# pgbench with the given script text; returns exit code, stdout and stderr.
sub run_pgbench
{
    my ($node, $script, @arguments) = @_;
    my $file = $node->basedir . '/script_' . int(rand(1e9)) . '.pgbench';
    append_to_file($file, $script);
    my ($out, $err) = ('', '');
    my $ok = IPC::Run::run(
        [ 'pgbench', '-n', '-h', $node->host, '-p', $node->port, '-f', $file, @arguments, 'postgres' ],
        '>', \$out, '2>', \$err);
    return ($ok ? 0 : 1, $out, $err);
}

# What the server has logged so far.
sub log_of
{
    my ($node) = @_;
    return slurp_file($node->logfile);
}

1;
