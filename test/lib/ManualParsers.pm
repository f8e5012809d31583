# Parses what the manual shows and a test cannot run. Each parser takes a
# block's text and returns its complaints; none is good.
package ManualParsers;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use IPC::Run;
use JSON::PP;

our @EXPORT_OK = qw(parser_for);

my %parser = (
    yaml => \&yaml_complaints,
    json => \&json_complaints,
    ini => \&unit_complaints,
    conf => \&conf_complaints,
    dockerfile => \&dockerfile_complaints,
    sh => sub { return program_complaints($_[0], 'sh', '-n') },
    python => sub { return python_complaints('import ast, sys; ast.parse(sys.stdin.read())', $_[0]) },
    diagram => \&diagram_complaints,
    js => \&client_complaints,
    java => \&client_complaints,
    ruby => \&client_complaints,
);

sub parser_for
{
    my ($language) = @_;
    return $parser{$language};
}

# Feeds the text to a program, which must succeed and say nothing on stderr.
sub program_complaints
{
    my ($text, @command) = @_;
    my ($out, $err) = ('', '');
    utf8::encode($text);
    my $ok = IPC::Run::run(\@command, '<', \$text, '>', \$out, '2>', \$err);
    return $ok && $err eq '' ? () : ("@command[0, 1]: " . ($err || 'fails'));
}

# Debian's own python3, which has Debian's python3-yaml.
sub python
{
    return -x '/usr/bin/python3' ? '/usr/bin/python3' : 'python3';
}

sub python_complaints
{
    my ($program, $text) = @_;
    return program_complaints($text, python(), '-c', $program);
}

my $yaml_to_json = 'import json, sys, yaml; '
  . 'print(json.dumps(list(yaml.safe_load_all(sys.stdin.read()))))';

sub yaml_complaints
{
    my ($text) = @_;
    utf8::encode($text);
    my ($json, $err) = ('', '');
    IPC::Run::run([ python(), '-c', $yaml_to_json ], '<', \$text, '>', \$json, '2>', \$err)
      or return "malformed YAML: $err";
    return environment_complaints(decode_json($json));
}

sub json_complaints
{
    my ($text) = @_;
    utf8::encode($text);
    my $value = eval { decode_json($text) };
    return defined $value ? environment_complaints($value) : "malformed JSON: $@";
}

my %known_variable = map { $_ => 1 }
  qw(TIMESHARD_NODE_ID TIMESHARD_NODE_ID_BITS TIMESHARD_CUSTOM_EPOCH TIMESHARD_REGISTRY TIMESHARD_REGISTRY_NUMBERS);

# Kubernetes and ECS take the environment as a list of names and values, and
# refuse a value that is a number.
sub environment_complaints
{
    my ($value) = @_;
    return map { environment_complaints($_) } @$value if ref $value eq 'ARRAY';
    return unless ref $value eq 'HASH';

    my @complaints = map { environment_complaints($_) } values %$value;
    push @complaints, map { "no such variable: $_" }
      grep { /^TIMESHARD_/ && !$known_variable{$_} } keys %$value;
    my $name = $value->{name};
    return @complaints unless defined $name && !ref $name && $name =~ /^TIMESHARD_/;
    push @complaints, "no such variable: $name" unless $known_variable{$name};
    push @complaints, "$name: a value that is no string"
      if exists $value->{value} && encode_json([ $value->{value} ]) !~ /^\["/;
    push @complaints, "$name: no value" unless exists $value->{value} || $value->{valueFrom};
    return @complaints;
}

# A systemd unit, or a drop-in for one.
sub unit_complaints
{
    my ($text) = @_;
    my ($section, @complaints);
    for my $line (split /\n/, $text)
    {
        next if $line =~ /^\s*(?:[#;].*)?$/;
        if ($line =~ /^\[(\w+)\]$/) { $section = $1; next }
        push @complaints, "not a unit's line: $line" unless $section && $line =~ /^\w+=\S/;
        push @complaints, "no such variable: $1"
          if $line =~ /\b(TIMESHARD_\w+)/ && !$known_variable{$1};
    }
    return @complaints
      if @complaints || !IPC::Run::run([ 'sh', '-c', 'command -v systemd-analyze' ], '>', \my $path);

    # systemd itself names keys that it does not know, with a zero exit code.
    my $dir = tempdir(CLEANUP => 1);
    make_path("$dir/manual.service.d");
    write_file("$dir/manual.service", "[Service]\nExecStart=/bin/true\n");
    write_file("$dir/manual.service.d/shown.conf", $text);
    my ($out, $err) = ('', '');
    IPC::Run::run([ 'systemd-analyze', 'verify', '--man=no', "$dir/manual.service" ],
        '>', \$out, '2>', \$err);
    return grep { /shown\.conf/ } split /\n/, $err;
}

sub write_file
{
    my ($path, $text) = @_;
    open my $out, '>:encoding(UTF-8)', $path or die "cannot write $path: $!";
    print $out $text;
    close $out or die "cannot write $path: $!";
    return;
}

my @chrony = qw(pool server driftfile makestep rtcsync leapsectz leapsecmode maxslewrate keyfile
  ntsdumpdir logdir confdir sourcedir logchange);

# postgresql.conf (its names are checked on the server), Debian's environment
# file of a cluster, chrony.conf, pgbouncer.ini or pg_service.conf, by the second word
# of the fence.
sub conf_complaints
{
    my ($text, $info) = @_;
    my @lines = grep { !/^\s*(?:#.*)?$/ } split /\n/, $text;
    my $value = qr/(?:'(?:[^']|'')*'|[\w.-]+)/;

    if ($info eq 'postgresql.conf')
    {
        return map { "not a setting: $_" } grep { !/^[\w.]+ = $value(?:\s+#.*)?$/ } @lines;
    }
    if ($info eq 'environment')
    {
        my @complaints = map { "not a variable: $_" } grep { !/^\w+ = $value$/ } @lines;
        push @complaints, map { "no such variable: $_" }
          grep { !$known_variable{$_} } $text =~ /^(TIMESHARD_\w*)/gm;
        return @complaints;
    }
    if ($info eq 'chrony.conf')
    {
        my %known = map { $_ => 1 } @chrony;
        return map { "not a directive of chrony: $_" } grep { !/^(\w+)\b/ || !$known{$1} } @lines;
    }
    if ($info eq 'pgbouncer.ini')
    {
        return map { "not a line of pgbouncer's: $_" } grep { !/^(?:\[\w+\]|\w+ = \S.*)$/ } @lines;
    }
    if ($info eq 'pg_service.conf')
    {
        return map { "not a line of a service file: $_" } grep { !/^(?:\[\w+\]|\w+=\S+)$/ } @lines;
    }
    return "nothing parses this kind of file: $info";
}

my %instruction =
  map { $_ => 1 } qw(ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM LABEL RUN USER VOLUME WORKDIR);

sub dockerfile_complaints
{
    my ($text) = @_;
    my (@complaints, $stages, $continued);
    for my $line (split /\n/, $text)
    {
        next if $line =~ /^\s*(?:#.*)?$/;
        if (!$continued)
        {
            my ($word) = $line =~ /^(\w+)\s+\S/;
            push @complaints, "not an instruction: $line" unless $word && $instruction{$word};
            $stages++ if ($word // '') eq 'FROM';
            push @complaints, "before FROM: $line" unless $stages || ($word // '') eq 'ARG';
        }
        $continued = $line =~ /\\$/;
    }
    push @complaints, 'the last line goes on' if $continued;
    return @complaints;
}

# Run by the tests of doc/clients.md, by the name behind the language.
sub client_complaints
{
    my ($text, $info) = @_;
    return $info =~ /^[\w-]+$/ ? () : 'no name by which a test runs it';
}

# The picture of an ID: the fields' bits must make up 64.
sub diagram_complaints
{
    my ($text) = @_;
    my $bits = 0;
    $bits += $_ for $text =~ /\b(\d+) bits?\b/g;
    return $bits == 64 ? () : "the fields have $bits bits";
}

1;
