# Runs doc/event_consumer.py, the manual's client in Python, beside a test.
package EventConsumer;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use ClientPrograms qw(spawn exit_status);
use FindBin;
use ManualParsers;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(has_psycopg2 consumer exit_of said_by);

our $client = "$FindBin::RealBin/../../doc/event_consumer.py";

my $python = ManualParsers::python();
my %errors_of;

sub has_psycopg2
{
    return IPC::Run::run([ $python, '-c', 'import psycopg2' ], '>', \my $out, '2>', \my $err);
}

# Starts the client, or a copy of it, with what it says in a file of its own.
sub consumer
{
    my ($dsn, @arguments) = @_;
    my $program = @arguments && $arguments[0] =~ /\.py$/ ? shift @arguments : $client;
    my $file = "$PostgreSQL::Test::Utils::tmp_check/consumer_$$" . '_' . keys(%errors_of) . '.err';
    my $pid = spawn($file, $python, $program, '--dsn', $dsn, @arguments);
    $errors_of{$pid} = $file;
    return $pid;
}

# The client's exit code, when it has ended.
sub exit_of
{
    my ($pid) = @_;
    my $status = exit_status($pid) // return 'never';
    return $status & 127 ? 'signal ' . ($status & 127) : $status >> 8;
}

# What the client has said on its standard error so far.
sub said_by
{
    my ($pid) = @_;
    return -e $errors_of{$pid} ? slurp_file($errors_of{$pid}) : '';
}

1;
