# doc/clients.md, typed keys: each client gets them as text, sends them as text and finds
# rows by them, as a role that owns its database. The programs are in test/clients/typed;
# the page's classes come before them, and its lines are in them. Each prints a buyer's
# prefix and four items in the order in which they were sold.
#
# Debian: as for the other tests of the page. The ORMs in JavaScript and node-postgres
# are installed by npm, as for clients_orms_javascript.pl.
use strict;
use warnings FATAL => 'all';

use File::Copy qw(copy);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Clients;
use Manual qw(read_text);
use Timeshard;

my $typed = "$FindBin::RealBin/../clients/typed";
my $node = shop_cluster('typed_clients');
my $folder = $node->basedir;

# A database with the types, and the page's tables if the client does not make them.
sub typed_database
{
    my ($name, %options) = @_;
    my $database = shop_database($node, "typed_$name");
    $node->safe_psql($database, 'GRANT EXECUTE ON FUNCTION timeshard_create_type(text, text, text) TO shop');
    my $schema = read_text("$typed/schema.sql");
    $schema =~ s/CREATE TABLE.*//s if $options{types_only};
    shop_sql($node, $database, $schema);
    return $database;
}

# It prints the prefix and the four items, and its rows have typed keys, by the server.
sub check
{
    my ($name, $database, $ok, $out, $err) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $tables = $name eq 'django' ? [qw(shop_buyer shop_sale)] : [qw(buyers sales)];
    ok($ok, "$name: ends well") or diag("$out$err");
    like($out, qr/\bBUY_\b/, "$name: prints the prefix");
    is(join(' ', $out =~ /\b(?:lamp|chair|table|rug)\b/g), 'lamp chair table rug', "$name: and the items in order");
    is(shop_sql($node, $database, "SELECT count(*), min(pg_typeof(s.id)::text), bool_and(s.id::text ~ '^SAL_0\\d{18}\$'), string_agg(item, ' ' ORDER BY s.id)
            FROM $tables->[1] AS s JOIN $tables->[0] AS b ON s.buyer_id = b.id"),
        '4|sale_id|t|lamp chair table rug', "$name: rows with keys of the server's");
    return;
}

sub check_python
{
    my ($name, $text, %options) = @_;
    my $database = typed_database($name, %options);
    my $program = write_program("$folder/typed_$name.py", $text);
    return check($name, $database, run_in_shop($node, $database, [ $python, $program ]));
}

subtest 'psycopg' => sub {
    plan skip_all => 'install python3-psycopg' unless has_python_modules('psycopg');
    check_python('psycopg', read_text("$typed/psycopg.py"));
};

subtest 'psycopg2' => sub {
    plan skip_all => 'install python3-psycopg2' unless has_python_modules('psycopg2');
    my $text = read_text("$typed/psycopg.py");
    # What is not the same: connecting, and that a cursor executes.
    $text =~ s/import psycopg\n/import psycopg2\n/;
    $text =~ s/connection = psycopg\.connect\(autocommit=True\)\n/connection = psycopg2.connect("")\nconnection.autocommit = True\n\n\ndef execute(*call):\n    cursor = connection.cursor()\n    cursor.execute(*call)\n    return cursor\n\n\n/;
    $text =~ s/connection\.execute\(/execute(/g;
    check_python('psycopg2', $text);
};

subtest 'SQLAlchemy' => sub {
    plan skip_all => 'install python3-sqlalchemy' unless has_python_modules('sqlalchemy', 'psycopg2');
    check_python('sqlalchemy', snippet('typed-sqlalchemy') . read_text("$typed/sqlalchemy.py"), types_only => 1);
};

subtest 'Django' => sub {
    plan skip_all => 'install python3-django' unless has_python_modules('django', 'psycopg2');
    my $database = typed_database('django', types_only => 1);
    make_path("$folder/typed/shop/migrations");
    write_program("$folder/typed/shop/$_", '') for '__init__.py', 'migrations/__init__.py';
    write_program("$folder/typed/shop/models.py", snippet('typed-django') . read_text("$typed/django-models.py"));
    write_program("$folder/typed/settings.py", <<"PYTHON");
SECRET_KEY = "of a test"
INSTALLED_APPS = ["shop"]
USE_TZ = True
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "$database", "USER": "shop"}}
PYTHON
    my %there = (dir => "$folder/typed", env => { DJANGO_SETTINGS_MODULE => 'settings', PYTHONPATH => "$folder/typed" });
    for my $command ('makemigrations', 'migrate', 'makemigrations --check')
    {
        my ($ok, $out, $err) = run_in_shop($node, $database, [ $python, '-m', 'django', split / /, $command ], %there);
        ok($ok, "Django's $command") or diag("$out$err");
    }
    my $program = write_program("$folder/typed/client.py", read_text("$typed/django.py"));
    check('django', $database, run_in_shop($node, $database, [ $python, $program ], %there));
};

subtest 'JDBC' => sub {
    my $jar = '/usr/share/java/postgresql.jar';
    my ($has_java) = run_in_shop($node, 'postgres', [ 'javac', '-version' ]);
    plan skip_all => 'install default-jdk-headless and libpostgresql-jdbc-java' unless $has_java && -e $jar;
    my $database = typed_database('jdbc');
    my $program = write_program("$folder/Sales.java", read_text("$typed/jdbc.java"));
    my $url = 'jdbc:postgresql://127.0.0.1:' . $node->port . "/$database?user=shop";
    check('jdbc', $database, run_in_shop($node, $database, [ 'java', '-cp', $jar, $program, $url ]));
};

subtest 'JavaScript' => sub {
    my $modules = tempdir(CLEANUP => 1);
    my %here = (dir => $modules, env => { HOME => $modules, npm_config_cache => "$modules/.npm", npm_config_userconfig => "$modules/.npmrc", NO_COLOR => 1, CI => 1 });
    plan skip_all => 'install nodejs and npm' unless (run_client([qw(npm --version)], %here))[0];
    copy("$FindBin::RealBin/../clients/$_", $modules) or die "cannot copy $_: $!" for 'package.json', 'package-lock.json';
    my ($installed, undef, $why_not) = run_client([qw(npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier
        --fetch-retries=1 --fetch-timeout=120000 --loglevel=error)], %here);
    plan skip_all => "npm ci: $why_not" unless $installed;
    my %program = map { $_ => read_text("$typed/$_.js") } 'node-postgres', 'drizzle', 'knex', 'typeorm';
    my $all = join '', values %program;
    for my $line (grep { m{^(?!//)\S} } split /\n/, snippet('typed-columns'))
    {
        isnt(index($all, $line), -1, "a program has $line");
    }
    for my $name (sort keys %program)
    {
        my $database = typed_database($name =~ tr/-/_/r, types_only => $name eq 'knex');
        my $program = write_program("$modules/typed-$name.js", async_program($program{$name}));
        check($name, $database, run_in_shop($node, $database, [ 'node', $program ], %here));
    }
};

$node->stop;
done_testing();
