# Compiles the C and C++ of test/probes into tmp_check when a test first needs it.
package Compiled;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use File::Basename qw(dirname);
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(compile_kit compile_client compile_preload compile_module);

# Compiles a program or library unless that has been done; returns where it is. Test
# files that run at the same time may all do it.
sub compile_kit
{
    my ($source, $binary, $compiler, @arguments) = @_;
    my $probes = dirname(__FILE__) . '/../probes';
    $binary = "$PostgreSQL::Test::Utils::tmp_check/$binary";
    my @parts = ("$probes/$source", glob "$probes/*.h");
    return $binary if -e $binary && !grep { (stat)[9] > (stat $binary)[9] } @parts;
    my $err;
    IPC::Run::run([ $compiler, '-o', "$binary.$$", "$probes/$source", @arguments ], '2>', \$err)
      or BAIL_OUT("cannot compile $source: $err");
    rename "$binary.$$", $binary or BAIL_OUT("cannot rename $binary.$$: $!");
    return $binary;
}

# A client on libpq, NAME.cpp. A relocated copy of PostgreSQL lacks libpq: look where it came from as well.
sub compile_client
{
    my ($name) = @_;
    my %ask = map { $_ => qx(pg_config --$_) =~ s/\s+\z//r } qw(includedir libdir configure);
    my ($includedir) = $ask{configure} =~ m{.*'--includedir=(/[^']+)'};
    my ($libdir) = $ask{configure} =~ m{.*'--libdir=(/[^']+)'};
    return compile_kit("$name.cpp", $name, 'g++', '-std=c++20', '-O1', '-Wall', '-Wextra',
        (map { "-I$_" } grep { defined && -d } $ask{includedir}, $includedir),
        (map { ("-L$_", "-Wl,-rpath,$_") } grep { defined && -d } $ask{libdir}, $libdir), '-lpq');
}

# A library that is preloaded into servers, NAME.c.
sub compile_preload
{
    my ($name) = @_;
    return compile_kit("$name.c", "$name.so", 'gcc', '-std=gnu11', '-O1', '-fPIC', '-shared', '-Wall', '-Wextra');
}

# A library of functions in C that a server loads, NAME.c.
sub compile_module
{
    my ($name) = @_;
    chomp(my $headers = qx(pg_config --includedir-server));
    return compile_kit("$name.c", "$name.so", 'gcc', '-std=gnu11', '-O1', '-fPIC', '-shared', '-Wall', "-I$headers");
}

1;
