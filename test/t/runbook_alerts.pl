# doc/runbook.md, the page itself and its alerts: the exporter of Debian's package scrapes a
# server, promtool checks the rules, and every block is run by a test.
use strict;
use warnings FATAL => 'all';

use File::Basename qw(basename);
use FindBin;
use lib "$FindBin::RealBin/../lib";
use HTTP::Tiny;
use IPC::Run;
use Manual qw(read_text blocks_of anchors_of);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Runbook;
use Test::More;
use Timeshard;
use TimeshardSession;

my $root = "$FindBin::RealBin/../..";
my $text = read_text("$root/doc/runbook.md");
my $rules = read_text("$root/doc/monitoring/alerts.yaml");

subtest 'every block is run by a test' => sub {
    my $tests = join "\n", map { read_text($_) } glob "$FindBin::RealBin/runbook_*.pl";
    for my $block (grep { $_->{lang} =~ /^(?:sql|sh)$/ } blocks_of($text))
    {
        ok($tests =~ /(?:run|try|ends_in|\{block\}\{)\(?'?\Q$block->{info}\E(?![\w-])/, $block->{info} || "the block at line $block->{line} has no name");
    }
};

# In either direction: one of the two can say more.
sub fits
{
    my ($one, $other) = @_;
    my $pattern = join '.+', map { quotemeta } split /\x{2026}/, $one, -1;
    return $other =~ /^(?:$pattern)/;
}

subtest 'each message that leads to an entry is one of Timeshard or PostgreSQL' => sub {
    my @known = (read_text("$root/doc/limits.md") =~ /^\| `([^`]+)` \|/mg,
        'duplicate key value violates unique constraint', 'could not access file "$libdir/timeshard"', 'could not access file "timeshard"');
    my ($table) = $text =~ /^\| you see \|.*\n\|[- |]+\n((?:\|.*\n)+)/m;
    for my $message (map { s/^\x{2026} behind/clock is \x{2026} s behind/r } $table =~ /`([^`]+)`/g)
    {
        next if $message eq 'node_id';
        utf8::encode(my $name = $message);
        ok((grep { fits($message, $_) || fits($_, $message) } @known), $name);
    }
};

subtest 'an entry fits a screen' => sub {
    my ($name, %lines);
    for (split /\n/, $text) { $name = $1 if /^## (.*)/; $lines{$name}++ if defined $name }
    cmp_ok($lines{$_}, '<=', 45, $_) for sort keys %lines;
};

my %alert = $rules =~ /- alert: (\w+)\n(?:(?!- alert).*\n)*? +runbook: doc\/runbook\.md#(\S+)/g;
subtest 'each alert leads to an entry, and has a unit test' => sub {
    is(scalar keys %alert, scalar(() = $rules =~ /- alert:/g), 'each names one');
    my $unit_tests = read_text("$root/test/monitoring/alerts_test.yaml");
    my $anchors = anchors_of($text);
    for my $name (sort keys %alert)
    {
        ok($anchors->{ $alert{$name} }, "$name: the entry exists");
        like($text, qr/^\| $name \|.*\(#\Q$alert{$name}\E\) \|$/m, "$name: the page says the same");
        like($unit_tests, qr/alertname: $name, exp_alerts: \[\]/, "$name: a test in which it does not fire");
        like($unit_tests, qr/alertname: $name\n +exp_alerts:/, "$name: a test in which it fires");
    }
};

sub promtool
{
    my (@arguments) = @_;
    my $output = '';
    my $ok = IPC::Run::run([ 'promtool', @arguments ], '<', \undef, '>&', \$output);
    ok($ok, "promtool @arguments[0, 1]") or diag($output);
    return $output;
}
promtool('test', 'rules', "$root/test/monitoring/alerts_test.yaml");

# The exporter, as Debian starts it, by a role without any right.
my $node = new_cluster('scraped', clock => 1, conf => "timeshard.node_id = 298\nmax_prepared_transactions = 2\n");
my $book = Runbook->new->at($node);
$node->safe_psql('postgres', 'CREATE ROLE prometheus LOGIN');
mkdir $book->home . '/timeshard';
symlink "$root/doc", $book->home . '/timeshard/doc' or die "cannot link: $!";
like($book->run('rules'), qr/SUCCESS: @{[scalar keys %alert]} rules found/, 'all rules are read');

my $port = PostgreSQL::Test::Cluster::get_free_port();
my ($arguments, $source) = $book->{block}{exporter}{text} =~ /^ARGS="(.*)"\nDATA_SOURCE_NAME='(.*)'$/m;
$arguments =~ s/\$HOME/$book->home/e;
$source =~ s{host=\S+}{host=@{[$node->host]} port=@{[$node->port]} sslmode=disable};
$source =~ s/dbname=\S+/dbname=postgres/;
my $log = $node->basedir . '/exporter.log';
my $exporter;
{
    local $ENV{DATA_SOURCE_NAME} = $source;
    $exporter = IPC::Run::start([ 'prometheus-postgres-exporter', split(' ', $arguments), "--web.listen-address=127.0.0.1:$port" ],
        '<', \undef, '>', $log, '2>&1');
}

# The metrics of Timeshard: name and labels => value.
sub scrape
{
    my $answer = HTTP::Tiny->new->get("http://127.0.0.1:$port/metrics");
    return { $answer->{content} =~ /^((?:timeshard|pg_up)\S*(?:\{[^}]*\})?) (\S+)$/mg };
}

sub value
{
    my ($metrics, $name) = @_;
    my ($key) = grep { /^\Q$name\E(?:\{|$)/ } keys %$metrics;
    return defined $key ? $metrics->{$key} : undef;
}

my $metrics;
ok(eventually(sub { value($metrics = scrape(), 'pg_up') }), 'the exporter answers') or diag(slurp_file($log));
my %exported = map { s/\{.*//r => 1 } keys %$metrics;
for my $name (do { my %all = map { $_ => 1 } $rules =~ /^ +expr:.*$/mg; map { /\b((?:timeshard|pg)_\w+)/g } keys %all })
{
    ok($exported{$name}, "the rules' $name is exported");
}
my ($info) = grep { /^timeshard_node_info/ } keys %$metrics;
like($info, qr/\bnode_id="298"/, 'with the node ID');
like($info, qr/\bnode_id_source="configuration"/, 'its source');
like($info, qr/\bstandby="false"/, 'that it is no standby');
like($info, qr{\brun="\d+/\d+"}, 'and the run');
my $url = "http://127.0.0.1:$port/metrics";
$book->stand_in(curl => qq([ "\$2" = http://localhost:9187/metrics ] && exec $^X -MHTTP::Tiny -e 'print HTTP::Tiny->new->get("$url")->{content}'));
like($book->run('scrape'), qr/^timeshard_clock_refusals_total\S* 0$/, 'the operator sees figures');

# What moves when something is wrong.
$node->safe_psql('postgres', 'SELECT timeshard_next_id()');
set_clock($node, '-3600');
fails_with($node, 'SELECT timeshard_next_id()', qr/clock is \d+/, 'the clock went back');
my $after = scrape();
is(value($after, 'timeshard_clock_refusals_total') - value($metrics, 'timeshard_clock_refusals_total'), 1, 'a refusal is counted');
cmp_ok(value($after, 'timeshard_last_id_timestamp_seconds') - value($after, 'timeshard_clock_timestamp_seconds'), '>', 3500, 'the last ID is ahead of the clock');
cmp_ok(value($after, 'timeshard_largest_step_seconds'), '>', 3500, 'so far');
set_clock($node, '+0');

my $session = TimeshardSession->new($node);
$session->ask_ok('BEGIN; SELECT timeshard_next_id()');
ok(eventually(sub { value(scrape(), 'timeshard_horizon_lag_seconds') > 0.2 }), 'a transaction holds the horizon');
$session->ask_ok(q(PREPARE TRANSACTION 'order-4711'));
$session->finish;
$node->append_conf('postgresql.conf', 'timeshard.node_id = 299');
reload_and_wait($node);
is(value(scrape(), 'timeshard_pending_restart'), 1, 'a change waits for a restart');
restart_with_env($node);
ok(eventually(sub { value(scrape(), 'timeshard_horizon_unknown') }), 'after a restart the horizon is unknown');
is(value(scrape(), 'timeshard_pending_restart'), 0, 'and the change is in force');

$exporter->signal('TERM');
eval { $exporter->finish };
$node->stop;
done_testing();
