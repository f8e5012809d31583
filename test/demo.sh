#!/bin/sh
# Shows Timeshard at its main job on a throw-away server, and leaves nothing
# behind: installs what is missing, builds, starts, tells, cleans up.
#
#   usage: demo.sh
set -eu
to_top=..

doing() { printf '… %s\n' "$*" >&2; }

doing 'Looking for what building needs (and installing it, if it is missing)'
"$(dirname "$0")/install_packages.sh" demo
. "$(dirname "$0")/sandbox.sh"

doing "Building Timeshard in $work, beside the system's PostgreSQL, not in it"
make_sandbox
as_user make -s -C "$work/src" PG_CONFIG="$pg_config" install >"$work/build.log" 2>&1 ||
  { cat "$work/build.log" >&2; exit 1; }

doing 'Starting a PostgreSQL server of its own, on a clock that can be stepped'
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

Timeshard: IDs of 64 bits that PostgreSQL makes itself. They are unique across
servers, rise with time, and can be read back.
TEXT

tell 'One command, then a table keyed by default'
show 'CREATE EXTENSION timeshard;'
show "CREATE TABLE orders (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), item text);"
show "INSERT INTO orders (item) VALUES ('lamp'), ('desk'), ('chair');"
show 'SELECT * FROM orders;'

tell 'Keys that people read: a prefix in front, or a marker inside'
show "SELECT timeshard_next_id_with_prefix('ORD_') AS order_key,
       timeshard_prefix_at('-TAX-', 4) AS tax_key;"

tell 'Forensics: when was a row made, by which server, in which order?'
show 'SELECT o.item, p.datetime, p.node_id, p.sequence
FROM orders AS o, timeshard_parse(o.id) AS p ORDER BY o.id;'
key=$(sql -At -c "SELECT timeshard_next_id_with_prefix('TXN_')")
show "SELECT datetime, node_id, sequence FROM timeshard_parse('$key');"

tell '16 sessions at once, 400 statements of 1,000 rows, and not one duplicate'
sql -c 'CREATE TABLE events (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), session integer)'
cat >"$work/load.sql" <<'LOAD'
INSERT INTO events (session) SELECT :client_id FROM generate_series(1, 1000);
LOAD
doing '400,000 rows, a few seconds'
as_user "$bindir/pgbench" -n -h "$work" -U postgres -c 16 -j 2 -t 25 -f "$work/load.sql" postgres >"$work/pgbench.log" 2>&1 ||
  { cat "$work/pgbench.log" >&2; exit 1; }
show 'SELECT count(*) AS rows, count(DISTINCT id) AS different_ids,
       count(DISTINCT session) AS sessions FROM events;'

tell 'The clock is set back by an hour: refused, not guessed; and served again once it is right'
clock -1h
show "INSERT INTO orders (item) VALUES ('shelf');" || :
clock +0
show "INSERT INTO orders (item) VALUES ('shelf') RETURNING item, id > (SELECT max(id) FROM events) AS above_all_others;"

tell 'What is in force'
show 'SELECT timeshard_config_info();'

cat <<'TEXT'

That was a throw-away server; nothing of it is left. To have Timeshard on a
server of yours: make, make install, CREATE EXTENSION timeshard. README.md goes on from there.
TEXT
