# A psql session that a test holds open: statements can be sent without waiting
# for them, so that something can be done to a session that waits.
#
# PostgreSQL's own BackgroundPsql keeps the errors of earlier queries and cannot
# outlive the loss of its connection; these tests need both.
package TimeshardSession;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(clock_gettime usleep CLOCK_MONOTONIC);

our @EXPORT = qw(monotonic eventually);

# Seconds on a clock that nobody sets.
sub monotonic
{
    return clock_gettime(CLOCK_MONOTONIC);
}

# Asks $condition again and again until it is true; false if it never is.
sub eventually
{
    my ($condition) = @_;
    my $end = monotonic() + $PostgreSQL::Test::Utils::timeout_default;
    while (monotonic() < $end)
    {
        return 1 if $condition->();
        usleep(20_000);
    }
    return 0;
}

sub new
{
    my ($class, $node, $dbname) = @_;
    my $self = bless { node => $node, in => '', out => '', err => '', sent => 0 }, $class;
    $self->{run} = IPC::Run::start(
        [ 'psql', '-XAtq', '-d', $node->connstr($dbname // 'postgres') ],
        '<', \$self->{in}, '>', \$self->{out}, '2>', \$self->{err});
    $self->{pid} = $self->ask_ok("\\set VERBOSITY verbose\nSELECT pg_backend_pid()");
    return $self;
}

# The process that serves the session.
sub pid
{
    my ($self) = @_;
    return $self->{pid};
}

sub send
{
    my ($self, $sql) = @_;
    my $mark = 'sent ' . ++$self->{sent};
    $self->{in} .= "$sql\n;\n\\echo '$mark'\n\\warn '$mark'\n";
    $self->{run}->pump_nb;
    return;
}

# Waits until everything sent is done; returns its output and its errors. Sets
# $session->{lost} where the connection has ended instead.
sub receive
{
    my ($self) = @_;
    my $mark = qr/^sent $self->{sent}\n/m;
    my $end = monotonic() + $PostgreSQL::Test::Utils::timeout_default;

    until ($self->{out} =~ $mark && $self->{err} =~ $mark)
    {
        die "no answer in time; so far: $self->{out} $self->{err}" if monotonic() > $end;
        unless ($self->{run}->pumpable)
        {
            $self->{lost} = 1;
            last;
        }
        # psql may end between the question and the pump.
        eval { $self->{run}->pump_nb; 1 } or $self->{lost} = 1;
        usleep(1000);
    }
    my ($out, $err) = ($self->{out}, $self->{err});
    ($self->{out}, $self->{err}) = ('', '');
    s/^sent \d+\n//mg for $out, $err;
    chomp($out, $err);
    return ($out, $err);
}

sub ask
{
    my ($self, $sql) = @_;
    $self->send($sql);
    return $self->receive;
}

# Runs what must succeed, and returns its output.
sub ask_ok
{
    my ($self, $sql) = @_;
    my ($out, $err) = $self->ask($sql);
    die "'$sql' failed: $err" if $err ne '' || $self->{lost};
    return $out;
}

# Waits until another session sees that this one is at work.
sub await_active
{
    my ($self) = @_;
    return $self->await("state = 'active'");
}

# Waits until another session sees this one sleep inside the extension.
sub await_wait
{
    my ($self) = @_;
    return $self->await("wait_event_type = 'Extension'");
}

sub await
{
    my ($self, $condition) = @_;
    return $self->{node}->poll_query_until('postgres',
        "SELECT $condition FROM pg_stat_activity WHERE pid = $self->{pid}")
      || die "the session never comes to $condition";
}

sub finish
{
    my ($self) = @_;
    $self->{in} .= "\\q\n";
    eval { $self->{run}->finish };
    return;
}

1;
