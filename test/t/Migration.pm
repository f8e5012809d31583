# Runs the steps of doc/migration.md, which its fences name, on tables that a test
# fills, beside clients that go on writing; and looks at the locks that each takes.
package Migration;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use FindBin;
use IO::Handle;
use Manual qw(read_text blocks_of);
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use TimeshardSession;

our @EXPORT = qw(block_text new_database run_steps query locks_hold watched_locks_hold
  start_clients await_clients stop_clients);

my $page = read_text("$FindBin::RealBin/../../doc/migration.md");
my %block;
for my $block (grep { $_->{lang} =~ /^(?:sql|sh)$/ && $_->{info} } blocks_of($page))
{
    die "two blocks are named $block->{info}" if $block{ $block->{info} };
    $block{ $block->{info} } = $block;
}

my @strength = qw(AccessShare RowShare RowExclusive ShareUpdateExclusive Share ShareRowExclusive Exclusive AccessExclusive);
my %rank = map { $strength[$_] . 'Lock' => $_ } 0 .. $#strength;

sub block_text
{
    my ($name) = @_;
    return ($block{$name} // die "doc/migration.md has no block named $name")->{text};
}

# A database with the extension and the page's two helpers.
sub new_database
{
    my ($node, $database) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $database");
    run_steps($node, $database, qw(setup patiently in-batches));
    return $database;
}

# Runs these blocks of the page as a reader does, by psql. Each is a test.
sub run_steps
{
    my ($node, $database, @names) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    for my $name (@names)
    {
        my ($out, $err) = ('', '');
        my $text = block_text($name) =~ s/^ROLLBACK;/COMMIT;/mr;
        my $ok = IPC::Run::run(
            [ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($database) ],
            '<', \$text, '>', \$out, '2>', \$err);
        ok($ok && $err !~ /ERROR|WARNING/, "$database: $name") or diag($err);
    }
    return;
}

sub query
{
    my ($node, $database, $sql) = @_;
    return $node->safe_psql($database, $sql);
}

# The table of locks below a heading of the page, by step: { lock, on, long }.
sub lock_rows
{
    my ($heading) = @_;
    my ($section) = $page =~ /^## \Q$heading\E\n(.*?)(?=^## |\z)/ms or die "no section $heading";
    my ($table) = $section =~ /^\| step \| lock \| on \| for how long \|\n\|[- |]+\n((?:\|.*\n)+)/m
      or die "no table of locks in $heading";
    my %row;
    for my $line (split /\n/, $table)
    {
        my ($step, $lock, $on, $long) = $line =~ /^\| (.+?) \| `([A-Z ]+)`.*? \| (.+?) \| (.+?) \|$/ or die "no row: $line";
        $row{$step} = { lock => $lock, on => [ sort grep { !/^(?:then|with)$/ } $on =~ /\w+/g ], long => $long };
    }
    return \%row;
}

sub spell
{
    my ($mode) = @_;
    return uc join ' ', ($mode =~ s/Lock$//r) =~ /[A-Z][a-z]+/g;
}

# Only the strongest lock that a step takes counts, and the tables that it is on.
sub strongest
{
    my (%mode_of) = @_;
    my ($most) = sort { $rank{$b} <=> $rank{$a} } values %mode_of;
    return { lock => 'none', on => [] } unless defined $most;
    return { lock => spell($most), on => [ sort grep { $mode_of{$_} eq $most } keys %mode_of ] };
}

my $locks = "SELECT b.relname || ' ' || l.mode FROM pg_locks AS l JOIN %s AS b ON b.oid = l.relation
    WHERE l.pid = %s AND l.granted AND l.locktype = 'relation'";
my $relations = "SELECT oid, relname FROM pg_class WHERE relkind IN ('r', 'p', 'S') AND relnamespace = 'public'::regnamespace";

# Runs a step in a transaction that is rolled back. Returns the strongest lock that
# it holds at its end, on which of the tables that were there before, and how much
# work it was: "an instant", "reads" or "writes", by what the server says of itself.
sub locks_of
{
    my ($node, $database, $name) = @_;
    my $session = TimeshardSession->new($node, $database);
    $session->ask_ok("CREATE TEMP TABLE before AS $relations");
    my $text = block_text($name) =~ s/^(?:BEGIN|COMMIT|ROLLBACK);//gmr;
    my (undef, $log) = $session->ask("\\set VERBOSITY default\nSET client_min_messages = debug1;\nBEGIN;\n$text");
    $session->ask('SET LOCAL client_min_messages = warning');    # which itself is logged to the client
    my %mode_of;
    for (split /\n/, $session->ask_ok(sprintf $locks, 'before', 'pg_backend_pid()'))
    {
        my ($table, $mode) = split / /;
        $mode_of{$table} = $mode if !defined $mode_of{$table} || $rank{$mode} > $rank{ $mode_of{$table} };
    }
    $session->ask_ok('ROLLBACK');
    $session->finish;
    my $found = strongest(%mode_of);
    # The index of a new table's long values is no work.
    $found->{work} =
        $log =~ /^ERROR/m ? "fails: $log"
      : $log =~ /^DEBUG: .*(?:rewriting table|building index "(?!pg_toast))/m ? 'writes'
      : $log =~ /^DEBUG: .*(?:verifying table|validating (?:foreign key|check) constraint)/m ? 'reads'
      : 'an instant';
    return $found;
}

# Runs a step that commits on its way, and looks at its locks from outside. Each
# holder, [ table, mode, SQL ], keeps a transaction open that is in the step's way,
# until the step has been seen with that lock on that table.
sub watched_locks
{
    my ($node, $database, $name, @holders) = @_;
    my @open = map {
        my $session = TimeshardSession->new($node, $database);
        $session->ask_ok("BEGIN;\n$_->[2]");
        { session => $session, table => $_->[0], mode => $_->[1] . 'Lock' }
    } @holders;
    my $watcher = TimeshardSession->new($node, $database);
    $watcher->ask_ok("CREATE TEMP TABLE before AS $relations");
    my $step = TimeshardSession->new($node, $database);
    $step->send(block_text($name));
    my (%mode_of, @missed);
    my $look = sprintf $locks, 'before', $step->pid;
    for my $holder (@open)
    {
        my $seen = eventually(sub {
            for (split /\n/, $watcher->ask_ok($look))
            {
                my ($table, $mode) = split / /;
                $mode_of{$table} = $mode if !defined $mode_of{$table} || $rank{$mode} > $rank{ $mode_of{$table} };
            }
            return ($mode_of{ $holder->{table} } // '') eq $holder->{mode};
        });
        push @missed, "$holder->{mode} on $holder->{table}" unless $seen;
        $holder->{session}->ask_ok('COMMIT');
        $holder->{session}->finish;
    }
    my (undef, $err) = $step->receive;
    $_->finish for $step, $watcher;
    my $found = strongest(%mode_of);
    $found->{work} = $err =~ /ERROR/ ? "fails: $err" : @missed ? "not seen: @missed" : 'watched';
    return $found;
}

# What the page's table says of a step is what was found.
sub as_the_table_says
{
    my ($row, $found, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 2;
    is("$found->{lock}: @{ $found->{on} }", "$row->{lock}: @{ $row->{on} }", "$name: the lock");
    my %means = ('an instant' => 'an instant', 'to read' => 'reads', 'to write' => 'writes', 'all rows' => 'watched');
    my ($long) = grep { $row->{long} =~ /^$_/ } keys %means;
    # Of a query the server does not say that it reads.
    my $work = $found->{work} eq 'watched' || $row->{lock} eq 'ACCESS SHARE' ? $found->{work} : $means{ $long // '' };
    return is($found->{work}, $work, "$name: for how long");
}

# Each of these steps, tried in a transaction that is rolled back, holds the locks
# that the page says, and then is run.
sub locks_hold
{
    my ($node, $database, $heading, $prefix, @steps) = @_;
    my $rows = lock_rows($heading);
    for my $step (@steps)
    {
        as_the_table_says($rows->{$step}, locks_of($node, $database, "$prefix-$step"), "$database: step $step");
        run_steps($node, $database, "$prefix-$step");
    }
    return;
}

sub watched_locks_hold
{
    my ($node, $database, $heading, $prefix, $step, @holders) = @_;
    return as_the_table_says(lock_rows($heading)->{$step},
        watched_locks($node, $database, "$prefix-$step", @holders), "$database: step $step");
}

my @clients;
my $owner = $$;

# Sessions that run their SQL again and again, each time with another name in the
# place of NAME, and note every name whose transaction has ended well, with what it
# printed. A client that meets an error notes that, and goes on.
sub start_clients
{
    my ($node, $database, @scripts) = @_;
    for my $number (1 .. @scripts)
    {
        my $log = $node->basedir . "/client_${database}_$number.log";
        open my $out, '>', $log or die "cannot write $log: $!";
        my $pid = fork // die "cannot fork: $!";
        if ($pid == 0)
        {
            my $ok = eval { client($node, $database, $number, $scripts[ $number - 1 ], $out); 1 };
            print $out "E\tended: $@\n" unless $ok;
            close $out;
            POSIX::_exit(0);
        }
        close $out;
        push @clients, { pid => $pid, log => $log };
    }
    return await_clients();
}

sub client
{
    my ($node, $database, $number, $script, $log) = @_;
    $log->autoflush(1);
    my $stop = 0;
    local $SIG{TERM} = sub { $stop = 1 };
    my $session = TimeshardSession->new($node, $database);
    for (my $n = 1; !$stop; $n++)
    {
        my $name = "client $number-$n";
        my ($out, $err) = $session->ask($script =~ s/NAME/$name/gr);
        $err =~ s/\s+/ /g;
        print $log $err eq '' ? "C\t$name\t$out\n" : "E\t$err\n";
        die 'the connection is lost' if $session->{lost};
        usleep(2000);
    }
    $session->finish;
    return;
}

# True when every client has had a transaction that began after now end well.
sub await_clients
{
    my @from = map { -s $_->{log} } @clients;
    return eventually(sub {
        return !grep { (() = substr(slurp_file($clients[$_]{log}), $from[$_]) =~ /^C\t/mg) < 2 } 0 .. $#clients;
    });
}

# Ends the clients. Puts what they noted into a table of the database, written
# (name, printed); returns the errors that they met.
sub stop_clients
{
    my ($node, $database) = @_;
    kill 'TERM', map { $_->{pid} } @clients;
    waitpid $_->{pid}, 0 for @clients;
    my @lines = map { split /\n/, slurp_file($_->{log}) } splice @clients;
    my $file = $node->basedir . "/written_$database";
    append_to_file($file, join '', map { /^C\t(.*)/ ? "$1\n" : () } @lines);
    $node->safe_psql($database, "CREATE TABLE written (name text PRIMARY KEY, printed text);\n\\copy written FROM '$file'");
    my %seen = map { /^E\t(.*)/ ? ($1 => 1) : () } @lines;
    return sort keys %seen;
}

END
{
    my $status = $?;
    if ($$ == $owner)
    {
        kill 'KILL', map { $_->{pid} } @clients;
        waitpid $_->{pid}, 0 for @clients;
    }
    $? = $status;
}

1;
