# doc/two-way.md, as it stands: two servers that replicate to each other.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use ManyServers;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

# Configured as for one direction.
my ($writer) = configurations('replication.md');
my %number = (us => 1, eu => 2, ap => 3);
my %node = map {
    $_ => new_cluster($_, start => 0, init => [ allows_streaming => 1 ],
        conf => $writer =~ s/(node_id = )1/$1$number{$_}/r . "wal_retrieve_retry_interval = '200ms'\n")
} keys %number;
my $services = $node{us}->basedir . '/pg_service.conf';
write_services($services, %node);
start_with_env($_) for values %node;
$_->safe_psql('postgres', 'CREATE EXTENSION timeshard') for values %node;

my $two_way = ManyServers->new('two-way.md', first => 'us');
my $names = sub { $node{ $_[0] }->safe_psql('postgres', q{SELECT string_agg(name, ', ' ORDER BY id) FROM customers}) };
my $insert = sub { $node{ $_[0] }->safe_psql('postgres', "INSERT INTO customers (name) VALUES ('$_[1]')") };
my $settled = sub {
    for (1, 2)
    {
        await_subscriptions($node{us}, customers_of_eu => $node{eu});
        await_subscriptions($node{eu}, customers_of_us => $node{us});
    }
};

subtest 'both ways, by the ID' => sub {
    $two_way->run_until('both-ways-arrived');
    $settled->();
    $two_way->run_until('group');
    is($names->('eu'), 'made in us, made in eu', 'the other side has the same');

    # A row belongs to its maker.
    $node{us}->safe_psql('postgres', q{UPDATE customers SET name = 'changed in us' WHERE name = 'made in us'});
    $settled->();
    is($names->($_), 'changed in us, made in eu', "changed where it was made, seen in $_") for qw(us eu);
    $node{us}->safe_psql('postgres', q{UPDATE customers SET name = 'strange' WHERE name = 'made in eu'});
    $settled->();
    is($names->('us'), 'changed in us, strange', 'changed elsewhere, it is changed there');
    is($names->('eu'), 'changed in us, made in eu', 'and nowhere else');
    $node{eu}->safe_psql('postgres', q{DELETE FROM customers WHERE name = 'made in eu'});
    $settled->();
    is($names->('us'), 'changed in us', 'deleted where it was made');

    # A third one, by the same steps.
    my ($table, $publication, $options) = $two_way->block('both-ways') =~ /^(CREATE TABLE .*)\n.*\n(CREATE PUBLICATION .* = )1\)( WITH .*)?;$/m;
    $node{ap}->safe_psql('postgres', "$table INSERT INTO customers (name) VALUES ('made in ap'); ${publication}3)" . ($options // ''));
    for (qw(us eu))
    {
        $node{ap}->safe_psql('postgres', "CREATE SUBSCRIPTION customers_of_${_}_to_ap CONNECTION 'service=$_' PUBLICATION made_here");
        $node{$_}->safe_psql('postgres', "CREATE SUBSCRIPTION customers_of_ap_to_$_ CONNECTION 'service=ap' PUBLICATION made_here");
    }
    $insert->(eu => 'last');
    for my $from (qw(us eu ap))
    {
        for my $to (grep { $_ ne $from } qw(us eu ap))
        {
            my $name = "customers_of_$from" . ($from eq 'ap' || $to eq 'ap' ? "_to_$to" : '');
            await_subscriptions($node{$to}, $name => $node{$from});
        }
    }
    is($names->($_), 'changed in us, made in ap, last', "three of them: all is in $_") for qw(eu ap);

    # Rows as another member of its group makes them, which has the number 11.
    my $as_11 = sub { $node{us}->safe_psql('postgres', "INSERT INTO customers SELECT timeshard_next_id() | (10 << 12), '$_[0]'") };
    $as_11->('not sent');
    $settled->();
    $two_way->run_until('after-failover');
    $as_11->('of 11');
    $settled->();
    is($names->('eu'), 'changed in us, made in ap, last, of 11', 'a group sends what all of the numbers made that it names');

    # TRUNCATE knows no filter, and would go to and fro for ever.
    $node{eu}->safe_psql('postgres', 'TRUNCATE customers');
    $insert->(eu => 'anew');
    $settled->();
    like($names->('us'), qr/^changed in us, .*, anew$/, 'a server that empties its table empties no other');
    is(subscription_errors($node{$_}), 0, "no conflict in $_") for qw(us eu ap);
};

# To a standby that lacks the last that us has written, and applied.
subtest 'a group fails over' => sub {
    # What eu says of rows of us, which goes with them.
    $_->safe_psql('postgres', 'CREATE TABLE remarks (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), '
          . 'customer bigint NOT NULL REFERENCES customers ON DELETE CASCADE)') for values %node;
    for (qw(us eu))
    {
        my $ids = $_ eq 'us' ? 'IN (1, 11)' : '= 2';
        $node{$_}->safe_psql('postgres', "ALTER PUBLICATION made_here ADD TABLE remarks WHERE ((id >> 12) & 1023 $ids)");
    }
    $node{us}->safe_psql('postgres', 'ALTER SUBSCRIPTION customers_of_eu REFRESH PUBLICATION');
    $node{eu}->safe_psql('postgres', 'ALTER SUBSCRIPTION customers_of_us REFRESH PUBLICATION');
    my $remark = sub { $node{eu}->safe_psql('postgres', "INSERT INTO remarks (customer) SELECT id FROM customers WHERE name = '$_[0]'") };
    my $remarks = sub {
        $node{ $_[0] }->safe_psql('postgres',
            q{SELECT string_agg(coalesce(name, 'nobody'), ', ' ORDER BY r.id) FROM remarks AS r LEFT JOIN customers AS c ON c.id = customer});
    };
    $insert->(us => 'of us');
    $settled->();
    $remark->('of us');
    $settled->();

    $node{us}->backup('backup', backup_options => ['--checkpoint=fast']);
    my $next = PostgreSQL::Test::Cluster->new('next');
    $next->init_from_backup($node{us}, 'backup', has_streaming => 1);
    $next->append_conf('postgresql.conf', 'timeshard.node_id = 11');
    my $before = $names->('us');
    $insert->(us => 'lost with us');
    $insert->(eu => 'late of eu');
    $settled->();
    is($remarks->($_), 'of us', "$_ has what eu says") for qw(us eu);
    my $offset = -s $node{eu}->logfile;
    $node{us}->stop('immediate');
    $node{us} = $next;
    write_services($services, %node);
    start_with_env($next);
    $next->promote;
    $next->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'not promoted';
    $node{eu}->wait_for_log(qr/replication slot "customers_of_us" does not exist/, $offset);
    $remark->('lost with us');
    $insert->(us => 'of the next');

    $two_way->run_until('origin-none');
    $settled->();
    is($names->('eu'), 'changed in us, not sent, of 11, anew, of us, late of eu, of the next', 'eu has what the new primary has, and nothing that it lost');
    is($names->('us'), "$before, of the next", 'which lacks what the old one had confirmed');
    is($remarks->('eu'), 'of us, nobody', 'what eu says of them is there, also of the one that is lost');
    is($remarks->('us'), 'of us, nobody', 'and its deletion is not sent');
    my $set = 'session_replication_role';
    $node{eu}->safe_psql('postgres', "CREATE ROLE mender; GRANT SET ON PARAMETER $set TO mender");
    is($node{eu}->safe_psql('postgres', "SET ROLE mender; SET $set = replica; SHOW $set"), 'replica', 'which takes no superuser');

    # The same in us, where the slot is there.
    my %other = (us => 'eu', eu => 'us');
    my $anew = $two_way->block('after-failover') =~ s/^ALTER.*\n//mgr =~ s/(service=|_of_)(us|eu)/$1$other{$2}/gr;
    $anew =~ s/^(DELETE FROM )customers(.*)IN .*/$1customers$2= 2;\n$1remarks$2= 2;/m;
    $two_way->ask($anew);
    $settled->();
    is($remarks->('us'), 'of us, nobody', 'in each table of the publication');
    is($names->('us'), 'changed in us, made in ap, not sent, of 11, anew, of us, late of eu, of the next', 'until it is copied anew there too');
};

# What the page says of writes before there are subscriptions.
subtest 'too early' => sub {
    $node{$_}->safe_psql('postgres', 'CREATE TABLE early (id integer PRIMARY KEY); CREATE PUBLICATION early FOR TABLE early') for qw(us eu);
    $node{eu}->safe_psql('postgres', 'INSERT INTO early VALUES (1)');
    $node{us}->safe_psql('postgres', q{CREATE SUBSCRIPTION early CONNECTION 'service=eu' PUBLICATION early WITH (copy_data = false)});
    $node{eu}->safe_psql('postgres', 'INSERT INTO early VALUES (2)');
    await_subscriptions($node{us}, early => $node{eu});
    is($node{us}->safe_psql('postgres', 'SELECT id FROM early'), 2, 'is never sent where nothing is copied');
};

if ($server_major < 16)
{
    $two_way->skip_rest;
    fails_with($node{eu}, q{CREATE SUBSCRIPTION s CONNECTION 'service=us' PUBLICATION made_here WITH (origin = none)},
        qr/unrecognized subscription parameter: "origin"/, 'the page is right that there is no such option');
    diag("The page's blocks with origin = none are not run: PostgreSQL $server_major has no such option, which came with 16.");
}
else
{
    subtest 'both ways, by the origin' => \&by_the_origin;
}
$two_way->finish;
$_->stop('immediate') for values %node;
done_testing();

sub by_the_origin
{
    my $settled = sub {
        await_subscriptions($node{eu}, notes_of_us => $node{us});
        await_subscriptions($node{us}, notes_of_eu => $node{eu});
    };
    $two_way->run_until('origin-none-write');
    $settled->();
    $two_way->run_until('origin-none-arrived');
    $settled->();
    $two_way->run_until;
    my $bodies = sub { $node{ $_[0] }->safe_psql('postgres', q{SELECT string_agg(body, '; ' ORDER BY id) FROM notes}) };
    is($bodies->('eu'), $bodies->('us'), 'both have the same');

    # Of what is changed on both sides at a time, each has the other's.
    $node{eu}->safe_psql('postgres', 'ALTER SUBSCRIPTION notes_of_us DISABLE');
    $node{us}->safe_psql('postgres', 'ALTER SUBSCRIPTION notes_of_eu DISABLE');
    $node{$_}->safe_psql('postgres', "UPDATE notes SET body = 'of $_' WHERE body = 'made in us'") for qw(us eu);
    $node{eu}->safe_psql('postgres', 'ALTER SUBSCRIPTION notes_of_us ENABLE');
    $node{us}->safe_psql('postgres', 'ALTER SUBSCRIPTION notes_of_eu ENABLE');
    $settled->();
    is($bodies->('us') =~ /of (\w\w)$/ ? $1 : '', 'eu', 'changed on both at a time: us has the value of eu');
    is($bodies->('eu') =~ /of (\w\w)$/ ? $1 : '', 'us', 'and eu that of us');
    is(subscription_errors($node{$_}), 0, "no conflict in $_") for qw(us eu);
    return;
}
