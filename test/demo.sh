#!/bin/sh
# Runs a short demo on a temporary server, then removes it: installs what is missing,
# builds, starts a server, shows the main functions.
#
#   usage: demo.sh
set -eu
to_top=..

doing() { printf '… %s\n' "$*" >&2; }

doing 'Installing the packages that building needs, if they are missing'
"$(dirname "$0")/install_packages.sh" demo
. "$(dirname "$0")/sandbox.sh"

doing "Building Timeshard in $work; the system's PostgreSQL stays as it is"
make_sandbox
as_user make -s -C "$work/src" PG_CONFIG="$pg_config" install >"$work/build.log" 2>&1 ||
  { cat "$work/build.log" >&2; exit 1; }

doing 'Starting a temporary PostgreSQL server whose clock can be stepped'
clock() { # replaced whole, so that no session ever reads half a setting
  as_user sh -c 'echo "$1" >"$2/clock.new" && mv "$2/clock.new" "$2/clock"' sh "$1" "$work"
}
clock +0
as_user "$bindir/initdb" -D "$work/data" -N -A trust -U postgres >"$work/initdb.log"
faketime=$(ls /usr/lib/*/faketime/libfaketime.so.1)
as_user env LD_PRELOAD="$faketime" FAKETIME_TIMESTAMP_FILE="$work/clock" FAKETIME_NO_CACHE=1 \
  FAKETIME_DONT_FAKE_MONOTONIC=1 TIMESHARD_NODE_ID=298 \
  "$bindir/pg_ctl" -D "$work/data" -l "$work/server.log" -w \
  -o "-c listen_addresses='' -c unix_socket_directories='$work'" start >/dev/null

sql() { as_user "$bindir/psql" -X -q -h "$work" -U postgres -P pager=off -v VERBOSITY=default "$@"; }

step=0
tell() { step=$((step + 1)); printf '\n%s. %s\n\n' "$step" "$*"; }
show() { # show SQL: as a person would type it, then what the server says
  printf '%s\n' "$1" | sed '1s/^/=> /; 2,$s/^/   /'
  sql -c "$1" 2>&1
}

cat <<'TEXT'

Timeshard: 64-bit IDs made by PostgreSQL itself. They are unique across servers,
sort by time, and tell when, where and in which order they were made.
TEXT

tell 'Create the extension, and a table whose key has a default'
show 'CREATE EXTENSION timeshard;'
show "CREATE TABLE orders (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), item text);"
show "INSERT INTO orders (item) VALUES ('lamp'), ('desk'), ('chair');"
show 'SELECT * FROM orders;'

tell 'Readable keys: a prefix in front, or a marker inside'
show "SELECT timeshard_next_id_with_prefix('ORD_') AS order_key,
       timeshard_prefix_at('-TAX-', 4) AS tax_key;"

tell 'When was a row made, by which server, in which order?'
show 'SELECT o.item, p.datetime, p.node_id, p.sequence
FROM orders AS o, timeshard_parse(o.id) AS p ORDER BY o.id;'
key=$(sql -At -c "SELECT timeshard_next_id_with_prefix('TXN_')")
show "SELECT datetime, node_id, sequence FROM timeshard_parse('$key');"

tell '16 sessions at once insert 400,000 rows without a duplicate'
sql -c 'CREATE TABLE events (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), session integer)'
cat >"$work/load.sql" <<'LOAD'
INSERT INTO events (session) SELECT :client_id FROM generate_series(1, 1000);
LOAD
doing 'Inserting, which takes a few seconds'
as_user "$bindir/pgbench" -n -h "$work" -U postgres -c 16 -j 2 -t 25 -f "$work/load.sql" postgres >"$work/pgbench.log" 2>&1 ||
  { cat "$work/pgbench.log" >&2; exit 1; }
show 'SELECT count(*) AS rows, count(DISTINCT id) AS different_ids,
       count(DISTINCT session) AS sessions FROM events;'

tell 'The clock is set back by an hour: IDs are refused until it is right again'
clock -1h
show "INSERT INTO orders (item) VALUES ('shelf');" || :
clock +0
show "INSERT INTO orders (item) VALUES ('shelf') RETURNING item, id > (SELECT max(id) FROM events) AS above_all_others;"

tell 'The settings in force'
show 'SELECT timeshard_config_info();'

cat <<'TEXT'

The temporary server is removed. To install Timeshard on your own server: make,
make install, CREATE EXTENSION timeshard. README.md continues from there.
TEXT
