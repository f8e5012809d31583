# Client sessions that take IDs into a primary key without pause while a test
# does things to the server. Each keeps a log of every ID that was returned
# (test/probes/fault_writer.cpp); IdCheck.pm reads the logs.
#
#   my $writers = start_writers($node);         # or start_writers($node, count => 12, ...)
#   ... a fault ...
#   ok($writers->await_progress, 'service resumes');
#   $writers->stop;
#   my $figures = check_ids($node, $writers);   # three tests
#
# The sessions live through lost connections, errors and restarts by themselves,
# and end with the test. Several sets of writers, before and after a fault or on
# two servers, are checked together: check_ids($node, $before, $after). What else
# can be asked of a set of writers: ClientPrograms.pm.
package Writers;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use IdCheck;
use PostgreSQL::Test::Cluster;
use TimeshardSession;
use parent 'ClientPrograms';

our @EXPORT = qw(prepare_table start_writers);

my @kinds = qw(rows row commit rollback one many reconnect);
my $sets = 0;

# The table that the writers write to. Its key finds a repeated ID at once; the
# check counts that (SQLSTATE 23505) as one.
sub prepare_table
{
    my ($node, $dbname) = @_;
    $node->safe_psql($dbname // 'postgres',
        'CREATE TABLE IF NOT EXISTS fault_rows (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), filler integer)');
    return;
}

# Starts sessions and waits until each has been given an ID.
#
#   count => 6         how many
#   kinds => [...]     of: rows row commit rollback one many reconnect (all of
#                      them); [qw(one many)] writes no table
#   pause => 0         us between two calls of a session
#   conninfo => "..."  in place of the node's own
#   wait => 0          do not wait for the IDs (nor make the table)
sub start_writers
{
    my ($node, %options) = @_;
    my $wait = $options{wait} // 1;
    prepare_table($node) if $wait;
    $sets++;
    my @arguments = map { [ $_ + 100 * $sets, join(',', @{ $options{kinds} // \@kinds }), $options{pause} // 0 ] } 1 .. $options{count} // 6;
    my $self = __PACKAGE__->start($node, 'fault_writer', \@arguments, name => "writers_$sets", conninfo => $options{conninfo});
    die 'the writers do not get going: ' . join(' ', $self->errors) if $wait && !$self->await_progress;
    return $self;
}

# Waits until every session (or so many of them) has been given an ID by a call
# that started after now; false if that does not come to pass in time.
sub await_progress
{
    my ($self, $sessions) = @_;
    $sessions //= $self->logs;
    my $since = monotonic() * 1e9;
    my $follow = $self->follow;
    my %served;
    return eventually(sub {
        my $number = 0;
        for my $text ($follow->())
        {
            $number++;
            next if $served{$number};
            while ($$text =~ /^I \S+ \S+ (\d+) .*\n/mg)
            {
                $served{$number} = 1 if $1 > $since;
            }
        }
        return keys %served >= $sessions;
    });
}

1;
