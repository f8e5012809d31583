# Sessions that go on writing while a test changes what they write to, and the list
# of what they have committed.
package BusyClients;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use ClientPrograms qw(spawn end_all);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use TimeshardSession;

our @EXPORT = qw(start_clients await_clients stop_clients);

my @clients;
my $owner = $$;

# Sessions that run their SQL again and again, each time with another name in the
# place of NAME, and note every name whose transaction has ended well, with what it
# printed. A client that meets an error notes that, and goes on. None outlives its test.
sub start_clients
{
    my ($node, $database, @scripts) = @_;
    for my $number (1 .. @scripts)
    {
        my $log = $node->basedir . "/client_${database}_$number.log";
        open my $out, '>', $log or die "cannot write $log: $!";
        my $run = sub {
            my $ok = eval { client($node, $database, $number, $scripts[ $number - 1 ], $out); 1 };
            print $out "E\tended: $@\n" unless $ok;
            close $out;
        };
        push @clients, { pid => spawn("$log.err", $run), log => $log };
        close $out;
    }
    return await_clients();
}

sub client
{
    my ($node, $database, $number, $script, $log) = @_;
    $log->autoflush(1);
    my $stop = 0;
    local $SIG{TERM} = sub { $stop = 1 };
    my $session = TimeshardSession->new($node, $database);
    for (my $n = 1; !$stop && getppid == $owner; $n++)
    {
        my $name = "client $number-$n";
        my ($out, $err) = $session->ask($script =~ s/NAME/$name/gr);
        $err =~ s/\s+/ /g;
        print $log $err eq '' ? "C\t$name\t$out\n" : "E\t$err\n";
        die 'the connection is lost' if $session->{lost};
        usleep(2000);
    }
    $session->finish;
    return;
}

# True when every client has had a transaction that began after now end well, and
# none has met an error: a test that fails need not wait for what does not come.
sub await_clients
{
    my @from = map { -s $_->{log} } @clients;
    my @errors;
    my $all = eventually(sub {
        my @seen = map { slurp_file($_->{log}) } @clients;
        @errors = map { /^E\t(.*)/mg } @seen;
        return @errors || !grep { (() = substr($seen[$_], $from[$_]) =~ /^C\t/mg) < 2 } 0 .. $#clients;
    });
    diag("a client has met an error: $errors[0]") if @errors;
    return $all && !@errors;
}

# Ends the clients. Puts what they noted into a table of the database, written
# (name, printed); returns the errors that they met.
sub stop_clients
{
    my ($node, $database) = @_;
    end_all(map { $_->{pid} } @clients);
    my @lines = map { split /\n/, slurp_file($_->{log}) } splice @clients;
    my $file = $node->basedir . "/written_$database";
    append_to_file($file, join '', map { /^C\t(.*)/ ? "$1\n" : () } @lines);
    $node->safe_psql($database, "CREATE TABLE written (name text PRIMARY KEY, printed text);\n\\copy written FROM '$file'");
    my %seen = map { /^E\t(.*)/ ? ($1 => 1) : () } @lines;
    return sort keys %seen;
}

1;
