# What the tests of doc/clients.md share: they take the page's snippets, run
# those of one client as one program, as an ordinary role on a database of its
# own, and hold what it prints against the page and against the server.
package Clients;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Manual qw(read_text blocks_of differences);
use ManualParsers;
use Timeshard;

our @EXPORT = qw(
  shop_cluster shop_database shop_sql in_shop snippets snippet orm_program shown written_by_tools
  run_client run_in_shop complaints_about check_output async_program has_python_modules write_program prepared_by_name $python
);

our $page = "$FindBin::RealBin/../../doc/clients.md";
our $python = ManualParsers::python();
my @blocks = blocks_of(read_text($page));

# A server that clients reach by TCP too, as JDBC must, and the role that owns
# what they use: no superuser.
sub shop_cluster
{
    my ($name) = @_;
    # In SQL_ASCII psycopg's texts are bytes.
    my $node = new_cluster($name, create => 0, init => [ extra => [ '--locale=C.UTF-8', '--encoding=UTF8' ] ],
        conf => "timeshard.node_id = 298\nlisten_addresses = '127.0.0.1'\ntimezone = 'UTC'\n");
    $node->safe_psql('postgres', 'CREATE ROLE shop LOGIN');
    return $node;
}

# A database of that role's, with the extension, and the page's tables if asked.
# The role itself creates both.
sub shop_database
{
    my ($node, $name, %options) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $name OWNER shop");
    shop_sql($node, $name, $options{tables} ? snippet('schema') : 'CREATE EXTENSION timeshard');
    return $name;
}

sub shop_sql
{
    my ($node, $database, $sql) = @_;
    return $node->safe_psql($database, $sql, extra_params => [ '-U', 'shop' ]);
}

# The environment by which a client finds the database.
sub in_shop
{
    my ($node, $database) = @_;
    return (PGHOST => $node->host, PGPORT => $node->port, PGDATABASE => $database, PGUSER => 'shop');
}

# The page's blocks whose fence has this name behind the language.
sub snippets
{
    my ($name) = @_;
    my @found = grep { ($_->{info} // '') eq $name } @blocks;
    die "doc/clients.md has no block '$name'" unless @found;
    return @found;
}

# Their text, one below the other, as a reader pastes them.
sub snippet
{
    my ($name) = @_;
    return join "\n", map { $_->{text} } snippets($name);
}

# The program in test/clients/orms that uses the page's models of an ORM.
sub orm_program
{
    my ($file) = @_;
    return read_text("$FindBin::RealBin/../clients/orms/$file");
}

# What the page says that a client prints; nothing of an ORM.
sub shown
{
    my ($name) = @_;
    return join '', map { ($_->{info} // '') eq $name && $_->{output} ? $_->{output}{text} : () } @blocks;
}

# What the migration tools write for the keys of the page's models: tool => [texts].
my $of_python = "server_default=sa.text('timeshard_next_id()')";
my %written_by_tools = (
    '`alembic revision --autogenerate`' => ["sa.Column('id', sa.BigInteger(), $of_python, nullable=False)"],
    'Alembic, a `bigserial` key that exists' => [ "op.alter_column('orders', 'id',", "$of_python," ],
    "Django's `makemigrations`" => ["('id', shop.models.TimeshardField(primary_key=True, serialize=False))"],
    "Django's `sqlmigrate`" => ['"id" bigint DEFAULT timeshard_next_id() NOT NULL PRIMARY KEY'],
    '`drizzle-kit generate`' => ['"id" bigint PRIMARY KEY DEFAULT timeshard_next_id() NOT NULL'],
    'Knex' => ['"id" bigint default timeshard_next_id()'],
    '`typeorm migration:generate`' => ['"id" bigint NOT NULL DEFAULT timeshard_next_id()'],
);

sub written_by_tools
{
    return map { $_ => [ @{ $written_by_tools{$_} } ] } keys %written_by_tools;
}

sub write_program
{
    my ($path, $text) = @_;
    open my $out, '>:encoding(UTF-8)', $path or die "cannot write $path: $!";
    print $out $text;
    close $out or die "cannot write $path: $!";
    return $path;
}

# Runs a program, for as long as tests are patient; returns whether it ended well,
# and what it printed.
sub run_client
{
    my ($command, %options) = @_;
    local %ENV = (%ENV, %{ $options{env} // {} });
    my ($out, $err) = ('', '');
    my $timeout = IPC::Run::timeout(5 * $PostgreSQL::Test::Utils::timeout_default);
    my @there = $options{dir} ? (init => sub { chdir $options{dir} or die "cannot enter $options{dir}: $!" }) : ();
    my $run = eval { IPC::Run::start($command, '<', \undef, '>', \$out, '2>', \$err, @there, $timeout) };
    my $ok = $run && eval { $run->finish };
    if ($run && $@) { $run->kill_kill }
    return ($ok, $out, $err . ($@ // ''));
}

# The same for a client of this database.
sub run_in_shop
{
    my ($node, $database, $command, %options) = @_;
    local %ENV = (%ENV, in_shop($node, $database));
    return run_client($command, %options);
}

# What the tables that a client's models made should have, in one line.
sub shape_of
{
    my ($node, $database, $customers, $orders) = @_;
    my $column = "format_type(a.atttypid, -1) FROM pg_attribute AS a LEFT JOIN pg_attrdef AS d ON adrelid = attrelid AND adnum = attnum WHERE attrelid";
    return shop_sql($node, $database, <<"SQL");
SELECT concat_ws(', ',
    (SELECT pg_get_expr(adbin, adrelid) || ' ' || $column = '$customers'::regclass AND attname = 'id'),
    (SELECT pg_get_expr(adbin, adrelid) || ' ' || $column = '$orders'::regclass AND attname = 'id'),
    (SELECT $column = '$orders'::regclass AND attname = 'customer_id'),
    (SELECT DISTINCT 'FOREIGN KEY' FROM pg_constraint WHERE contype = 'f' AND convalidated
        AND conrelid = '$orders'::regclass AND confrelid = '$customers'::regclass))
SQL
}

# What is wrong with a run of a client; nothing, if it prints what the page shows,
# and no ID but the server's, in all their digits, and if its rows are there: a
# customer, and four orders, made in the order in which they were given; in tables
# whose keys are the server's, with a foreign key between them.
sub complaints_about
{
    my ($node, $database, $name, $ok, $out, $err, %options) = @_;
    my ($customers, $orders) = @{ $options{tables} // [qw(customers orders)] };
    return "it fails: $out$err" unless $ok;

    my $shown = shown($name);
    my $difference = $shown eq '' ? undef : differences($shown, $out);
    my @complaints = defined $difference ? "not what the page shows: $difference\nall that came:\n$out" : ();

    my @rows = split /\n/,
      shop_sql($node, $database, "SELECT id::text FROM $customers UNION ALL SELECT id::text FROM $orders");
    my %printed = map { $_ => 1 } $out =~ /\d{15,}/g;
    my $printed = join ' ', sort keys %printed;
    my $real = join ' ', sort @rows;
    push @complaints, "not the server's IDs: $printed printed, $real there" if $printed ne $real;

    my $items = shop_sql($node, $database, "SELECT string_agg(item, ' ' ORDER BY id) FROM $orders");
    push @complaints, "out of order: $items" if $items ne 'lamp chair table rug';
    my $made = shop_sql($node, $database, "SELECT count(*) FROM $orders AS o JOIN $customers AS c ON c.id = o.customer_id
        WHERE least(o.id, c.id) >= timeshard_lower_bound(now() - interval '1 h') AND greatest(o.id, c.id) <= timeshard_next_id()");
    push @complaints, "$made of 4 orders have new IDs and a customer" if $made != 4;
    my $shape = shape_of($node, $database, $customers, $orders);
    push @complaints, "not the tables that were meant: $shape"
      if $shape ne 'timeshard_next_id() bigint, timeshard_next_id() bigint, bigint, FOREIGN KEY';
    return @complaints;
}

sub check_output
{
    my ($node, $database, $name, @run) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @complaints = complaints_about($node, $database, $name, @run);
    diag(join "\n", @complaints) if @complaints;
    return ok(!@complaints, "$name: IDs, order and rows are the server's, and as the page shows");
}

# What clients have run, since this place in the server's log, by the names that they
# had given to statements: the server logs all statements in a test.
sub prepared_by_name
{
    my ($node, $from) = @_;
    my %seen = map { $_ => 1 } substr(log_of($node), $from // 0) =~ /LOG:  execute ((?!<unnamed>)[^:]+):/g;
    return sort keys %seen;
}

# The body of an async function, as the page has its JavaScript, as a program.
sub async_program
{
    my ($text) = @_;
    return "(async () => {\n$text})().catch((error) => {\n    console.error(error);\n    process.exit(1);\n});\n";
}

# Whether Debian's Python has these modules; says which are missing.
sub has_python_modules
{
    my (@modules) = @_;
    my @missing = grep { !IPC::Run::run([ $python, '-c', "import $_" ], '>', \my $out, '2>', \my $err) } @modules;
    diag("no Python module: @missing") if @missing;
    return !@missing;
}

1;
