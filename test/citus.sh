#!/bin/sh
# What doc/distributed.md says of Citus, on a coordinator and two workers that are
# thrown away, with the page's own blocks. Takes an installed PostgreSQL with Citus;
# leaves nothing behind but, after a failure, its folder.
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
for file in "$("$pg_config" --sharedir)/extension/citus.control" "$("$pg_config" --pkglibdir)/citus.so" \
  "$("$pg_config" --sharedir)/extension/dblink.control"; do
  [ -e "$file" ] || skip "Citus is not installed for $("$pg_config" --version), or not with dblink: there is no $file"
done

keep_on_failure=1
. "$(dirname "$0")/sandbox.sh"
page=$here/doc/distributed.md

say() { printf '\n== %s\n' "$*"; }
fail() {
  echo "FAILED: $*" >&2
  exit 1
}

# The page's block of this name.
block() {
  awk -v fence='```' -v name="$1" '$0 == fence "sql citus " name { inside = 1; found = 1; next }
    $0 == fence { inside = 0 } inside; END { exit !found }' "$page" || fail "the page has no block \"$1\""
}

# on NAME: runs SQL from the standard input there, and prints what comes. (psql has
# exit codes of its own, of which 2 would pass for skipped.)
on() {
  as_user "$bindir/psql" -XAtq -v ON_ERROR_STOP=1 -h "$work" -p "$(cat "$work/$1.port")" -d postgres || return 1
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

# server NAME start|restart
server() {
  as_user "$bindir/pg_ctl" -D "$work/$1" -l "$work/$1.log" -m fast -w "$2" >/dev/null || {
    cat "$work/$1.log"
    fail "$1 does not start"
  }
}

say "Building in $work"
make_sandbox
as_user make -s -C "$work/src" PG_CONFIG="$pg_config" install >"$work/build.log" 2>&1 || {
  cat "$work/build.log"
  exit 1
}

say 'A coordinator and two workers'
# Workers are reached by TCP.
ports=$(perl -MIO::Socket::INET -e 'my @s = map { IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") } 1 .. 3;
  print join " ", map { $_->sockport } @s')
for name in coordinator worker_a worker_b; do
  port=${ports%% *}
  ports=${ports#* }
  echo "$port" >"$work/$name.port"
  as_user "$bindir/initdb" -D "$work/$name" -A trust -N >"$work/$name.initdb"
  # Citus has to be the first.
  cat >>"$work/$name/postgresql.conf" <<CONF
shared_preload_libraries = 'citus, timeshard'
listen_addresses = '127.0.0.1'
unix_socket_directories = '$work'
port = $port
timezone = 'UTC'
fsync = off
citus.node_conninfo = 'sslmode=prefer'
CONF
  server "$name" start
  echo 'CREATE EXTENSION citus' | on "$name"
done
port_of() { cat "$work/$1.port"; }
on coordinator >"$work/nodes.out" <<SQL
SELECT citus_set_coordinator_host('127.0.0.1', $(port_of coordinator));
SELECT citus_add_node('127.0.0.1', $(port_of worker_a));
SELECT citus_add_node('127.0.0.1', $(port_of worker_b));
SQL
echo 'SELECT version(); SELECT citus_version()' | on coordinator

say 'Node numbers, by one command'
block numbers | on coordinator
for name in coordinator worker_a worker_b; do server "$name" restart; done

say 'What the page says'
block tables | on coordinator >"$work/tables.out"
is 'the extension has reached the workers' '2' coordinator <<'SQL'
SELECT count(*) FROM run_command_on_workers($$SELECT extversion FROM pg_extension WHERE extname = 'timeshard'$$)
WHERE success AND result <> '';
SQL
got=$(block check | on coordinator | sed 's/.*|//' | sort | tr '\n' ' ')
[ "$got" = '11 12 ' ] || fail "the workers' numbers: expected 11 12, got $got"
echo 'ok - the workers are numbered 11 and 12'
echo 'SELECT node_id, node_id_source FROM timeshard_config()' | is 'the coordinator is 10' '10|configuration' coordinator
is 'as many shards on each worker, 32 in all' '16 16' coordinator <<'SQL'
SELECT string_agg(n::text, ' ') FROM (SELECT count(*) AS n FROM citus_shards
WHERE table_name = 'orders'::regclass AND nodeport IN (SELECT nodeport FROM pg_dist_node WHERE groupid > 0) GROUP BY nodeport) AS s;
SQL

for name in coordinator worker_a worker_b; do
  echo "INSERT INTO orders (item) SELECT '$name' FROM generate_series(1, 100);
    INSERT INTO orders (item) VALUES ('$name'), ('$name')" | on "$name"
done
is 'a plain insert has the number of the server that the client talks to' 'coordinator 10, worker_a 11, worker_b 12' coordinator <<'SQL'
SELECT string_agg(DISTINCT item || ' ' || (timeshard_parse(id)).node_id, ', ') FROM (SELECT id, item FROM orders ORDER BY id LIMIT 1000) AS o;
SQL

on coordinator >"$work/source.out" <<'SQL'
CREATE TABLE source (n integer PRIMARY KEY);
SELECT create_distributed_table('source', 'n');
INSERT INTO source SELECT generate_series(1, 5000);
INSERT INTO orders (item) SELECT 'copied ' || n FROM source;
SQL
is 'INSERT ... SELECT: each worker stamps its own rows' '11 12' coordinator <<'SQL'
SELECT string_agg(DISTINCT (timeshard_parse(id)).node_id::text, ' ')
FROM (SELECT id FROM orders WHERE item LIKE 'copied %' ORDER BY id LIMIT 10000) AS o;
SQL
echo 'SELECT (timeshard_parse(id)).node_id, count(*) FROM (SELECT id FROM orders ORDER BY id LIMIT 10000) AS o GROUP BY 1 ORDER BY 1' |
  on coordinator | sed 's/^/   /; s/|/: /; s/$/ rows/'
is 'and all are different' '5306|5306' coordinator <<'SQL'
SELECT count(*), count(DISTINCT id) FROM orders;
SQL

refused 'RETURNING takes no function that is not immutable' 'immutable' coordinator <<'SQL'
INSERT INTO orders (item) VALUES ('lamp') RETURNING timeshard_parse(id);
SQL
got=$(block returning | on coordinator) || fail 'RETURNING with the forms that are given the epoch'
echo "$got" | grep -q '^[0-9]*|ORD_[0-9]\{19\}|' || fail "RETURNING gives $got"
echo 'ok - and the forms that are given the epoch'
refused 'a unique constraint without the distribution column' 'distribution\|partition column' coordinator <<'SQL'
ALTER TABLE orders ADD UNIQUE (item);
SQL
is 'children lie beside their parents' 't' coordinator <<'SQL'
INSERT INTO order_lines (order_id, amount) SELECT id, 1 FROM orders;
SELECT count(*) = (SELECT count(*) FROM orders) FROM orders AS o JOIN order_lines AS l ON l.order_id = o.id;
SQL

say 'All of it holds.'
