# Runs doc/event_consumer.py, the manual's client in Python, beside a test.
package EventConsumer;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use FindBin;
use ManualParsers;
use POSIX ();
use PostgreSQL::Test::Utils;
use TimeshardSession;

our @EXPORT = qw(has_psycopg2 consumer exit_of said_by);

our $client = "$FindBin::RealBin/../../doc/event_consumer.py";

my $python = ManualParsers::python();
my (%started, %errors_of);

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
    my $pid = fork // die "cannot fork: $!";
    if ($pid == 0)
    {
        open STDERR, '>', $file;
        exec { $python } $python, $program, '--dsn', $dsn, @arguments or POSIX::_exit(127);
    }
    ($started{$pid}, $errors_of{$pid}) = (1, $file);
    return $pid;
}

# The client's exit code, when it has ended.
sub exit_of
{
    my ($pid) = @_;
    my $ended = eventually(sub { waitpid($pid, POSIX::WNOHANG()) == $pid });
    my $status = $?;
    return 'never' unless $ended;
    delete $started{$pid};
    return $status & 127 ? 'signal ' . ($status & 127) : $status >> 8;
}

# What the client has said on its standard error so far.
sub said_by
{
    my ($pid) = @_;
    return -e $errors_of{$pid} ? slurp_file($errors_of{$pid}) : '';
}

END
{
    my $status = $?;
    kill 'KILL', keys %started;
    waitpid $_, 0 for keys %started;
    $? = $status;
}

1;
