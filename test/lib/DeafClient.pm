# A client of the server that can stop reading: it speaks the protocol itself, because
# every driver reads what the server sends.
package DeafClient;

use strict;
use warnings FATAL => 'all';

use IO::Socket::UNIX;

# Connects to the database as that role, which needs no password.
sub new
{
    my ($class, $node, $user, $dbname) = @_;
    my $path = $node->host . '/.s.PGSQL.' . $node->port;
    my $socket = IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $path) or die "cannot connect to $path: $!";
    my $self = bless { socket => $socket }, $class;
    my $startup = pack 'N Z* Z* Z* Z* x', 196608, user => $user, database => $dbname // 'postgres';
    $self->send_bytes(pack('N', 4 + length $startup) . $startup);
    $self->read_until_ready;
    return $self;
}

sub send_bytes
{
    my ($self, $bytes) = @_;
    while (length $bytes)
    {
        my $sent = syswrite $self->{socket}, $bytes or die "cannot send: $!";
        substr($bytes, 0, $sent) = '';
    }
    return;
}

sub read_bytes
{
    my ($self, $count) = @_;
    my $bytes = '';
    while (length $bytes < $count)
    {
        sysread $self->{socket}, $bytes, $count - length $bytes, length $bytes or die 'the server has gone';
    }
    return $bytes;
}

# Reads messages until the server is ready; the backend's process number is kept.
sub read_until_ready
{
    my ($self) = @_;
    my $errors = '';
    while (1)
    {
        my ($type, $length) = unpack 'a N', $self->read_bytes(5);
        my $body = $self->read_bytes($length - 4);
        $self->{pid} = unpack 'N', $body if $type eq 'K';
        $errors .= $body if $type eq 'E';
        return $errors if $type eq 'Z';
    }
}

# The process that serves the client.
sub pid
{
    my ($self) = @_;
    return $self->{pid};
}

# Goes away: what the server still has to send fails.
sub close
{
    my ($self) = @_;
    CORE::close(delete $self->{socket});
    return;
}

# Sends a statement and reads no answer.
sub send
{
    my ($self, $sql) = @_;
    $self->send_bytes(pack 'a N Z*', 'Q', 5 + length $sql, $sql);
    return;
}

# Sends a statement and reads its answer; dies of an error.
sub ask_ok
{
    my ($self, $sql) = @_;
    $self->send($sql);
    my $errors = $self->read_until_ready;
    die "$sql: $errors" if $errors;
    return;
}

1;
