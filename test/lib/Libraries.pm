# Libraries of another release or version of the shared state, and a server of a
# test's own to install them in.
package Libraries;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use File::Basename qw(dirname);
use File::Copy qw(copy);
use FindBin;
use PostgreSQL::Test::Utils;

our @EXPORT_OK = qw(sources installed_library build_library install_library state_version private_server build_newer_mark);

sub sources
{
    return "$FindBin::RealBin/../..";
}

# The library that the server has which the tests run on.
sub installed_library
{
    chomp(my $directory = `pg_config --pkglibdir`);
    return "$directory/timeshard.so";
}

# Builds the library in a directory of its own, from these sources or others;
# returns the file.
sub build_library
{
    my ($name, $flags, $sources) = @_;
    $sources //= sources();
    my $where = PostgreSQL::Test::Utils::tempdir() . "/$name";
    mkdir $where or die "cannot make $where: $!";
    system_or_bail('cp', '-R', map({ "$sources/$_" } qw(Makefile timeshard.control src sql)), $where);
    system_or_bail('find', $where, '(', '-name', '*.o', '-o', '-name', '*.so', ')', '-delete');
    local %ENV = %ENV;
    delete @ENV{qw(MAKEFLAGS MAKELEVEL MFLAGS)};
    system_or_bail('make', '-s', '-C', $where, 'PG_CONFIG=pg_config', "TIMESHARD_CXXFLAGS=$flags", 'timeshard.so');
    return "$where/timeshard.so";
}

# Builds the library of a next version, whose mark this one cannot read. Only the file
# that writes the mark differs, so only that is compiled.
sub build_newer_mark
{
    my $where = PostgreSQL::Test::Utils::tempdir() . '/newer_mark';
    mkdir $where or die "cannot make $where: $!";
    system_or_bail('cp', '-Rp', map({ sources() . "/$_" } qw(Makefile timeshard.control src sql)), $where);
    my $header = "$where/src/core/mark_record.hpp";
    my ($then) = (stat $header)[9];
    my $text = slurp_file($header);
    $text =~ s/(kMarkVersion = )(\d+);/$1 . ($2 + 1) . ';'/e or die "$header has no version";
    open my $out, '>', $header or die "cannot write $header: $!";
    print $out $text;
    close $out or die "cannot write $header: $!";
    utime $then, $then, $header or die "cannot touch $header: $!";
    unlink "$where/src/server/mark.o", "$where/src/server/mark.bc", "$where/timeshard.so";
    local %ENV = %ENV;
    delete @ENV{qw(MAKEFLAGS MAKELEVEL MFLAGS)};
    system_or_bail('make', '-s', '-C', $where, 'PG_CONFIG=pg_config', 'timeshard.so');
    return "$where/timeshard.so";
}

# Puts a file in the place of another as `make install` does: under the same
# name, in a new file.
sub install_library
{
    my ($from, $to) = @_;
    copy($from, "$to.new") or die "cannot copy $from: $!";
    chmod 0755, "$to.new";
    rename "$to.new", $to or die "cannot rename $to.new: $!";
    return;
}

# The version of the shared state that the sources are of.
sub state_version
{
    my ($file) = glob(sources() . '/src/*/shared_state.cpp');
    my ($version) = slurp_file($file) =~ /^#define TIMESHARD_STATE_VERSION (\d+)$/m;
    return $version // die 'the sources have no version of the shared state';
}

# A copy of the server, in which files can be replaced while others run tests:
# the directory that PostgreSQL::Test::Cluster takes for install_path, and the
# library in it.
sub private_server
{
    my $directory = PostgreSQL::Test::Utils::tempdir();
    chomp(my $pg_config = `pg_config --bindir`);
    chomp(my $copy = `'@{[sources()]}/test/private_server.sh' '$directory' '$pg_config/pg_config'`);
    die 'no copy of the server' if $? || !-x $copy;
    chomp(my $libraries = `'$copy' --pkglibdir`);
    return (dirname(dirname($copy)), "$libraries/timeshard.so");
}

1;
