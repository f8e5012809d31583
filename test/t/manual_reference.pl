# doc/reference.md is what the catalog and the settings say.
#
# With REFERENCE_UPDATE=1 the page is written instead.

use strict;
use warnings FATAL => 'all';

use File::Spec;
use FindBin;
use lib "$FindBin::RealBin/../lib";

use Manual qw(read_text);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ReferencePage qw(reference_page);
use Test::More;
use Timeshard;

my $root = File::Spec->rel2abs("$FindBin::RealBin/../..");
my $file = "$root/doc/reference.md";
my $node = new_cluster('reference');
my $page = reference_page($node);

if ($ENV{REFERENCE_UPDATE})
{
    open my $out, '>:encoding(UTF-8)', $file or die "cannot write $file: $!";
    print $out $page;
    close $out or die "cannot write $file: $!";
    diag("$file is written");
}

# The first line that differs, for the eye.
sub difference
{
    my ($is, $should) = @_;
    my @is = split /\n/, $is;
    my @should = split /\n/, $should;
    for my $i (0 .. ($#is > $#should ? $#is : $#should))
    {
        my ($left, $right) = ($is[$i] // '(its end)', $should[$i] // '(its end)');
        return 'line ' . ($i + 1) . ": $left\nshould be: $right\n" if $left ne $right;
    }
    return '';
}
is(difference(-e $file ? read_text($file) : '', $page), '', 'the page is what the server says') or
  diag('make reference writes it anew');

# Nothing is left out.
my $names = $node->safe_psql('postgres', <<'SQL');
LOAD 'timeshard';
SELECT proname FROM pg_proc WHERE proname LIKE 'timeshard\_%'
UNION SELECT name FROM pg_settings WHERE name LIKE 'timeshard.%'
UNION SELECT typname FROM pg_type WHERE typname LIKE 'timeshard\_%'
UNION SELECT attname FROM pg_attribute WHERE attrelid = 'timeshard_parts'::regclass
SQL
my @missing = grep { $page !~ /\b\Q$_\E\b/ } split /\n/, $names;
is("@missing", '', 'every name is on the page');

$node->stop;
done_testing();
