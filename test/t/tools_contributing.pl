# .github/CONTRIBUTING.md is true: what it names is there, every command is one
# that is run, here or by `make test`, and its example leads from a test that fails
# to one that passes, in a copy of the checkout.

use strict;
use warnings FATAL => 'all';

use File::Spec;
use FindBin;
use lib "$FindBin::RealBin/../lib";

use IPC::Run;
use Manual qw(read_text blocks_of broken_links);
use ManualParsers qw(parser_for);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $root = File::Spec->rel2abs("$FindBin::RealBin/../..");
my $page = "$root/.github/CONTRIBUTING.md";
plan skip_all => 'no checkout' unless -e $page && -e "$root/test/run.sh";
my $text = read_text($page);
my @blocks = blocks_of($text);

sub no_complaints
{
    my ($name, @complaints) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is(join("\n", @complaints), '', $name);
}

like(read_text("$root/README.md"), qr{\]\(\.github/CONTRIBUTING\.md\)}, 'the README links to it');
no_complaints('links', broken_links($page));

# What the commands may be: stages of run.sh, targets of the Makefile.
my ($stages) = read_text("$root/test/run.sh") =~ /^stages=\$\{\*:-(.*)\}$/m;
my %stage = map { $_ => 1 } split / /, $stages;
my %target = map { $_ => 1 } map { split / / } read_text("$root/Makefile") =~ /^\.PHONY: *(.*)$/m;
my %run_here = map { $_ => 1 } 'make help', 'make reference', 'test/run.sh regress';
my @shown = map { split /\n/, $_->{text} } grep { $_->{lang} eq 'sh' } blocks_of(read_text("$root/README.md"));
my %readme = map { $_ => 1 } map { split / && / } @shown;

# The complaints about a command: `make test` runs every stage of run.sh and every
# TAP test; the rest is run here, or shown in the README, or another `make test-…`.
sub command_complaints
{
    my ($command) = @_;
    return if $run_here{$command} || $readme{$command};
    return $target{$1} ? () : "no such target: $command" if $command =~ /^make (test-\S+)$/;
    if ($command =~ m{^(?:TAP=(\S+) )?test/run\.sh (\w+)$})
    {
        my ($tests, $stage) = ($1, $2);
        return "no such stage: $command" unless $stage{$stage};
        return "tests for a stage that has none: $command" if $tests && $stage ne 'tap';
        return map { "no such test: $_" } grep { !-e "$root/$_" } split / /, $tests // '';
    }
    return "nothing runs it: $command";
}

# Paths, which may have a star.
sub path_complaints
{
    my ($path) = @_;
    return grep({ -e } glob "$root/$path") ? () : "not there: $path";
}

sub page_complaints
{
    my ($markdown) = @_;
    my @complaints;
    for my $block (blocks_of($markdown))
    {
        if ($block->{lang} eq 'sh')
        {
            push @complaints, parser_for('sh')->($block->{text});
            push @complaints, map { command_complaints($_) } split /\n/, $block->{text};
        }
        elsif ($block->{lang} ne 'diff') { push @complaints, "neither run nor carried out: a block of \"$block->{lang}\"" }
    }
    $markdown =~ s/^```.*?^```$//gms;
    for my $code ($markdown =~ /`([^`\n]+)`/g)
    {
        push @complaints, command_complaints($code) if $code =~ /^make |run\.sh /;
        push @complaints, path_complaints($code) if $code =~ m{^(?:src|sql|expected|test|doc|README\.md|\.clang-format)(?:/[\w./*-]+)?$};
    }
    return @complaints;
}
no_complaints('commands, stages, targets and files', page_complaints($text));
my $fence = '```';
for my $case (
    [ 'nothing runs it: make coffee' => "${fence}sh\nmake coffee\n$fence\n" ],
    [ 'no such target: make test-nothing' => 'Run `make test-nothing`.' ],
    [ 'no such stage' => 'Run `test/run.sh everything`.' ],
    [ 'no such test: test/t/none.pl' => 'Run `TAP=test/t/none.pl test/run.sh tap`.' ],
    [ 'not there: src/none' => 'See `src/none`.' ],
    [ 'sh -n' => "${fence}sh\nif true\n$fence\n" ],
    [ 'neither run' => "${fence}sql\nSELECT 1;\n$fence\n" ])
{
    my ($complaint, $wrong) = @$case;
    like(join("\n", page_complaints($wrong)), qr/\Q$complaint\E/, "a page that is wrong is found out: $complaint");
}

# The example, in a copy, as a reader would carry it out. The folder of a run must
# have a short name: there is a socket in it.
my $short = PostgreSQL::Test::Utils::tempdir_short();
my $copy = "$short/checkout";
mkdir $copy or die "cannot make $copy: $!";
system_or_bail('sh', '-c', 'cd "$1" && find . \( -name .git -o -name build -o -name tmp_check -o -name results -o -name log \) -prune '
      . '-o -type f ! -name "*.o" ! -name "*.bc" ! -name "*.so" -print | tar -cf - -T - | tar -xf - -C "$2"', 'sh', $root, $copy);
chomp(my $bindir = `pg_config --bindir`);

# Runs a command of the page in the copy; returns whether it succeeded, and what
# it has said.
sub carry_out
{
    my ($command) = @_;
    local %ENV = (%ENV, TMPDIR => $short);
    delete @ENV{ grep { /^(?:PG|MAKE|MFLAGS|TESTDIR|TIMESHARD_|TAP|REFERENCE)/ } keys %ENV };
    $ENV{PG_CONFIG} = "$bindir/pg_config";
    my $start = time;
    my $output = '';
    my $ok = IPC::Run::run([ 'sh', '-c', $command ], '<', \undef, '>&', \$output, init => sub { chdir $copy or die "cannot go to $copy: $!" });
    note(sprintf "%s: %.0f s\n%s", $command, time - $start, $output);
    return ($ok, $output);
}

# Does what a diff of the page says: its old lines must stand in the file, once.
sub apply
{
    my ($diff) = @_;
    my ($file, $body) = $diff =~ m{\A--- (\S+)\n\+\+\+ \1\n@@\n(.*)\z}s or die "not a diff: $diff";
    my $old = join '', map { /^[- ](.*)/s ? $1 : () } $body =~ /^.*\n/gm;
    my $new = join '', map { /^[+ ](.*)/s ? $1 : () } $body =~ /^.*\n/gm;
    my $content = read_text("$copy/$file");
    my $times = () = $content =~ /^\Q$old\E/gm;
    is($times, 1, "the lines that the example changes stand in $file, once") or return;
    $content =~ s/^\Q$old\E/$new/m;
    open my $out, '>:encoding(UTF-8)', "$copy/$file" or die "cannot write $file: $!";
    print $out $content;
    close $out or die "cannot write $file: $!";
    return $new;
}

my $start = time;
my @steps = grep { $_->{lang} =~ /^(?:sh|diff)$/ } @blocks;
is(join(' ', map { $_->{lang} } @steps), 'sh diff sh diff sh', 'the steps: look, test, see it fail, change, see it pass');
my ($looked, $helped) = carry_out('make help');
ok($looked && $helped =~ /^make reference +\w/m, 'make help tells of the targets');

my $expected = apply($steps[1]{text});
my ($ok, $output) = carry_out($steps[2]{text} =~ s/\n\z//r);
ok(!$ok, 'with the test alone, it fails');
like($output, qr/^-\Q$expected\E/m, 'and prints the line that differs');
like($output, qr/^What the failed run left is in \Q$short\E/m, 'and names the folder that it leaves');
unlike($output, qr/^test (?!codes)\w+ +\.\.\. FAILED/m, 'and nothing else fails');

apply($steps[3]{text});
($ok, $output) = carry_out($steps[4]{text} =~ s/\n\z//r);
ok($ok, 'with the change, it passes') or diag($output);
note(sprintf 'the example took %.0f s', time - $start);

# The page that is made anew is the one that is there.
append_to_file("$copy/doc/reference.md", "What nobody has made.\n");
($ok, $output) = carry_out('make reference');
ok($ok, 'make reference') or diag($output);
is(read_text("$copy/doc/reference.md"), read_text("$root/doc/reference.md"), 'and doc/reference.md is as it was');

done_testing();
