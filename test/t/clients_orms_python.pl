# doc/clients.md, the ORMs in Python: SQLAlchemy with Alembic, and Django. Models
# with the server's default, IDs returned, many rows, foreign keys and pages, by
# the page's own models, as a role that owns its database; what their migration
# tools write, and that they find nothing to change afterwards.
#
# Debian: python3-sqlalchemy, python3-alembic, python3-django, python3-psycopg2.
use strict;
use warnings FATAL => 'all';

use File::Path qw(make_path);
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Clients;
use Timeshard;

my $node = shop_cluster('orms_python');
my $folder = $node->basedir;
my %written = written_by_tools();

# White space is a matter of taste.
sub has_text
{
    my ($text, $part, $name) = @_;
    s/\s+/ /g for $text, $part;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok(index($text, $part) >= 0, "$name: $part") || diag($text);
}

# Prints the migration that Alembic would write.
my $autogenerate = <<'PYTHON';
import sys
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from models import Base

%s
with create_engine("postgresql+psycopg2://", future=True).connect() as connection:
    context = MigrationContext.configure(connection, opts={
        "target_metadata": Base.metadata, "compare_server_default": "compare" in sys.argv,
        "include_object": include_object})
    print(render_python_code(produce_migrations(context, Base.metadata).upgrade_ops))
PYTHON

sub alembic
{
    my ($database, @arguments) = @_;
    my ($ok, $out, $err) = run_in_shop($node, $database, [ $python, "$folder/alembic_client.py", @arguments ]);
    ok($ok, 'Alembic runs') or diag($err);
    return $out;
}

subtest 'SQLAlchemy' => sub {
    plan skip_all => 'install python3-sqlalchemy' unless has_python_modules('sqlalchemy', 'psycopg2');
    my $database = shop_database($node, 'sqlalchemy');
    my $program = write_program("$folder/sqlalchemy_client.py", snippet('sqlalchemy-models') . orm_program('sqlalchemy.py'));
    check_output($node, $database, 'sqlalchemy', run_in_shop($node, $database, [ $python, $program ]));
};

subtest 'Alembic' => sub {
    plan skip_all => 'install python3-alembic' unless has_python_modules('alembic', 'psycopg2');
    write_program("$folder/models.py", snippet('sqlalchemy-models'));
    write_program("$folder/alembic_client.py", sprintf $autogenerate, snippet('alembic-filter'));

    my $database = shop_database($node, 'alembic');
    has_text(alembic($database), $_, 'new tables') for @{ delete $written{'`alembic revision --autogenerate`'} };

    # Tables as the models have them: nothing to do, now and the next time.
    shop_sql($node, $database, snippet('schema') =~ s/.*?;//sr =~ s/CREATE INDEX.*?;//sr);
    shop_sql($node, $database, 'CREATE INDEX ix_orders_customer_id ON orders (customer_id)');
    like(alembic($database, 'compare'), qr/\A\s*(?:#.*\n\s*)*pass\b(?!.*op\.)/s, 'no difference to the tables');

    # Where the key has a sequence, the change is seen if defaults are compared.
    shop_sql($node, $database, 'ALTER TABLE orders ALTER COLUMN id DROP DEFAULT; CREATE SEQUENCE orders_id_seq OWNED BY orders.id;
        ALTER TABLE orders ALTER COLUMN id SET DEFAULT nextval(\'orders_id_seq\')');
    my $changes = alembic($database, 'compare');
    has_text($changes, $_, 'a key with a sequence') for @{ delete $written{'Alembic, a `bigserial` key that exists'} };
    unlike(alembic($database), qr/op\./, 'and not seen if they are not');

    # Constraints without a name come to the filter too.
    shop_sql($node, $database, 'ALTER TABLE orders DROP CONSTRAINT orders_customer_id_fkey');
    has_text(alembic($database), 'op.create_foreign_key(None, ', 'a foreign key');
    shop_sql($node, $database, 'ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers');

    # The trap: another text is run, and no call gives what another gives.
    shop_sql($node, $database, 'ALTER TABLE orders ALTER COLUMN id SET DEFAULT timeshard_next_id();
        CREATE SCHEMA keys; ALTER DATABASE alembic SET search_path = public, keys');
    $node->safe_psql($database, 'ALTER EXTENSION timeshard SET SCHEMA keys');
    my $issued = 'SELECT ids_issued FROM keys.timeshard_stats()';
    write_program("$folder/models.py", snippet('sqlalchemy-models') =~ s/timeshard_next_id/keys.timeshard_next_id/r);
    my $before = shop_sql($node, $database, $issued);
    like(alembic($database, 'compare'), qr/op\.alter_column\('orders', 'id'/, 'the same function by another name: a change each time');
    is(shop_sql($node, $database, $issued) - $before, 4, 'for which the server is asked');
    shop_sql($node, $database, 'ALTER DATABASE alembic RESET search_path');
    like(alembic($database, 'compare'), qr/\A\s*(?:#.*\n\s*)*pass\b(?!.*op\.)/s, 'in the schema, by its name: no difference');
};

my $settings = <<'PYTHON';
import os

SECRET_KEY = "x"
INSTALLED_APPS = ["shop"]
USE_TZ = True
DATABASES = {"default": {
    "ENGINE": "django.db.backends.postgresql",
    "NAME": os.environ["PGDATABASE"], "USER": os.environ["PGUSER"],
    "HOST": os.environ["PGHOST"], "PORT": os.environ["PGPORT"],
}}
PYTHON
my %django_env = (DJANGO_SETTINGS_MODULE => 'settings', PYTHONPATH => "$folder/django", PYTHONDONTWRITEBYTECODE => 1);

sub django_admin
{
    my ($database, @arguments) = @_;
    my ($ok, $out, $err) = run_in_shop($node, $database, [ $python, '-m', 'django', @arguments ], env => \%django_env);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok($ok, "django-admin @arguments") or diag("$out$err");
    return $out;
}

subtest 'Django' => sub {
    plan skip_all => 'install python3-django' unless has_python_modules('django', 'psycopg2');
    make_path("$folder/django/shop/migrations");
    write_program("$folder/django/settings.py", $settings);
    write_program("$folder/django/shop/$_", '') for '__init__.py', 'migrations/__init__.py';

    # The page's models, and one with the key that Django makes by itself.
    my $invoice = "\n\nclass Invoice(models.Model):\n    id = %s(primary_key=True)\n    total = models.IntegerField()\n";
    my $models = "$folder/django/shop/models.py";
    write_program($models, snippet('django-models') . sprintf $invoice, 'models.BigAutoField');

    my $database = shop_database($node, 'django');
    my %tables = (tables => [qw(shop_customer shop_order)]);
    django_admin($database, 'makemigrations', 'shop');
    has_text(slurp_file("$folder/django/shop/migrations/0001_initial.py"), $_, 'makemigrations') for @{ delete $written{"Django's `makemigrations`"} };
    has_text(django_admin($database, 'sqlmigrate', 'shop', '0001'), $_, 'sqlmigrate') for @{ delete $written{"Django's `sqlmigrate`"} };
    django_admin($database, 'migrate');

    my $program = write_program("$folder/django/client.py", orm_program('django.py'));
    check_output($node, $database, 'django', run_in_shop($node, $database, [ $python, $program ], env => \%django_env), %tables);

    # The other key changes over, and Django knows it.
    shop_sql($node, $database, 'INSERT INTO shop_invoice (total) VALUES (1)');
    write_program($models, snippet('django-models') . sprintf $invoice, 'TimeshardField');
    write_program("$folder/django/shop/migrations/0002_invoice.py", snippet('django-migration'));
    like(django_admin($database, 'makemigrations', '--check', '--dry-run'), qr/^No changes/, 'Django finds no difference');
    django_admin($database, 'migrate');
    shop_sql($node, $database, 'INSERT INTO shop_invoice (total) VALUES (2)');
    is(shop_sql($node, $database, "SELECT id = 1, total FROM shop_invoice ORDER BY id"), "t|1\nf|2", 'new keys are above the old');
    is(shop_sql($node, $database, "SELECT column_default FROM information_schema.columns WHERE table_name = 'shop_invoice' AND column_name = 'id'"),
        'timeshard_next_id()', 'by the default');
    is(shop_sql($node, $database, "SELECT count(*) FROM pg_class WHERE relkind = 'S' AND relname LIKE 'shop%'"), 0, 'no sequence is left');

    # What Django does with sequences after loading data does no harm.
    shop_sql($node, $database, django_admin($database, 'sqlsequencereset', 'shop'));

    # Without the migration of one's own: no SQL, as the page says.
    unlink "$folder/django/shop/migrations/0002_invoice.py";
    django_admin($database, 'makemigrations', 'shop');
    like(django_admin($database, 'sqlmigrate', 'shop', '0002'), qr/TYPE bigint DEFAULT/, "Django's own migration is no SQL");
};

is_deeply([ prepared_by_name($node) ], [], 'none of these clients prepares by a name, as the page says of them');

$node->stop;
done_testing();
