# pgbouncer in transaction mode between a test and its server, by the
# configuration that doc/clients.md shows.
package Pgbouncer;

use strict;
use warnings FATAL => 'all';

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Clients;
use TimeshardSession;

my $program = -x '/usr/sbin/pgbouncer' ? '/usr/sbin/pgbouncer' : 'pgbouncer';
my %running;

# Its version as a number, 1018 for 1.18; nothing if it is not installed.
sub version
{
    my ($out, $err);
    return unless eval { IPC::Run::run([ $program, '--version' ], '>', \$out, '2>', \$err) };
    return $out =~ /PgBouncer (\d+)\.(\d+)/ ? 1000 * $1 + $2 : undef;
}

# Starts it for the database "shop" of the cluster, with these settings changed;
# returns when it answers.
sub new
{
    my ($class, $node, %settings) = @_;
    my $self = bless { node => $node, port => PostgreSQL::Test::Cluster::get_free_port() }, $class;
    my $folder = $node->basedir . "/pgbouncer_$self->{port}";
    mkdir $folder or die "cannot make $folder: $!";

    # No passwords, and the addresses of the test.
    my $text = snippet('pgbouncer.ini');
    my $server = 'host=' . $node->host . ' port=' . $node->port;
    $text =~ s/^shop = .*$/shop = $server dbname=shop/m or die 'the page has no database shop';
    %settings = (listen_port => $self->{port}, auth_type => 'trust', auth_file => "$folder/users", unix_socket_dir => '',
        admin_users => 'shop', logfile => "$folder/log", pidfile => "$folder/pid", server_login_retry => 1, %settings);
    for my $key (sort keys %settings)
    {
        $text =~ s/^\Q$key\E = .*$/$key = $settings{$key}/m or $text .= "$key = $settings{$key}\n";
    }
    write_program("$folder/users", qq{"shop" ""\n});
    my $file = write_program("$folder/pgbouncer.ini", $text);

    $self->{run} = IPC::Run::start([ $program, '-q', $file ], '<', \undef, '>', \my $out, '2>', \$self->{said});
    $running{ $self->{port} } = $self;
    eventually(sub { ($self->ask('SELECT 1'))[0] eq '1' })
      or die 'pgbouncer does not answer: ' . ($self->{said} // '') . (-e "$folder/log" ? slurp_file("$folder/log") : '');
    return $self;
}

sub stop
{
    my ($self) = @_;
    delete $running{ $self->{port} } or return;
    $self->{run}->signal('INT');
    eval { $self->{run}->finish };
    return;
}

# Also where the test ends early.
END
{
    my $status = $?;
    $_->stop for values %running;
    $? = $status;
}

# The way to it as libpq has it, which is what TimeshardSession takes of a cluster.
sub connstr
{
    my ($self, $database) = @_;
    return "host=127.0.0.1 port=$self->{port} user=shop dbname=$database";
}

# A session that a test holds open.
sub session
{
    my ($self) = @_;
    return TimeshardSession->new($self, 'shop');
}

# The answers to some commands, each a transaction, in a connection of their own.
sub ask
{
    my ($self, @sql) = @_;
    my ($out, $err) = ('', '');
    IPC::Run::run([ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $self->connstr('shop'), map { ('-c', $_) } @sql ],
        '<', \undef, '>', \$out, '2>', \$err);
    chomp($out, $err);
    return ($out, $err);
}

# What its console says: a hash for each row, by the names of the columns.
sub console
{
    my ($self, $command) = @_;
    my ($out, $err) = ('', '');
    IPC::Run::run([ 'psql', '-XAq', '-P', 'footer=off', '-d', $self->connstr('pgbouncer'), '-c', $command ],
        '<', \undef, '>', \$out, '2>', \$err)
      or die "$command: $err";
    my ($head, @lines) = map { [ split /\|/, $_, -1 ] } split /\n/, $out;
    return map { my %row; @row{@$head} = @$_; \%row } @lines;
}

1;
