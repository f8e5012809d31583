# .github/CONTRIBUTING.md is true: its links, paths and commands exist, and the lines
# that its example changes stand in their files, once. The workflow runs `make test` on
# the versions that the README names; the templates parse; no address is made up. The
# README stays short, and the manual's index leads to every page.
use strict;
use warnings FATAL => 'all';

use File::Spec;
use FindBin;
use lib "$FindBin::RealBin/../lib";

use Manual qw(read_text blocks_of broken_links);
use ManualParsers qw(parser_for);
use Test::More;

my $root = File::Spec->rel2abs("$FindBin::RealBin/../..");
my $page = "$root/.github/CONTRIBUTING.md";
plan skip_all => 'no checkout' unless -e $page;
my $text = read_text($page);
my @blocks = blocks_of($text);

is(join("\n", broken_links($page)), '', 'links');

# Commands: targets of the Makefile, stages of run.sh and their tests. In prose they
# stand in backquotes.
my ($stages) = read_text("$root/test/run.sh") =~ /^stages=\$\{\*:-(.*)\}$/m;
my %stage = map { $_ => 1 } split / /, $stages;
my %target = map { $_ => 1 } map { split / / } read_text("$root/Makefile") =~ /^\.PHONY: *(.*)$/gm;
my $prose = $text =~ s/^```.*?^```$//gmsr;
my @code = $prose =~ /`([^`\n]+)`/g;
for my $command (map({ split /\n/, $_->{text} } grep { $_->{lang} eq 'sh' } @blocks), @code)
{
    if ($command =~ /^make (\S+)/) { ok($target{$1}, $command) }
    elsif ($command =~ m{^(?:TAP="?([^"]+?)"? )?test/run\.sh (\w+)$})
    {
        ok($stage{$2}, $command);
        ok(-e "$root/$_", "$command: $_") for split / /, $1 // '';
    }
}

# Paths may have a star.
for my $path (grep { m{^(?:src|sql|expected|test|doc|README\.md|\.clang-format)(?:/[\w./*-]+)?$} } @code)
{
    ok((grep { -e } glob "$root/$path"), "there is $path");
}

for my $diff (map { $_->{text} } grep { $_->{lang} eq 'diff' } @blocks)
{
    my ($file, $body) = $diff =~ m{\A--- (\S+)\n\+\+\+ \1\n@@\n(.*)\z}s or die "not a diff: $diff";
    my $old = join '', map { /^[- ](.*)/s ? $1 : () } $body =~ /^.*\n/gm;
    my $times = () = read_text("$root/$file") =~ /^\Q$old\E/gm;
    is($times, 1, "the example's lines stand in $file, once");
}

is(join("\n", broken_links("$root/SECURITY.md")), '', 'links of SECURITY.md');
my @yaml = glob "$root/.github/{ISSUE_TEMPLATE,workflows}/*.yml";
cmp_ok(scalar @yaml, '>=', 3, 'there are templates and a workflow');
is(join("\n", parser_for('yaml')->(read_text($_))), '', "$_ parses") for @yaml;
unlike(read_text($_), qr{\w@[\w-]+\.\w|https?://}, "$_ has no address") for "$root/SECURITY.md", @yaml;

my $workflow = read_text("$root/.github/workflows/test.yml");
my ($tested) = read_text("$root/README.md") =~ /^\*\*Tested on\*\* PostgreSQL ([\d, and]+), on Debian/m;
is(join(' ', $workflow =~ /\bpostgresql: (\d+)/g), join(' ', $tested =~ /\d+/g), 'the workflow tests what the README names');
like($workflow, qr/^ +run: make test$/m, 'by make test');

my $lines = () = read_text("$root/README.md") =~ /\n/g;
cmp_ok($lines, '<=', 220, 'lines of the README');
my $index = read_text("$root/doc/README.md");
is(join(' ', grep { $index !~ /\]\(\Q$_\E\)/ } grep { $_ ne 'README.md' } map { m{([^/]+)$} } glob "$root/doc/*.md"), '',
    'every page is in the index');

done_testing();
