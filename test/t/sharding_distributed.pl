# doc/distributed.md: test/citus.sh runs every block that takes Citus; in a simulated
# fleet, everything holds.
use strict;
use warnings FATAL => 'all';

use File::Spec;
use FindBin;
use lib "$FindBin::RealBin/../lib";

use IPC::Run;
use Manual qw(read_text blocks_of);
use PostgreSQL::Test::Utils;
use Test::More;

my $root = File::Spec->rel2abs("$FindBin::RealBin/../..");
my @fences = map { "$_->{lang} $_->{info}" } grep { $_->{info} =~ /^citus / || $_->{info} eq 'postgresql.conf' } blocks_of(read_text("$root/doc/distributed.md"));
my %named = map { $_ => 1 } @fences;
is(scalar keys %named, scalar @fences, 'every block that takes Citus has a name of its own');

my %run = map { $_ => 1 } read_text("$root/test/citus.sh") =~ /\bblock '([^']+)'/g;
is(join(', ', sort keys %run), join(', ', sort keys %named), 'test/citus.sh runs every block of the page that takes Citus, and no other');

# A short run of the simulated fleets.
my $build = PostgreSQL::Test::Utils::tempdir();
delete @ENV{qw(MAKEFLAGS MAKELEVEL MFLAGS)};
my $out = '';
my $ran = IPC::Run::run([ 'make', '-C', "$FindBin::RealBin/../fleet", "BUILD=$build", 'IDS=1000000', 'BOUND_MS=5', 'SEED=7' ], '>&', \$out);
ok($ran, 'make fleet') or diag($out);
like($out, qr/^IDs +1\d{6}$/m, 'of as many IDs');
like($out, qr/^clocks wrong by at most, either way +5\.000 ms$/m, 'with such clocks');
is(scalar(() = $out =~ /^Everything holds\.$/mg), 2, 'in which everything holds, with configured and with claimed numbers');

done_testing();
