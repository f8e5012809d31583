# `make bench`: the report has every rival in every table, and the figures that
# were measured: what it gets wrong would be published. Sizes are the least that the
# benchmark takes: nothing is judged by speed here.
use strict;
use warnings FATAL => 'all';

use FindBin;
use File::Temp qw(tempdir);
use List::Util qw(sum);
use PostgreSQL::Test::Utils;
use Test::More;

my $bench = "$FindBin::RealBin/../bench/bench.sh";
my $folders = PostgreSQL::Test::Utils::tempdir;

# The sockets of its servers are below TMPDIR, so that must be short.
my $tmpdir = PostgreSQL::Test::Utils::tempdir_short;
delete @ENV{ grep { /^(?:QUICK|CHECK|ROUNDS|STAGES|SESSIONS|OUT|\w+_ROWS|SECONDS_PER_RUN)$/ } keys %ENV };
@ENV{qw(TMPDIR INSTALLED QUICK PG_CONFIG)} = ($tmpdir, 1, 1, first_in_path('pg_config'));
my %tiny = (SCAN_ROWS => 2000, BULK_ROWS => 1000, GROWN_ROWS => 10000, SESSIONS => '1 2');

sub first_in_path
{
    my ($name) = @_;
    my ($path) = grep { -x } map { "$_/$name" } split /:/, $ENV{PATH};
    return $path;
}

sub run_bench
{
    my ($settings, @arguments) = @_;
    local %ENV = (%ENV, %$settings);
    my ($out, $err) = ('', '');
    IPC::Run::run([ $bench, @arguments ], '<', \undef, '>', \$out, '2>', \$err);
    return ($? >> 8, $err);
}

sub left_behind { return [ glob "$tmpdir/*" ] }

# The tables of a report by their heading: each a list of lines of cells, the
# first of them the head.
sub tables_of
{
    my ($report) = @_;
    my (%tables, $heading, $in_table);
    for my $line (split /\n/, $report)
    {
        $heading = $1 if $line =~ /^#+ (.*)/;
        if ($line !~ /^\|/) { $in_table = 0; next }
        next if $line =~ /^\| ---/;
        $line =~ s/^\| | \|$//g;
        push @{ $tables{$heading} }, [] if !$in_table;
        push @{ $tables{$heading}[-1] }, [ split / \| /, $line, -1 ];
        $in_table = 1;
    }
    return \%tables;
}

# The raw figures by stage, measure, subject and x; the rivals' titles by name.
sub figures_of
{
    my ($folder) = @_;
    my (%values, %titles);
    for (split /\n/, slurp_file("$folder/figures.tsv"))
    {
        my ($stage, $measure, $subject, $x, $round, $value) = split /\t/, $_, -1;
        push @{ $values{"$stage $measure $subject $x"} }, $value if $round ne 'round';
    }
    for (split /\n/, slurp_file("$folder/run.tsv"))
    {
        my ($key, $name, $text) = split /\t/;
        $titles{$name} = $text if $key eq 'kind';
    }
    return (\%values, \%titles);
}

# The three numbers of a cell: median, least and greatest.
sub numbers_of
{
    my ($cell) = @_;
    $cell =~ tr/,//d;
    my $number = qr/-?[\d.]+/;
    return ($1, $2, $3) if $cell =~ /^($number) \(($number) to ($number)\)$/;
    return;
}

# A whole run, of two rounds, but for the core, which takes long to compile.
{
    my $folder = "$folders/whole";
    my $stages = join ' ', grep { $_ ne 'core' } slurp_file($bench) =~ /^all_stages=\((.*)\)$/m ? split / /, $1 : ();
    my ($status, $err) = run_bench({ %tiny, OUT => $folder, ROUNDS => 2, STAGES => $stages }, '--check');
    my $report = slurp_file("$folder/report.md");
    my $verdicts = join "\n", map { join ' | ', @$_ } @{ tables_of($report)->{Targets}[0] };
    is($status, $verdicts =~ /MISSED/ ? 1 : 0, 'the run ends as its verdicts say') or diag($err);
    unlike($report, qr/\*\*(?:Failed|Unfinished|Missing)\*\*/, 'nothing failed, nothing is missing');
    like($report, qr/^```text\nmake bench QUICK=1\n```$/m, 'the report says by which command');
    unlike($report, qr/\Q$tmpdir\E|\Q$folders\E/, 'and nothing of where it was made');
    like($err, qr/^ *\d+ %, about \d+:\d\d left: /m, 'progress and the time left were shown');
    is_deeply(left_behind(), [], 'no server and no folder is left');

    my $tables = tables_of($report);
    my ($values, $titles) = figures_of($folder);
    my @kinds = sort keys %$titles;
    cmp_ok(scalar @kinds, '>=', 7, 'all rivals that need no other extension');
    for my $heading (
        'What a call costs', 'Many sessions', 'Latency of single calls', 'Single-row commits', 'Lookups by key',
        'Rows of the last hour and the last day', 'Tables of 10,000 rows', '1,000 more rows, in every round',
        '`INSERT … SELECT` of 1,000 rows into a new table', '`COPY` of 1,000 rows with the key in the file',
        '`COPY` of 1,000 rows with the key left to its default', 'Rivals',
      )
    {
        utf8::encode(my $name = $heading);
        my @tables = @{ $tables->{$heading} // $tables->{$name} // [] };
        ok(@tables >= 1, "there is a table: $name") or next;
        my $one_layout = $heading =~ /Single-row|Lookups|last hour|Tables of|more rows/;
        for my $table (@tables)
        {
            my %there = map { $_->[0] => 1 } @$table;
            my @missing = grep { !$there{ $titles->{$_} } && !($one_layout && $_ eq 'timeshard_1') } @kinds;
            is_deeply(\@missing, [], "every rival is in: $name");
        }
    }
    my (@odd, @empty, $cells);
    for my $heading (grep { $_ ne 'Targets' } keys %$tables)
    {
        push @empty, $heading if grep { $_ eq 'not measured' } map { @$_ } map { @$_ } @{ $tables->{$heading} };
    }
    is_deeply(\@empty, [], 'every cell has its figure');
    for my $cell (map { @$_ } map { @$_ } map { @$_ } values %$tables)
    {
        my ($median, $least, $greatest) = numbers_of($cell) or next;
        $cells++;
        push @odd, $cell if $median < $least || $median > $greatest;
    }
    cmp_ok($cells, '>=', 200, 'medians of two rounds, with the least and the greatest');
    is_deeply(\@odd, [], 'medians lie between the least and the greatest');

    # The reported figures are the measured ones, to the digits shown.
    my @wrong;
    my $compare = sub {
        my ($cell, $key, $scale) = @_;
        my @measured = sort { $a <=> $b } map { $_ * $scale } @{ $values->{$key} // [] };
        my @expected = @measured ? (sum(@measured) / @measured, @measured[ 0, -1 ]) : ();
        my @shown = numbers_of($cell // '');
        push @wrong, "$key: " . ($cell // 'no line') . ", measured @measured"
          if @measured != 2 || @shown != 3 || grep { abs($shown[$_] - $expected[$_]) > 0.0051 * abs($expected[$_]) + 0.00051 } 0 .. 2;
    };
    my %lines_of = map { my $heading = $_; $heading => { map { $_->[0] => $_ } @{ $tables->{$heading}[0] } } }
      'What a call costs', 'Many sessions', 'Single-row commits';
    for my $kind (@kinds)
    {
        my $title = $titles->{$kind};
        $compare->($lines_of{'What a call costs'}{$title}[2], "calls ns $kind ", 1);
        $compare->($lines_of{'Many sessions'}{$title}[$_], "sessions ids_per_s $kind $_", 1e-6) for 1, 2;
        $compare->($lines_of{'Single-row commits'}{$title}[3], "commits tps $kind 8", 1) if $kind ne 'timeshard_1';
    }
    is_deeply(\@wrong, [], 'the figures are those of figures.tsv');
    my %index = map { $_ => $values->{"fill index_size $_ "}[0] } qw(timeshard uuid4);
    cmp_ok($index{timeshard}, '<', $index{uuid4}, 'an index of 64-bit keys is smaller than one of UUIDs');
    for my $kind (grep { $values->{"ranges rows_by_key $_ day"} } @kinds)
    {
        is_deeply([ @$values{map { "ranges rows_by_${_} $kind day" } qw(key created_at)} ], [ ([ 1000, 1000 ]) x 2 ],
            "the key finds the rows of the last day, as created_at does: $titles->{$kind}");
    }

    my @drawn = qw(timeshard timeshard_1 bigserial cached uuid4 uuid7 snowflake);
    push @drawn, grep { $titles->{$_} } qw(pg_uuidv7 pgedge);
    my %lines_of_plot = (sessions => \@drawn, map { $_ => [ grep { $_ ne 'timeshard_1' } @drawn ] } qw(layouts bulk));
    for my $plot (sort keys %lines_of_plot)
    {
        my $path = "$folder/$plot.svg";
        ok(-s $path && system_log('python3', '-c', 'import sys, xml.dom.minidom as m; m.parse(sys.argv[1])', $path) == 0,
            "$plot.svg is well-formed");
        my $text = -e $path ? slurp_file($path) : '';
        my @labels = map { $titles->{$_} } @{ $lines_of_plot{$plot} };
        is_deeply([ grep { index($text, ">$_<") < 0 } @labels ], [], "and has a label for each line: $plot.svg");
        my @heights = sort { $a <=> $b } map { $text =~ /y="([\d.]+)"[^>]*>\Q$_\E</ ? $1 : () } @labels;
        is_deeply([ grep { $heights[$_] - $heights[ $_ - 1 ] < 14 } 1 .. $#heights ], [], "none over another: $plot.svg");
        like($report, qr/\]\(\Q$plot\E\.svg\)/, "and the report shows it: $plot.svg");
    }
}

# What Google Benchmark has written, two repetitions and their mean.
{
    my $folder = "$folders/core";
    mkdir $folder or die $!;
    my $entry = '"run_name": "Latency/node_bits:1/sessions:2/iterations:1/manual_time", "run_type":';
    my @entries = map {
        my $ns = $_;
        qq({$entry "iteration", ) . join(', ', map { qq("${_}_ns": $ns) } qw(mean p50 p90 p95 p99 p99.9 max)) . '}'
    } 50, 70;
    append_to_file("$folder/core.json",
        '{"benchmarks": [' . join(', ', @entries, qq({$entry "aggregate", "mean_ns": 1000})) . ']}');
    append_to_file("$folder/figures.tsv", "head\nserver\tp50\ttimeshard\t\t1\t5\nserver\tp50\ttimeshard\t\t2\t");
    append_to_file("$folder/run.tsv", "head\nkind\ttimeshard\tTimeshard\ncall\ttimeshard\tf()\n");
    IPC::Run::run([ 'python3', '-B', "$FindBin::RealBin/../bench/report.py", $folder ], '<', \undef, '2>', \my $err);
    my $report = slurp_file("$folder/report.md");
    like($report, qr{^\| `Latency/node_bits:1/sessions:2`( \| 60\.00 \(50\.00 to 70\.00\)){7} \|$}m, 'the core is reported');
    like($report, qr/^\| Timeshard \| not measured \| 5\.00 \| not/m, 'a line that was cut while it was written is left out');
}

done_testing();
