# Runs the commands of doc/runbook.md as an operator pastes them, on a server that a
# test has broken, and compares what they print with what the page shows.
#
#   my $book = Runbook->new;
#   $book->at($node);                      # the server that they are for
#   $book->run('clock-back');              # a test
#   $book->run('which', sub { s/390.*(?=\))/$id/r });    # the text changed before
#   my $output = $book->try('no-start');   # no test
#
# What a test machine lacks is played by programs in a folder of the test's own, which
# comes first in the path: systemctl is pg_ctl on the node, under its stepped clock; sudo
# runs its command; chronyc sets the node's clock right. stand_in() adds others.
package Runbook;

use strict;
use warnings FATAL => 'all';

use FindBin;
use IPC::Run;
use Manual qw(read_text blocks_of differences with_outputs);
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

sub new
{
    my ($class) = @_;
    my $path = "$FindBin::RealBin/../../doc/runbook.md";
    my @blocks = grep { $_->{lang} =~ /^(?:sql|sh)$/ } blocks_of(read_text($path));
    my $folder = PostgreSQL::Test::Utils::tempdir();
    mkdir "$folder/$_" for qw(bin home);
    my $self = bless { path => $path, folder => $folder, block => { map { $_->{info} => $_ } @blocks }, update => {} }, $class;
    $self->stand_in(sudo => 'exec "$@"');
    return $self;
}

# The folder that is the operator's home, where commands start.
sub home
{
    my ($self) = @_;
    return "$self->{folder}/home";
}

sub stand_in
{
    my ($self, $name, $script) = @_;
    my $file = "$self->{folder}/bin/$name";
    open my $out, '>', $file or die "cannot write $file: $!";
    print $out "#!/bin/sh\n$script\n";
    close $out or die "cannot write $file: $!";
    chmod 0755, $file;
    return;
}

sub quoted
{
    my ($text) = @_;
    return "'" . $text =~ s/'/'\\''/gr . "'";
}

# Commands go to this server from now on; %env is for the commands.
sub at
{
    my ($self, $node, %env) = @_;
    $self->{node} = $node;
    my $clock = $node->{timeshard_clock} // {};
    my $server = join ' ', map { quoted("$_=$clock->{$_}") } sort keys %$clock;
    $self->stand_in(systemctl => <<SH);
[ "\$2" = "\$UNIT" ] || { echo "no such unit: \$2" >&2; exit 5; }
exec env -u TIMESHARD_NODE_ID $server pg_ctl -s -w -m fast -D "\$PGDATA" -l @{[ quoted($node->logfile) ]} -o --cluster-name=@{[ $node->name ]} "\$1"
SH
    my $file = quoted($node->{timeshard_clock_file} // '/dev/null');
    $self->stand_in(chronyc => <<SH);
case \$1 in
makestep) echo +0 >$file.new && mv $file.new $file ;;
tracking) echo 'System time     : 0.000012345 seconds slow of NTP time' ;;
esac
SH
    my $conf = $node->data_dir . '/postgresql.conf';
    my $path = join ':', "$self->{folder}/bin", $node->{_install_path} ? "$node->{_install_path}/bin" : (), $ENV{PATH};
    $self->{env} = {
        PATH => $path, HOME => $self->home, PGHOST => $node->host, PGPORT => $node->port, PGDATABASE => 'postgres',
        PGDATA => $node->data_dir, CONF => $conf, NODE_CONF => $conf, UNIT => 'postgresql@test', %env };
    return $self;
}

# Pastes a block; returns what it prints, errors included.
sub try
{
    my ($self, $name, $change) = @_;
    my $block = $self->{block}{$name} // die "runbook.md has no block $name";
    local $_ = $block->{text};
    my $text = $change ? $change->() : $_;
    die "the block $name has nothing to change" if $change && $text eq $_;
    my $output = '';
    utf8::encode($text);
    local %ENV = (%ENV, %{ $self->{env} });
    my @command = $block->{lang} eq 'sql' ? qw(psql -X -q -w) : ('sh', '-uc', "cd ~\n$text");
    IPC::Run::run(\@command, '<', $block->{lang} eq 'sql' ? \$text : \undef, '>&', \$output);
    $self->{node}->_update_pid(-1);
    return $output;
}

# The same as a test: prints what the page shows or, where it shows nothing, no error.
sub run
{
    my ($self, $name, $change) = @_;
    my $output = $self->try($name, $change);
    my $shown = $self->{block}{$name}{output};
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    if (!$shown)
    {
        unlike($output, qr/\b(?:ERROR|FATAL|PANIC|error):|not found|No such file|could not/, "the commands '$name'");
        return $output;
    }
    my $difference = differences($shown->{text}, $output);
    $self->{update}{ $shown->{line} } = $output if defined $difference;
    ok(!defined $difference, "the commands '$name'") or diag($difference);
    return $output;
}

# The same, and their last line must be this.
sub ends_in
{
    my ($self, $name, $last, $change) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $output = $self->run($name, $change);
    return like($output, qr/^\Q$last\E\n\z/m, "'$name' ends in $last");
}

# With MANUAL_UPDATE=1, outputs that differ are written into the page.
sub finish
{
    my ($self) = @_;
    return unless $ENV{MANUAL_UPDATE} && %{ $self->{update} };
    open my $out, '>:encoding(UTF-8)', $self->{path} or die "cannot write $self->{path}: $!";
    print $out with_outputs(read_text($self->{path}), %{ $self->{update} });
    close $out or die "cannot write $self->{path}: $!";
    diag('runbook.md: outputs updated');
    return;
}

1;
