# The check of what client sessions were given, from the logs that they kept (see
# Writers.pm), by a program that is compiled into tmp_check, and the figures of it.
package IdCheck;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use Compiled;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(check_ids read_logs injected report_figures);

my %total = (ids => 0, calls => 0, committed => 0, duplicates => 0, disorder => 0, missing => 0, faults => 0);

# What the logs hold, as fault_check prints it: ids, calls, committed, table,
# largest_pause_ms, pause_from (s, as monotonic() counts), least, greatest,
# errors { SQLSTATE => count }, messages { SQLSTATE => [...] }, violations
# { kind => count } and what [...] tells of them.
#
#   table => FILE      compare with these IDs
#   order => 0         the logs are of servers with no order between them
#   apart => MS        of servers whose clocks differ by less than that
sub read_logs
{
    my ($logs, %options) = @_;
    my @arguments = (
        defined $options{order} && !$options{order} ? '--no-order' : (),
        $options{apart} ? ('--apart', $options{apart}) : (),
        $options{table} ? ('--table', $options{table}) : ());
    my $check = compile_kit('fault_check.cpp', 'fault_check', 'g++', '-std=c++20', '-O2', '-Wall', '-Wextra');
    my ($out, $err);
    IPC::Run::run([ $check, @arguments, @$logs ], '>', \$out, '2>', \$err) or die "fault_check fails: $err";
    my %figures = (errors => {}, messages => {}, violations => {}, what => []);
    for (split /\n/, $out)
    {
        my ($key, @fields) = split /\t/;
        if ($key eq 'error') { $figures{errors}{ $fields[0] } = $fields[1] }
        elsif ($key eq 'message') { push @{ $figures{messages}{ $fields[0] } }, $fields[1] // '' }
        elsif ($key eq 'violations') { $figures{violations}{ $fields[0] } = $fields[1] }
        elsif ($key eq 'violation') { push @{ $figures{what} }, "$fields[0]: $fields[1]" }
        else { $figures{$key} = $fields[0] }
    }
    return \%figures;
}

# Three tests, on logs and sets of writers (which it stops): no ID repeats, order
# holds, what was committed is there. Returns the figures of read_logs.
#
#   { order => 0 }         no order is promised between these logs
#   { committed => 0 }     the server has not all that was committed (it was
#                          restored, or promoted without all of the WAL)
#   { name => '...' }      stands before the names of the tests
sub check_ids
{
    my ($node, @logs) = @_;
    my %options = map { ref eq 'HASH' ? %$_ : () } @logs;
    my @names;
    for my $log (grep { ref ne 'HASH' } @logs)
    {
        $log->stop if ref $log;
        push @names, ref $log ? $log->logs : $log;
    }
    my $table;
    if ($options{committed} // 1)
    {
        $table = $node->basedir . '/fault_rows';
        $node->safe_psql('postgres', "\\copy fault_rows (id) TO '$table'");
    }
    my $figures = read_logs(\@names, order => $options{order}, table => $table);
    my $found = sub { my $sum = 0; $sum += $figures->{violations}{$_} // 0 for @_; return $sum };
    my %wrong = (
        duplicates => $found->(qw(duplicate primary_key)),
        disorder => $found->(qw(order order_in_call)),
        missing => $found->('missing'));
    $total{$_} += $wrong{$_} for keys %wrong;
    $total{$_} += $figures->{$_} for qw(ids calls committed);

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $name = defined $options{name} ? "$options{name}: " : '';
    is($wrong{duplicates} + $found->('log'), 0, "${name}no ID repeats");
    is($wrong{disorder}, 0, "${name}order holds");
    is($wrong{missing}, 0, "${name}what was committed is there") if $table;
    diag($_) for @{ $figures->{what} };
    note(sprintf '%s%d IDs in %d calls, %d committed, longest pause %.0f ms, errors: %s', $name,
        @$figures{qw(ids calls committed largest_pause_ms)},
        join(', ', map { "$_ $figures->{errors}{$_}" } sort keys %{ $figures->{errors} }) || 'none');
    return $figures;
}

# Counts a fault for the figures at the end; returns its name.
sub injected
{
    my ($name) = @_;
    $total{faults}++;
    return $name;
}

# What all of a file's checks found, printed, and added to tmp_check/fault_figures.
sub report_figures
{
    my $figures = join ' ', map { "$_=$total{$_}" } qw(ids calls committed faults duplicates disorder missing);
    diag("$0: $figures");
    append_to_file("$PostgreSQL::Test::Utils::tmp_check/fault_figures", "$0 $figures\n");
    return %total;
}

1;
