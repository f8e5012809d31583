# Runs the steps of a page of the manual, the SQL blocks that its fences name, in one
# psql session of a database, with a test's own looks in between.
#
#   my $steps = PageSteps->new('sharding.md', $node, 'shop');
#   $steps->run('addresses', sub { s/:HOST/.../gr });    # the text changed before
#   my $out = $steps->run('first-rows');                  # a test: no error
#   my ($out, $err) = $steps->try('down');
package PageSteps;

use strict;
use warnings FATAL => 'all';

use FindBin;
use Manual qw(read_text blocks_of);
use Test::More;
use TimeshardSession;

sub new
{
    my ($class, $page, $node, $database) = @_;
    my %text;
    for my $block (grep { $_->{lang} =~ /^(?:sql|sh)$/ && $_->{info} } blocks_of(read_text("$FindBin::RealBin/../../doc/$page")))
    {
        die "two blocks of $page are named $block->{info}" if exists $text{ $block->{info} };
        $text{ $block->{info} } = $block->{text};
    }
    return bless { page => $page, text => \%text, session => TimeshardSession->new($node, $database), ran => {} }, $class;
}

# A block as it stands, for a test that runs it elsewhere or in parts.
sub text
{
    my ($self, $name) = @_;
    $self->{ran}{$name} = 1;
    return $self->{text}{$name} // die "$self->{page} has no block named $name";
}

# Runs a block; returns its output and its errors. $change is given its text as $_.
sub try
{
    my ($self, $name, $change) = @_;
    local $_ = $self->text($name);
    return $self->{session}->ask($change ? $change->() : $_);
}

# Runs a block that must succeed, and returns its output.
sub run
{
    my ($self, $name, $change) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($out, $err) = $self->try($name, $change);
    ok($err !~ /ERROR|FATAL|WARNING/ && !$self->{session}{lost}, "the step $name") or diag($err);
    return $out;
}

# Runs SQL of the test's own in the page's session; returns output and errors.
sub ask
{
    my ($self, $sql) = @_;
    return $self->{session}->ask($sql);
}

sub ask_ok
{
    my ($self, $sql) = @_;
    return $self->{session}->ask_ok($sql);
}

# The page's blocks that no test has run.
sub left_out
{
    my ($self) = @_;
    return sort grep { !$self->{ran}{$_} } keys %{ $self->{text} };
}

sub finish
{
    my ($self) = @_;
    return $self->{session}->finish;
}

1;
