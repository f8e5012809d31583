# Runs the steps of doc/migration.md, which its fences name, on tables that a test
# fills, and looks at the locks that each takes.
package Migration;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use FindBin;
use Manual qw(read_text blocks_of);
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;
use TimeshardSession;

our @EXPORT = qw(migration_cluster page_text block_text helpers_text null_check new_database run_steps query shape_of locks_hold watched_locks_hold);

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

# The page's two procedures.
sub helpers_text
{
    return read_text("$FindBin::RealBin/../../doc/migration-helpers.sql");
}

# For what the page says between its blocks.
sub page_text
{
    return $page;
}

# The check that the page has for the new column of a reference that may be null.
sub null_check
{
    my ($new, $old) = @_;
    my ($check) = $page =~ /`(CHECK \(new IS NOT NULL OR .*?\))`/ or return "CHECK ($new IS NOT NULL)";
    return $check =~ s/\bnew\b/$new/gr =~ s/\bold\b/$old/gr;
}

# A cluster for it, in which no autovacuum is in the way of a step that is tried in a
# transaction, and so cannot wait and try again.
sub migration_cluster
{
    my ($name) = @_;
    return new_cluster($name, conf => "timeshard.node_id = 298\nautovacuum = off\nwal_level = replica\n", create => 0);
}

# A database with the extension and the page's two helpers.
sub new_database
{
    my ($node, $database) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $database");
    run_steps($node, $database, 'setup');
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
        my $text = block_text($name);
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

# All that a table made anew would have: constraints, indexes, triggers, columns.
sub shape_of
{
    my ($node, $database, @tables) = @_;
    my $tables = join ', ', map { "'$_'::regclass" } @tables;
    return query($node, $database, <<"SQL");
SELECT string_agg(what, E'\\n' ORDER BY what) FROM (
    SELECT conname || ' ' || pg_get_constraintdef(oid) || ' ' || convalidated AS what FROM pg_constraint
    WHERE contype <> 'n' AND conrelid IN ($tables)
    UNION ALL SELECT pg_get_indexdef(indexrelid) || ' ' || indisvalid FROM pg_index WHERE indrelid IN ($tables)
    UNION ALL SELECT tgname FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT attrelid::regclass || '.' || attname || ' ' || format_type(atttypid, -1) || ' ' || attnotnull FROM pg_attribute
    WHERE attnum > 0 AND NOT attisdropped AND attrelid IN ($tables)) AS shape
SQL
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
    my $text = block_text($name) =~ s/^(?:BEGIN|COMMIT|(?:RE)?SET client_min_messages.*);//gmr;
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

1;
