# Programs that are no PostgreSQL claim numbers, as doc/claimed-node-ids.md shows in
# Python and JavaScript: by a role that may only claim, and also through pgbouncer. More
# numbers for a registry.
#
# Debian: python3-psycopg, nodejs and node-pg, pgbouncer.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Clients;
use Manual qw(read_text blocks_of);
use Pgbouncer;
use Registry;
use Timeshard;

$ENV{NODE_PATH} = join ':', grep { length } $ENV{NODE_PATH} // '', '/usr/share/nodejs', '/usr/lib/node_modules', '/usr/local/lib/node_modules';

my @blocks = blocks_of(read_text("$FindBin::RealBin/../../doc/claimed-node-ids.md"));

sub program
{
    my ($language) = @_;
    my @parts = grep { $_->{lang} eq $language && ($_->{info} // '') eq 'claim' } @blocks;
    return (join("\n", map { $_->{text} } @parts), join('', map { $_->{output} ? $_->{output}{text} : () } @parts));
}

# The registry in the database "shop", which pgbouncer serves too.
my $node = shop_cluster('registry');
$node->append_conf('postgresql.conf', 'fsync = on');
$node->reload;
$node->safe_psql('postgres', 'CREATE DATABASE shop');
$node->safe_psql('shop', <<'SQL');
CREATE EXTENSION timeshard;
SELECT timeshard_create_registry('[100,109]');
GRANT EXECUTE ON FUNCTION timeshard_claim, timeshard_extend_claim, timeshard_end_claim, timeshard_is_claimed TO shop;
SQL

my ($python_program, $python_output) = program('python');
my ($js_program, $js_output) = program('js');
my $python_file = write_program($node->basedir . '/claim.py', $python_program);
my $js_file = write_program($node->basedir . '/claim.js', async_program($js_program));
my %command = (python => [ $python, $python_file ], js => [ 'node', $js_file ]);
my %shown = (python => $python_output, js => $js_output);
my %there = (python => has_python_modules('psycopg'), js => (run_client([ 'node', '-e', 'require("pg")' ]))[0]);

sub runs
{
    my ($language, $way, %env) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
  SKIP: {
        skip "no driver for $language", 1 unless $there{$language};
        my ($ok, $out, $err) = run_client($command{$language}, env => { in_shop($node, 'shop'), %env });
        is($out, $shown{$language}, "$language $way: prints what the page shows") or diag($err);
        is($node->safe_psql('shop', q{SELECT count(*) FROM timeshard_fleet WHERE state IN ('claimed', 'resting')}), 0,
            "$language $way: gives its number back");
    }
    return;
}

runs($_, 'alone') for qw(python js);
SKIP: {
    skip 'install pgbouncer', 1 unless Pgbouncer::version();
    my $pool = Pgbouncer->new($node, default_pool_size => 1);
    runs($_, 'through pgbouncer', PGHOST => '127.0.0.1', PGPORT => $pool->{port}) for qw(python js);
    $pool->stop;
}
cmp_ok($node->safe_psql('shop', 'SELECT count(*) FROM timeshard_claims'), '>=', 1, 'the history has them') if $there{python} || $there{js};

# More numbers, as the page adds them.
my ($more) = map { $_->{text} } grep { $_->{text} =~ /^INSERT INTO timeshard_registry_numbers/ } @blocks or die 'the page adds none';
$node->safe_psql('shop', $more);
is($node->safe_psql('shop', q{SELECT outcome, node_id BETWEEN 1000 AND 1019, first_offset + 1702385533000 BETWEEN registry_clock - 60000 AND registry_clock
    FROM timeshard_claim('late', (extract(epoch FROM clock_timestamp()) * 1000)::bigint, 10, 1702385533000, '[1000,1023]')}, extra_params => [ '-U', 'shop' ]),
    'claimed|t|t', 'one of them can be claimed, from now on');

done_testing();
