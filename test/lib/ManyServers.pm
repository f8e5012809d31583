# Runs a page of the manual that needs several servers. Its SQL blocks run in one
# psql session, which goes from server to server as a reader does, by \c
# service=NAME; its named sh blocks in between, in a folder of their own. What
# they print is compared with what the page shows. A fence "text figures" shows
# output whose figures differ each time: the words must agree, and the test looks
# at the figures. With MANUAL_UPDATE=1 outputs that differ are written into the page.
package ManyServers;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use FindBin;
use IPC::Run;
use Manual qw(read_text blocks_of differences with_outputs);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use TimeshardSession;

our @EXPORT = qw(configurations write_services await_subscriptions last_error subscription_errors $taken_key);

# What a subscriber logs of an ID that it has already; 18 words it anew.
our $taken_key = qr/duplicate key value violates unique constraint "orders_pkey"|conflict=insert_exists/;

# What the page doc/NAME has servers put into their postgresql.conf, block by block.
sub configurations
{
    my ($name) = @_;
    return map { $_->{text} } grep { $_->{info} eq 'postgresql.conf' } blocks_of(read_text("$FindBin::RealBin/../../doc/$name"));
}

# A service file for these nodes: name => node, or => [nodes], of which a
# connection takes the one that can be written to. Names it in the environment,
# also of the servers that are started from now on, whose subscriptions need it.
sub write_services
{
    my ($file, %node_of) = @_;
    open my $out, '>', $file or die "cannot write $file: $!";
    for my $name (sort keys %node_of)
    {
        my @nodes = ref $node_of{$name} eq 'ARRAY' ? @{ $node_of{$name} } : $node_of{$name};
        print $out "[$name]\nhost=" . join(',', map { $_->host } @nodes) . "\nport=" . join(',', map { $_->port } @nodes)
          . "\ndbname=postgres\n" . (@nodes > 1 ? "target_session_attrs=read-write\n" : '');
    }
    close $out or die "cannot write $file: $!";
    $ENV{PGSERVICEFILE} = $file;
    return;
}

# The page doc/NAME, not yet run. Options:
#
#   first => NAME      the service that the session starts on
#   folder => PATH     where sh blocks run
#   env => {...}       for the sh blocks
sub new
{
    my ($class, $name, %options) = @_;
    my $path = "$FindBin::RealBin/../../doc/$name";
    my @blocks = grep { $_->{lang} eq 'sql' || ($_->{lang} eq 'sh' && $_->{info}) } blocks_of(read_text($path));
    my $self = bless { name => $name, path => $path, blocks => \@blocks, next => 0, update => {}, in => '', out => '', %options }, $class;
    $self->{run} = IPC::Run::start([ 'psql', '-X', '-q', '-w', '-d', "service=$options{first}" ],
        '<', \$self->{in}, '>&', \$self->{out});
    return $self;
}

# Runs the blocks up to the one with this name, which is left for the next call,
# or to the end. Each is a test. Returns the output of the last one.
sub run_until
{
    my ($self, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $output;
    while (my $block = $self->{blocks}[ $self->{next} ])
    {
        return $output if defined $name && $block->{info} eq $name;
        $output = $self->run_next;
    }
    die "$self->{name} has no block $name that is still to come" if defined $name;
    return $output;
}

# Runs one block, which has this name if one is given.
sub run_next
{
    my ($self, $name) = @_;
    my $block = $self->{blocks}[ $self->{next}++ ];
    die "$self->{name}, line $block->{line}: is not $name" if defined $name && $block->{info} ne $name;
    my $output = $block->{lang} eq 'sql' ? $self->ask($block->{text}) : $self->run_sh($block->{text});
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $title = "$self->{name}, line $block->{line}" . ($block->{info} && ": $block->{info}");
    my $shown = $block->{output};
    if (!$shown)
    {
        unlike($output, qr/^(?:.*: )?(?:ERROR|FATAL|PANIC|WARNING|error|warning|psql:|invalid|unrecognized)\b/m, $title);
        return $output;
    }
    my @texts = ($shown->{text}, $output);
    if ($shown->{info} eq 'figures')
    {
        note($output);
        s/[\d.]+/N/g, s/^[-+]+$//mg, s/ +/ /g for @texts;
    }
    my $difference = differences(@texts);
    $self->{update}{ $shown->{line} } = $output if defined $difference;
    ok(!defined $difference, $title) or diag($difference);
    return $output;
}

# Leaves out all blocks that are still to come.
sub skip_rest
{
    my ($self) = @_;
    $self->{next} = @{ $self->{blocks} };
    $self->{skipped} = 1;
    return;
}

# The text of a block, to be run again.
sub block
{
    my ($self, $name) = @_;
    my ($block) = grep { $_->{info} eq $name } @{ $self->{blocks} };
    return ($block // die "$self->{name} has no block $name")->{text};
}

sub ask
{
    my ($self, $sql) = @_;
    my $mark = '=== done ' . ++$self->{asked};
    $self->{out} = '';
    $self->{in} .= "$sql\n\\echo $mark\n";
    my $end = monotonic() + $PostgreSQL::Test::Utils::timeout_default;
    until ($self->{out} =~ s/^\Q$mark\E\n.*//ms)
    {
        die "the session of $self->{name} has ended: $self->{out}" unless $self->{run}->pumpable;
        die "no answer in time to $sql, but: $self->{out}" if monotonic() > $end;
        $self->{run}->pump_nb;
        usleep(1000);
    }
    return $self->{out};
}

sub run_sh
{
    my ($self, $text) = @_;
    my $output = '';
    local %ENV = (%ENV, %{ $self->{env} // {} });
    my $ok = IPC::Run::run([ 'sh', '-euc', "cd '$self->{folder}'\n$text" ], '<', \undef, '>&', \$output);
    $output .= "ERROR: exit code $?\n" unless $ok;
    return $output;
}

# To be called when all blocks have been run.
sub finish
{
    my ($self) = @_;
    is($self->{next}, scalar @{ $self->{blocks} }, "$self->{name}: every block has been run" . ($self->{skipped} ? ', or left out' : ''));
    $self->{in} .= "\\q\n";
    eval { $self->{run}->finish };
    return unless $ENV{MANUAL_UPDATE} && %{ $self->{update} };
    my $new = with_outputs(read_text($self->{path}), %{ $self->{update} });
    open my $out, '>:encoding(UTF-8)', $self->{path} or die "cannot write $self->{path}: $!";
    print $out $new;
    close $out or die "cannot write $self->{path}: $!";
    diag("$self->{name}: outputs updated");
    return;
}

# Waits until the subscriber has copied the tables and applied all that its
# publishers, subscription name => node, have written by now.
sub await_subscriptions
{
    my ($subscriber, %publisher_of) = @_;
    $subscriber->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_subscription_rel WHERE srsubstate <> 'r'")
      or die 'the tables are not copied: ' . last_error($subscriber);
    for my $name (sort keys %publisher_of)
    {
        my $publisher = $publisher_of{$name};
        my $position = $publisher->lsn('flush');
        $publisher->poll_query_until('postgres',
            "SELECT confirmed_flush_lsn >= '$position' FROM pg_replication_slots WHERE slot_name = '$name'")
          or die "$name does not get to $position: " . last_error($subscriber);
    }
    return;
}

sub last_error
{
    my ($subscriber) = @_;
    my @errors = slurp_file($subscriber->logfile) =~ /ERROR:  (.*)/g;
    return $errors[-1] // 'its log has no error';
}

# How many errors there have been in applying and copying.
sub subscription_errors
{
    my ($subscriber) = @_;
    # The columns of 15 have other names in 19.
    return $subscriber->safe_psql('postgres', q{SELECT coalesce(sum(value::bigint), 0)
        FROM pg_stat_subscription_stats AS s CROSS JOIN LATERAL jsonb_each_text(to_jsonb(s)) WHERE key ~ '_error_count$'});
}

1;
