# The manual is true: every SQL block of README.md and doc/*.md runs, file by
# file, in one psql session on a database of its own, and prints what is shown;
# what cannot run here is parsed; links lead somewhere; tables agree with the
# server; doc/examples.sql runs to its end.
#
# With MANUAL_UPDATE=1 outputs that differ are written into the files instead.

use strict;
use warnings FATAL => 'all';

use File::Basename qw(basename dirname);
use File::Spec;
use FindBin;
use Test::More;

use Manual qw(read_text blocks_of needs_extension broken_links stray_code plan_frames differences run_blocks syntax_complaints
  with_outputs);
use ManualParsers qw(parser_for);
use PostgreSQL::Test::Utils;
use SealKeys;
use SourceErrors qw(errors_of message_pattern);
use Timeshard;

my $root = File::Spec->rel2abs("$FindBin::Bin/../..");
my @pages = ("$root/README.md", sort glob "$root/doc/*.md");
my %page = map { name_of($_) => read_text($_) } @pages;

# There are two READMEs.
sub name_of
{
    my ($path) = @_;
    return $path eq "$root/doc/README.md" ? 'doc/README.md' : basename($path);
}

# As the README says of its outputs. The locale is one that is not "C", in
# which a plain index would serve every prefix search. Autovacuum would change
# plans, and its transactions hold back the example of a consumer.
my $node = new_cluster(
    'manual',
    init => [ extra => [ '--locale=C.UTF-8', '--encoding=UTF8' ] ],
    conf => "timeshard.node_id = 298\ntimezone = 'UTC'\nautovacuum = off\ntimeshard.seal_key_file = 'seal.keys'\nfsync = on\n",
    create => 0);
# doc/public-codes.md shows the codes of its own test vectors.
write_key_file($node->data_dir . '/seal.keys', key_line(0));

# The complaints about one page's blocks, and what update mode would change.
sub check_blocks
{
    my ($markdown, $database) = @_;
    my @blocks = blocks_of($markdown);
    my @sql = grep { $_->{lang} eq 'sql' && !needs_extension($_) } @blocks;
    my (@complaints, %update);

    for my $block (grep { needs_extension($_) } @blocks)
    {
        push @complaints, map { "line $block->{line}: $_" } syntax_complaints($node, $block->{text});
    }

    for my $block (grep { $_->{lang} ne 'sql' } @blocks)
    {
        my $parser = parser_for($block->{lang});
        push @complaints, map { "line $block->{line}: $_" } $parser
          ? $parser->($block->{text}, $block->{info})
          : "neither run nor parsed: a block of \"$block->{lang}\"";
    }
    for my $block (@sql)
    {
        push @complaints, "line $block->{line}: does not end with a semicolon"
          unless $block->{text} =~ /(?:;|^\\[^\n]*)\s*\z/m;
    }
    # A page that goes from server to server is run by the test that names it; the
    # runbook by those of its area, on servers that have the fault.
    return (\@complaints, {}) if $markdown =~ /^\\c service=/m || $markdown =~ /^# Runbook$/m;
    $node->safe_psql('postgres', "CREATE DATABASE $database") if @sql;
    my @outputs = @sql ? run_blocks($node, $database, @sql) : ();
    for my $i (0 .. $#sql)
    {
        my $shown = $sql[$i]{output};
        my $real = $outputs[$i] // "(the session has ended)\n";
        if (!$shown)
        {
            push @complaints, "line $sql[$i]{line}: not shown:\n$real"
              if $real =~ /^(?:ERROR|FATAL|PANIC|WARNING|psql:|\(the session|invalid|unrecognized)/m;
            next;
        }
        my $difference = differences($shown->{text}, $real);
        next unless defined $difference;
        push @complaints, "line $shown->{line}: $difference";
        $update{ $shown->{line} } = $real;
    }
    # What a page sets on the server ends with it.
    $node->safe_psql('postgres', 'ALTER SYSTEM RESET ALL');
    $node->reload if @sql;
    return (\@complaints, \%update);
}

sub no_complaints
{
    my ($name, @complaints) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    diag(join "\n", @complaints) if @complaints;
    return ok(!@complaints, $name);
}

for my $path (@pages)
{
    my $name = name_of($path);
    (my $database = "page_$name") =~ s/\W/_/g;
    my ($complaints, $update) = check_blocks($page{$name}, lc $database);
    if ($ENV{MANUAL_UPDATE} && %$update)
    {
        open my $out, '>:encoding(UTF-8)', $path or die "cannot write $path: $!";
        print $out with_outputs($page{$name}, %$update);
        close $out or die "cannot write $path: $!";
        diag("$name: outputs updated");
    }
    no_complaints("$name: blocks run or parse, outputs are as shown", @$complaints);
    no_complaints("$name: links", broken_links($path));
    no_complaints("$name: code stands in fences", stray_code($page{$name}));
    no_complaints("$name: plans are framed", plan_frames($page{$name}));
}
my $all = join "\n", map { $page{$_} } sort keys %page;

subtest 'pages of several servers are run by their tests' => sub {
    my @tests = map { read_text($_) } glob "$FindBin::Bin/{failover,replication,sharding,twins}_*.pl";
    for my $name (grep { $page{$_} =~ /^\\c service=/m } sort keys %page)
    {
        ok((grep { /ManyServers->new\('\Q$name\E'/ } @tests), $name);
    }
};

subtest 'functions and settings that the manual names exist' => sub {
    $node->safe_psql('postgres', 'CREATE EXTENSION timeshard');
    my %exists = map { $_ => 1 } split /\n/,
      $node->safe_psql('postgres', "LOAD 'timeshard'; SELECT proname FROM pg_proc
        UNION ALL SELECT name FROM pg_settings UNION ALL SELECT typname FROM pg_type");
    for my $paragraph (split /\n\s*\n/, $all)
    {
        # A later release may be promised, by its number, where it is named.
        next if $paragraph =~ /\b0\.[4-9]\.0\b/;
        my @missing = grep { !$exists{$_} } $paragraph =~ /\b(timeshard_\w+)(?=\()/g,
          $paragraph =~ /\b(timeshard\.(?:node|custom|max|seal)_\w+)/g;
        fail("$_ exists") for @missing;
    }
    for my $block (grep { $_->{info} && $_->{info} eq 'postgresql.conf' } blocks_of($all))
    {
        ok($exists{$_}, "$_ is a setting") for $block->{text} =~ /^([\w.]+)/gm;
    }
    ok($all =~ /timeshard_next_id\(/, 'functions are named');
};

subtest 'tables agree with the server' => sub {
    my $layouts = 0;
    for my $text (map { $page{$_} } sort keys %page)
    {
        while ($text =~ /^\| *(\d+) *\| *([\d,]+) *\| *([\d,]+) *\|/gm)
        {
            my ($bits, $nodes, $ids) = ($1, $2 =~ tr/,//dr, $3 =~ tr/,//dr);
            is("$nodes $ids", (1 << $bits) . ' ' . (1 << 22 - $bits), "layout of $bits node bits");
            $layouts++;
        }
    }
    cmp_ok($layouts, '>=', 4, 'layouts shown');

    my $settings = $node->safe_psql('postgres', "LOAD 'timeshard'; SELECT name,
        CASE WHEN unit IS NULL THEN boot_val ELSE current_setting(name) END
        FROM pg_settings WHERE name LIKE 'timeshard.%'");
    for (split /\n/, $settings)
    {
        my ($name, $default) = split /\|/, $_, -1;
        $default = "''" if $default eq '';
        like($page{'README.md'}, qr/^\| `\Q$name\E` \|[^|]*\| `\Q$default\E` \|/m,
            "$name with its default");
    }
};

# Such as FIGURES, for what a run is to fill in.
subtest 'no placeholder is left' => sub {
    for my $name (sort keys %page)
    {
        my $prose = $page{$name} =~ s/^```.*?^```$//gmsr;
        unlike($prose, qr/^[A-Z_]{4,}$/m, $name);
    }
};

subtest 'the errors of limits.md are in the sources' => sub {
    my $sources = join "\n", map { read_text($_) } glob "$root/src/{server,sql,registry}/*.cpp";
    $sources =~ s/"\s*\n\s*"//g;
    my @patterns;
    for my $message ($sources =~ /errmsg\("((?:[^"\\]|\\.)*)"/g)
    {
        $message =~ s/\\"/"/g;
        push @patterns, join "\x{2026}", map { quotemeta } split /%[-.*\d]*(?:ll)?[a-z](?:%s)*/, $message, -1;
    }
    push @patterns, map { message_pattern($_) } map { @{ $_->{messages} } } errors_of($root);
    my ($table) = $page{'limits.md'} =~ /^\| message \|.*\n\|[- |]+\n((?:\|.*\n)+)/m;
    for my $message ($table =~ /^\| `([^`]+)` \|/gm)
    {
        utf8::encode(my $name = $message);    # from 17 a wide character in the log is fatal
        ok((grep { $message =~ /^$_$/ } @patterns), $name);
    }
};

subtest 'examples.sql runs, and holds every block of uses.md' => sub {
    my $examples = read_text("$root/doc/examples.sql");
    $node->safe_psql('postgres', 'CREATE DATABASE examples');
    my ($out, $err) = ('', '');
    my $ok = IPC::Run::run(
        [ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$root/doc/examples.sql",
            '-d', $node->connstr('examples') ], '>', \$out, '2>', \$err);
    ok($ok, 'runs to its end') or diag($err);
    unlike($err, qr/ERROR|WARNING/, 'without an error');
    for my $block (grep { $_->{lang} eq 'sql' } blocks_of($page{'uses.md'}))
    {
        isnt(index($examples, $block->{text}), -1, "has the block of line $block->{line}");
    }
};

# The checks above can fail.
subtest 'a manual that is wrong is found out' => sub {
    my $number = 0;
    my $fence = '```';
    my $complaint_of = sub {
        my ($complaints) = check_blocks($_[0], 'wrong_' . $number++);
        return join "\n", @$complaints;
    };
    my $sql = "${fence}sql\nCREATE EXTENSION timeshard;\nSELECT %s;\n$fence\n\n${fence}text\n%s\n$fence\n";
    my $id = '118588871008231431';    # of 2024
    my $now = $node->safe_psql('postgres', 'SELECT timeshard_next_id()');
    my $one = "x\n---\n%s\n(1 row)";

    is($complaint_of->(sprintf $sql, 'timeshard_next_id() AS x', sprintf $one, $id),
        '', 'another ID is as good');
    like($complaint_of->(sprintf $sql, "$id AS x", sprintf $one, $id + 1),
        qr/shown/, 'not where the output is constant');
    like($complaint_of->(sprintf $sql, 'timeshard_next_id() / 1000 AS x', sprintf $one, $id),
        qr/shown/, 'nor where it is no ID');
    like($complaint_of->(sprintf $sql, "1 AS x", sprintf $one, 2), qr/shown: 2/, 'a changed number');
    like($complaint_of->(sprintf $sql, "1 AS x", "x\n---\n1\n(1 row)\n\n1"), qr/lines/, 'a line more');
    like($complaint_of->(sprintf $sql, "$now AS x, $now AS y", "x | y\n---+---\n$id | " . ($id + 1) . "\n(1 row)"),
        qr/should be the same/, 'equal IDs shown as different');
    like($complaint_of->("${fence}sql\nSELECT 1 / 0;\n$fence\n"), qr/division/, 'an error not shown');
    like($complaint_of->("${fence}sql\nSELECT 1\n$fence\n"), qr/semicolon/, 'an open statement');
    like($complaint_of->("${fence}sh\nif true\n$fence\n"), qr/sh -n/, 'a bad script');
    like($complaint_of->("${fence}\nanything\n$fence\n"), qr/neither run nor parsed/, 'no language');

    my $page = $node->basedir . '/page.md';
    append_to_file($page, "# A title: `x_y`\n[a](#a-title-x_y) [b](#a-titel) [c](none.md)\n");
    is_deeply([ broken_links($page) ], [ 'no such heading: #a-titel', 'broken link: none.md' ], 'links');
};

$node->stop;
done_testing();
