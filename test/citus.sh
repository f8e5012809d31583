#!/bin/sh
# What doc/distributed.md says of Citus, with the page's own blocks: a coordinator, two
# workers and a third one later claim their node IDs from a registry. Takes an installed
# PostgreSQL with Citus; removes everything but, after a failure, its folder.
#
#   PG_CONFIG=/usr/lib/postgresql/15/bin/pg_config     which PostgreSQL
#
# Exit: 0 all holds, 1 something does not, 2 skipped.
set -eu
to_top=..
pg_config=${PG_CONFIG:-pg_config}

skip() {
  echo "Skipped, nothing was tested: $*" >&2
  exit 2
}
command -v "$pg_config" >/dev/null 2>&1 || skip "there is no $pg_config; name one by PG_CONFIG"
for file in "$("$pg_config" --sharedir)/extension/citus.control" "$("$pg_config" --pkglibdir)/citus.so"; do
  [ -e "$file" ] || skip "Citus is not installed for $("$pg_config" --version): there is no $file"
done

keep_on_failure=1
. "$(dirname "$0")/sandbox.sh"
page=$here/doc/distributed.md

say() { printf '\n== %s\n' "$*"; }
fail() {
  echo "FAILED: $*" >&2
  exit 1
}

# The page's block whose fence says this.
block() {
  awk -v fence='```' -v words="$1" '$0 == fence words { inside = 1; found = 1; next }
    $0 == fence { inside = 0 } inside; END { exit !found }' "$page" || fail "the page has no block \"$1\""
}

port_of() { cat "$work/$1.port"; }

# on NAME: runs SQL from the standard input there, and prints what comes. (psql has
# exit codes of its own, of which 2 would pass for skipped.)
on() {
  as_user "$bindir/psql" -XAtq -v ON_ERROR_STOP=1 -h "$work" -p "$(port_of "$1")" -d postgres || return 1
}

# is WHAT EXPECTED NAME: the answer to the SQL from the standard input.
is() {
  got=$(on "$3") || fail "$1: an error"
  [ "$got" = "$2" ] || fail "$1: expected $2, got $got"
  echo "ok - $1"
}

# refused WHAT PATTERN NAME
refused() {
  if got=$(on "$3" 2>&1); then
    fail "$1: is not refused, got $got"
  fi
  echo "$got" | grep -qi "$2" || fail "$1: refused for another reason: $got"
  echo "ok - $1"
}

# tasks WHAT COUNT: the query from the standard input runs where the rows are, in so
# many tasks and nothing else.
tasks() {
  got=$({ printf 'EXPLAIN (COSTS OFF) ' && cat; } | on coordinator) || fail "$1: an error"
  [ "$(echo "$got" | grep 'Task Count\|Distributed Subplan\|MapMerge' | tr -d ' ')" = "TaskCount:$2" ] || fail "$1: the plan is $got"
  echo "ok - $1"
}

# server NAME start|stop [OPTION]...
server() {
  name=$1
  shift
  as_user "$bindir/pg_ctl" -D "$work/$name" -l "$work/$name.log" -w "$@" >/dev/null || {
    cat "$work/$name.log"
    fail "pg_ctl $* of $name"
  }
}

# make_server NAME: the configuration is the standard input's.
make_server() {
  as_user "$bindir/initdb" -D "$work/$1" -A trust -N >"$work/$1.initdb"
  {
    printf "listen_addresses = '127.0.0.1'\nunix_socket_directories = '%s'\nport = %s\ncluster_name = '%s'\n" \
      "$work" "$(port_of "$1")" "$1"
    cat
  } >>"$work/$1/postgresql.conf"
  server "$1" start
}

# The page's configuration, with Citus first as it has to be, and this registry.
make_member() {
  {
    block 'conf postgresql.conf' |
      sed "s/'timeshard'/'citus, timeshard'/; s/host=ids.example/host=127.0.0.1 port=$(port_of ids)/"
    printf "timezone = 'UTC'\nfsync = off\nwal_level = logical\ncitus.node_conninfo = 'sslmode=prefer'\n"
  } | make_server "$1"
  echo 'CREATE EXTENSION citus' | on "$1"
}

# The number that a server has claimed.
number_of() {
  echo "SELECT node_id FROM timeshard_config() WHERE node_id_source = 'registry'" | on "$1"
}

say "Building in $work"
make_sandbox
as_user make -s -C "$work/src" PG_CONFIG="$pg_config" install >"$work/build.log" 2>&1 || {
  cat "$work/build.log"
  exit 1
}

say 'A registry, a coordinator and two workers'
# Workers are reached by TCP.
ports=$(perl -MIO::Socket::INET -e 'my @s = map { IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") } 1 .. 5;
  print join " ", map { $_->sockport } @s')
for name in ids coordinator worker_a worker_b worker_c; do
  echo "${ports%% *}" >"$work/$name.port"
  ports=${ports#* }
done
echo "shared_preload_libraries = 'timeshard'" | make_server ids
on ids >"$work/registry.out" 2>&1 <<'SQL' || fail "no registry: $(cat "$work/registry.out")"
CREATE DATABASE ids;
\c ids
CREATE EXTENSION timeshard;
SELECT timeshard_create_registry('[100,999]');
CREATE ROLE ids LOGIN;
GRANT EXECUTE ON FUNCTION timeshard_claim, timeshard_extend_claim, timeshard_end_claim, timeshard_is_claimed TO ids;
SQL
for name in coordinator worker_a worker_b; do make_member "$name"; done
on coordinator >"$work/nodes.out" <<SQL
SELECT citus_set_coordinator_host('127.0.0.1', $(port_of coordinator));
SELECT citus_add_node('127.0.0.1', $(port_of worker_a));
SELECT citus_add_node('127.0.0.1', $(port_of worker_b));
SQL
echo 'SELECT version(); SELECT citus_version()' | on coordinator

say 'What the page says'
block 'sql citus tables' | on coordinator >"$work/tables.out"
is 'the extension has reached the workers' '2' coordinator <<'SQL'
SELECT count(*) FROM run_command_on_workers($$SELECT extversion FROM pg_extension WHERE extname = 'timeshard'$$)
WHERE success AND result <> '';
SQL
on_coordinator=$(number_of coordinator)
on_a=$(number_of worker_a)
on_b=$(number_of worker_b)
got=$(block 'sql citus check' | on coordinator | sed 's/.*|//' | sort -u | tr '\n' ';')
[ "$got" = "$(printf '%s\n' "$on_coordinator registry" "$on_a registry" "$on_b registry" | sort | tr '\n' ';')" ] ||
  fail "the numbers of all: $got"
echo "ok - each has claimed a number of its own: $on_coordinator, $on_a, $on_b"
is 'as many shards on each worker, 32 in all' '16 16' coordinator <<'SQL'
SELECT string_agg(n::text, ' ') FROM (SELECT count(*) AS n FROM citus_shards
WHERE table_name = 'orders'::regclass AND nodeport IN (SELECT nodeport FROM pg_dist_node WHERE groupid > 0) GROUP BY nodeport) AS s;
SQL

for name in coordinator worker_a worker_b; do
  echo "INSERT INTO orders (item) SELECT '$name' FROM generate_series(1, 100);
    INSERT INTO orders (item) VALUES ('$name'), ('$name')" | on "$name"
done
is 'a plain insert has the number of the server that the client talks to' \
  "coordinator $on_coordinator, worker_a $on_a, worker_b $on_b" coordinator <<'SQL'
SELECT string_agg(DISTINCT item || ' ' || (timeshard_parse(id)).node_id, ', ') FROM (SELECT id, item FROM orders ORDER BY id LIMIT 1000) AS o;
SQL

on coordinator >"$work/source.out" <<'SQL'
CREATE TABLE source (n integer PRIMARY KEY);
SELECT create_distributed_table('source', 'n');
INSERT INTO source SELECT generate_series(1, 5000);
INSERT INTO orders (item) SELECT 'copied ' || n FROM source;
SQL
workers=$(printf '%s\n' "$on_a" "$on_b" | sort -n | tr '\n' ' ')
is 'INSERT ... SELECT: each worker stamps its own rows' "${workers% }" coordinator <<'SQL'
SELECT string_agg(DISTINCT (timeshard_parse(id)).node_id::text, ' ')
FROM (SELECT id FROM orders WHERE item LIKE 'copied %' ORDER BY id LIMIT 10000) AS o;
SQL
echo 'SELECT (timeshard_parse(id)).node_id, count(*) FROM (SELECT id FROM orders ORDER BY id LIMIT 10000) AS o GROUP BY 1 ORDER BY 1' |
  on coordinator | sed 's/^/   /; s/|/: /; s/$/ rows/'

refused 'RETURNING takes no function that is not immutable' 'immutable' coordinator <<'SQL'
INSERT INTO orders (item) VALUES ('lamp') RETURNING timeshard_parse(id);
SQL
got=$(block 'sql citus returning' | on coordinator) || fail 'RETURNING with the forms that are given the epoch'
echo "$got" | grep -q '^[0-9]*|ORD_[0-9]\{19\}|' || fail "RETURNING gives $got"
echo 'ok - and the forms that are given the epoch'
refused 'a unique constraint without the distribution column' 'distribution\|partition column' coordinator <<'SQL'
ALTER TABLE orders ADD UNIQUE (item);
SQL
echo 'INSERT INTO order_lines (order_id, amount) SELECT id, 1 FROM orders' | on coordinator
join='SELECT count(*) FROM orders AS o JOIN order_lines AS l ON l.order_id = o.id;'
echo "$join" | is 'each line finds its order' 5307 coordinator
echo "$join" | tasks 'and lies beside it: the join is pushed down' 32

say 'Typed keys'
refused 'a type that was made by hand' 'unsupported object' coordinator <<'SQL'
SELECT timeshard_create_type('ticket_id', 'TKT_');
SELECT run_command_on_workers($$SELECT timeshard_create_type('ticket_id', 'TKT_')$$);
CREATE TABLE tickets (id ticket_id PRIMARY KEY);
SELECT create_distributed_table('tickets', 'id');
SQL
on coordinator >"$work/undone.out" <<'SQL'
DROP TABLE tickets;
SELECT timeshard_drop_type('ticket_id');
SELECT run_command_on_workers($$SELECT timeshard_drop_type('ticket_id')$$);
SQL
block 'sh citus keys' >"$work/keys.sh"
as_user env PATH="$bindir:$PATH" sh -eu "$work/keys.sh"
block 'sql citus keys' | on coordinator >"$work/keys.out"
types_everywhere() {
  is "$1" "$2" coordinator <<'SQL'
SELECT string_agg(DISTINCT result, ' and ') FROM run_command_on_all_nodes('SELECT count(*) FROM timeshard_types');
SQL
}
types_everywhere 'an extension takes them to every server' 2
on coordinator >"$work/tickets.out" <<'SQL'
INSERT INTO tickets (title) SELECT 'copied ' || n FROM source;
INSERT INTO notes (ticket, note) SELECT id, 'so' FROM tickets;
SQL
is 'each worker stamps its own rows' "${workers% }" coordinator <<'SQL'
SELECT string_agg(DISTINCT (ticket_id_parse(id)).node_id::text, ' ' ORDER BY (ticket_id_parse(id)).node_id::text) FROM tickets;
SQL
join='SELECT count(*) FROM tickets AS t JOIN notes AS n ON n.ticket = t.id'
echo "$join;" | is 'each note finds its ticket' 5000 coordinator
echo "$join;" | tasks 'and lies beside it: the join is pushed down' 32
echo 'SELECT count(*) FROM tickets WHERE ticket_id_between(id, now() - interval $$1 hour$$, $$infinity$$)' |
  is 'a range of time' 5000 coordinator
id=$(echo "INSERT INTO tickets (title) VALUES ('lost') RETURNING id" | on coordinator)
case $id in
TKT_0[0-9]*) echo "ok - RETURNING gives $id" ;;
*) fail "RETURNING gives $id" ;;
esac
echo "SELECT title FROM tickets WHERE id = '$id'" | tasks 'one key asks one worker' 1
echo "$join AND t.id = '$id'" | tasks 'a join too' 1
got=$({
  echo 'PREPARE by_text (text) AS SELECT title FROM tickets WHERE id = $1;'
  for n in 1 2 3 4 5 6 7; do echo "EXECUTE by_text('$id');"; done
} | on coordinator | sort | uniq -c | tr -s ' ')
[ "$got" = ' 7 lost' ] || fail "a text parameter finds $got"
echo 'ok - a text parameter, more often than a plan is made for each value'
refused 'a note without a ticket' 'foreign key' coordinator <<'SQL'
INSERT INTO notes (ticket) VALUES ('TKT_0000000000000000001');
SQL
refused 'a bigint beside a typed key' 'types don.t match' coordinator <<'SQL'
CREATE TABLE numbers (id bigint PRIMARY KEY);
SELECT create_distributed_table('numbers', 'id', colocate_with => 'tickets');
SQL
on coordinator >"$work/numbers.out" <<'SQL'
SET client_min_messages = warning;
SELECT create_distributed_table('numbers', 'id');
INSERT INTO numbers SELECT id::bigint FROM tickets LIMIT 100;
SELECT undistribute_table('numbers');
ALTER TABLE numbers ALTER id TYPE ticket_id;
SELECT create_distributed_table('numbers', 'id', colocate_with => 'tickets');
SQL
echo 'SELECT count(*) FROM numbers JOIN tickets USING (id)' | is 'until it becomes one' 100 coordinator
echo "SELECT timeshard_create_type('person_id', 'PER_')" | as_user tee "$("$pg_config" --sharedir)/extension/shop_keys--1.0--1.1.sql" >/dev/null
echo "ALTER EXTENSION shop_keys UPDATE TO '1.1'" | on coordinator
types_everywhere 'an update takes one more to every server' 3

say 'A third worker'
make_member worker_c
echo "SELECT FROM citus_add_node('127.0.0.1', $(port_of worker_c))" | on coordinator >"$work/nodes.out"
on_c=$(number_of worker_c)
case " $on_coordinator $on_a $on_b " in
*" $on_c "*) fail "it has claimed $on_c, which another has" ;;
esac
echo "ok - it has claimed $on_c"
types_everywhere 'and has the typed keys' 3
on coordinator >"$work/moved.out" <<SQL
SELECT FROM (SELECT shardid, nodeport FROM citus_shards WHERE table_name = 'tickets'::regclass ORDER BY shardid LIMIT 1) AS s,
  citus_move_shard_placement(shardid, '127.0.0.1', nodeport, '127.0.0.1', $(port_of worker_c), 'force_logical');
INSERT INTO orders (item) SELECT 'of a ticket' FROM tickets;
SQL
echo "INSERT INTO tickets (title) SELECT 'by the third' FROM generate_series(1, 100)" | on worker_c
is 'a shard moves to it, by logical replication, and it makes IDs' "$on_c" coordinator <<SQL
SELECT DISTINCT (timeshard_parse(id)).node_id FROM (SELECT id FROM orders WHERE item = 'of a ticket' ORDER BY id LIMIT 10000) AS o
WHERE (timeshard_parse(id)).node_id NOT IN ($on_a, $on_b);
SQL

say 'A crash'
server worker_b stop -m immediate
server worker_b start
echo "INSERT INTO tickets (title) SELECT 'after the crash' FROM generate_series(1, 100)" | on worker_b
is 'another number, as the old claim still runs' "$(number_of worker_b)|t" coordinator <<SQL
SELECT DISTINCT (ticket_id_parse(id)).node_id, (ticket_id_parse(id)).node_id NOT IN ($on_coordinator, $on_a, $on_b, $on_c)
FROM tickets WHERE title = 'after the crash';
SQL
is 'of all IDs none are alike' '25816|25816' coordinator <<'SQL'
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM orders UNION ALL SELECT id FROM order_lines
  UNION ALL SELECT id::bigint FROM tickets UNION ALL SELECT id::bigint FROM notes) AS i;
SQL

say 'All of it holds.'
