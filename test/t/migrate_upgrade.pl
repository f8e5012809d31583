# pg_upgrade from another major version, by doc/runbook.md: the mark stays behind,
# and what that means by a clock that is right and by one that is behind; the mark
# taken along; the floor raised in its place; the way back. The server that is
# upgraded from, with the extension installed, is named by TIMESHARD_OLD_SERVER, such
# as /usr/lib/postgresql/15. `make test-upgrade` has both in a throw-away root.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use Cwd;
use Manual qw(read_text blocks_of);
use Migration;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Timeshard;

my $old_path = $ENV{TIMESHARD_OLD_SERVER};
plan skip_all => 'no other version is named by TIMESHARD_OLD_SERVER: make test-upgrade, as root' unless $old_path;
my ($old_bindir, $bindir) = ("$old_path/bin", qx(pg_config --bindir) =~ s/\s+\z//r);
diag('pg_upgrade from ' . qx($old_bindir/postgres --version) . 'to ' . qx($bindir/postgres --version) =~ s/\s+\z//r);

# The runbook's commands: the upgrade itself, and the copy of the mark.
my ($commands) = map { $_->{text} } grep { $_->{info} eq 'upgrade' } blocks_of(read_text("$FindBin::RealBin/../../doc/runbook.md"));
my ($pg_upgrade, $copy_mark) = $commands =~ /^(pg_upgrade .*)\n(cp .*)$/m or die 'the runbook has no such commands';

my $conf = "timeshard.node_id = 298\n";
my $schema = <<'SQL';
CREATE EXTENSION timeshard;
CREATE TABLE customers (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), name text NOT NULL);
CREATE TABLE invoices (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), customer bigint REFERENCES customers,
    number text GENERATED ALWAYS AS (timeshard_format(id, 'INV_')) STORED UNIQUE);
INSERT INTO customers (name) SELECT 'customer ' || n FROM generate_series(1, 500) AS n;
INSERT INTO invoices (customer) SELECT id FROM customers;
CREATE SCHEMA keys;
SELECT timeshard_create_type('keys.payment_id', 'PAY_', 'code');
CREATE TABLE payments (id keys.payment_id PRIMARY KEY DEFAULT timeshard_next_id());
INSERT INTO payments SELECT FROM invoices;
CREATE INDEX ON payments USING hash (id);
CREATE INDEX ON payments USING brin (id);
SQL
my $content = "SELECT md5(string_agg(concat_ws(' ', c.id, name, i.id, number), ',' ORDER BY i.id)),
    (SELECT md5(string_agg(id::text, ',' ORDER BY id)) FROM payments) FROM customers AS c JOIN invoices AS i ON customer = c.id";
my $insert = "INSERT INTO customers (name) VALUES ('new') RETURNING id";

# An old server with rows, and an ID that was returned and stored nowhere; stopped.
sub old_server
{
    my ($name) = @_;
    my $node = new_cluster($name, install_path => $old_path, conf => $conf, create => 0);
    $node->safe_psql('postgres', 'CREATE DATABASE shop');
    $node->safe_psql('shop', $schema);
    my %was = (content => $node->safe_psql('shop', $content), largest => $node->safe_psql('shop', 'SELECT max(id) FROM invoices'));
    $was{unstored} = $node->safe_psql('shop', 'SELECT pg_sleep(0.2); SELECT timeshard_next_id()') =~ s/\s+//gr;
    $node->stop;
    return ($node, \%was);
}

# The page's upgrade to a new server by the given clock, with the mark if it is asked for.
sub upgrade
{
    my ($old, $name, %options) = @_;
    my $new = PostgreSQL::Test::Cluster->new($name);
    Timeshard::prepare_clock($new);
    set_clock($new, $options{clock} // '+0');
    local %ENV = (%ENV, %{ $new->{timeshard_clock} }, PGDATA => $old->data_dir, NEW => $new->data_dir,
        OLDBIN => $old_bindir, NEWBIN => $bindir, PGSOCKETDIR => $new->host,
        PGPORTOLD => $old->port, PGPORTNEW => $new->port);
    # Both servers like their own defaults of checksums.
    $new->init;
    $new->append_conf('postgresql.conf', $options{conf} // $conf);
    my $before = getcwd;
    chdir $new->basedir or die "cannot change to the directory: $!";
    my $step = $options{mode} ? $pg_upgrade =~ s/pg_upgrade /pg_upgrade $options{mode} /r : $pg_upgrade;
    command_ok([ 'sh', '-euc', $step ], "$name: pg_upgrade");
    ok(!-e $new->data_dir . '/timeshard.mark', "$name: the mark is left behind");
    command_ok([ 'sh', '-euc', $copy_mark ], "$name: the mark is taken along") if $options{mark};
    chdir $before or die "cannot change to $before: $!";
    start_with_env($new);
    return $new;
}

# Puts the clock right, and takes a key that must be above.
sub right_again
{
    my ($new, $above, $name) = @_;
    set_clock($new, '+0');
    cmp_ok($new->safe_psql('shop', $insert), '>', $above, "$name: the clock right, new keys are above");
    $new->stop;
    return;
}

subtest 'the clock is right' => sub {
    my ($old, $was) = old_server('old_right');
    my $new = upgrade($old, 'new_right');
    is($new->safe_psql('shop', $content), $was->{content}, 'keys and all are as they were');
    is($new->safe_psql('shop', 'SELECT extversion = default_version FROM pg_extension JOIN pg_available_extensions ON name = extname
        WHERE extname = \'timeshard\''), 't', 'the extension too');
    cmp_ok($new->safe_psql('shop', $insert), '>', $was->{unstored}, 'new keys are above all that was issued');
    is($new->safe_psql('shop', 'SELECT node_id FROM customers, timeshard_parse(id) WHERE name = \'new\''), 298, 'of the same node');
    unlike(log_of($new), qr/WARNING/, 'without a warning');
    $new->stop;

    start_with_env($old);
    is($old->safe_psql('shop', $content), $was->{content}, 'the way back');
    cmp_ok($old->safe_psql('shop', $insert), '>', $was->{unstored}, 'with new keys above');
    $old->stop;
};

subtest 'the clock is behind, the mark not taken along' => sub {
    my ($old, $was) = old_server('old_behind');
    my $new = upgrade($old, 'new_behind', clock => '-10m');
    cmp_ok($new->safe_psql('shop', $insert), '<', $was->{largest}, 'keys are made in times that the data has used');
    $new->safe_psql('shop', block_text('dump-2'));
    fails_with($new, $insert, qr/55000: clock is \d+\.\d{3} s behind the floor/, 'no more once the floor is raised', dbname => 'shop');
    right_again($new, $was->{largest}, 'raised');
};

for my $mode ('', '--link')
{
    my $name = 'the mark taken along' . ($mode && ", by $mode");
    subtest $name => sub {
        my ($old, $was) = old_server('old_mark' . $mode =~ tr/-/_/r);
        my $new = upgrade($old, 'new_mark' . $mode =~ tr/-/_/r, clock => '-10m', mark => 1, mode => $mode);
        is($new->safe_psql('shop', $content), $was->{content}, 'keys and all are as they were');
        fails_with($new, $insert, qr/55000: clock is \d+\.\d{3} s behind what earlier runs of this server reserved/,
            'a clock that is behind is found out', dbname => 'shop');
        right_again($new, $was->{unstored}, $name);
        is(scalar(() = log_of($new) =~ /WARNING:  timeshard runs as node 298 on a copy of a data directory/g), 1, 'it warns of a copy, once');
        start_with_env($new);
        $new->safe_psql('shop', $insert);
        is(scalar(() = log_of($new) =~ /WARNING:  timeshard runs/g), 1, 'and not again after a restart');
        $new->stop;
    };
}

subtest 'a node ID that was forgotten' => sub {
    my ($old, $was) = old_server('old_lost');
    my $new = upgrade($old, 'new_lost', conf => "\n", mark => 1);
    fails_with($new, $insert, qr/F0000: the configured node ID has been lost/, 'the mark remembers it', dbname => 'shop');
    $new->stop;
};

done_testing();
