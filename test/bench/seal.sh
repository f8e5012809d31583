#!/bin/bash
# What a public code costs, beside an empty call and gen_random_uuid(), in scans of a
# million IDs that take turns; and what a connection costs, against the last release
# without public codes (or another commit). Scans are told in processor time, so that
# other work on the machine disturbs them little.
#
#   usage: seal.sh [COMMIT]      exit code 1 if the target is missed
#
#   ROUNDS=15            of the scans, and of the connections
#   PG_CONFIG=...        the PostgreSQL to copy the private servers from
#
# Progress goes to stderr, the report to stdout.
set -euo pipefail

rounds=${ROUNDS:-15}
seal_target=2000 # ns above an empty call, at most

# shellcheck source=kit.sh
. "$(dirname "$0")/kit.sh"
base=${1:-$(git -C "$here" log --diff-filter=A --format=%H -- src/core/ff1.hpp | tail -n 1)^}
make_sandbox
build_both "$base"
keys=$work/seal.keys
as_user sh -c "umask 077; echo 0 $(printf '%064d' 7) >'$keys'"
start_cluster base "$("$base_config" --bindir)" 10
start_cluster seal "$bindir" 10 "timeshard.seal_key_file = '$keys'"

sql seal -c 'CREATE TABLE scanned AS SELECT 390233979859673088 + n AS id, timeshard_seal(390233979859673088 + n, $$video$$) AS code
  FROM generate_series(1::bigint, 1000000) AS n' -c 'VACUUM (FREEZE, ANALYZE) scanned'
declare -A call=(
  [empty]='pg_backend_pid()' [seal]="timeshard_seal(id, 'video')" [open]="timeshard_open(code, 'video')"
  [encode]='timeshard_encode(id)' [uuid]='gen_random_uuid()' [md5]='md5(code)'
)
# processor_ms CALL: of a scan, by the server's own statistics
processor_ms() {
  sql seal -c "SET log_executor_stats = on; SET client_min_messages = log; SELECT count($1) FROM scanned" 2>&1 |
    awk '/EXECUTOR STATISTICS/ { executor = 1 } executor && / s user, / { print 1000 * ($2 + $5); exit }'
}
for ((round = 1; round <= rounds; round++)); do
  say "round $round of $rounds"
  for name in empty seal open encode uuid md5; do
    processor_ms "${call[$name]}" >>"$work/$name.ms"
  done
done

# A session that makes one ID, with the library before and after; and one that seals.
connections() { # connections CLUSTER SQL: ms each
  echo "$2" >"$work/one.pgbench"
  as_user "$bindir/pgbench" -n -C -c 1 -t 100 -h "$work/$1" -U postgres -f "$work/one.pgbench" postgres 2>/dev/null |
    sed -n 's/^latency average = \([0-9.]*\) ms/\1/p'
}
for ((round = 1; round <= rounds; round++)); do
  say "connections, round $round of $rounds"
  connections base 'SELECT timeshard_next_id();' >>"$work/before.ms"
  connections seal 'SELECT timeshard_next_id();' >>"$work/after.ms"
  connections seal "SELECT timeshard_seal(1, 'video');" >>"$work/sealing.ms"
done

# of_rounds FILE [FILE]: median, least and greatest of the rounds, or of the difference to a second file's
of_rounds() {
  paste "$@" | awk '{ print (NF > 1 ? $1 - $2 : $1) }' | sort -n |
    awk '{ v[NR] = $1 } END { printf "%.3f %.3f %.3f\n", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2, v[1], v[NR] }'
}
missed=0
echo 'A million calls in a scan, in ns of processor time a call above an empty one: median (least to greatest)'
for name in seal open encode uuid md5; do
  read -r middle least most < <(of_rounds "$work/$name.ms" "$work/empty.ms")
  verdict=
  case $name in seal | open)
    verdict=", at most $seal_target: $(judge "$middle <= $seal_target")"
    [ "${verdict%met}" != "$verdict" ] || missed=1 ;;
  esac
  echo "  ${call[$name]}: $middle ($least to $most)$verdict"
done
echo 'A connection with one call, in ms: median (least to greatest)'
for name in before after sealing; do
  read -r middle least most < <(of_rounds "$work/$name.ms")
  case $name in
    before) what="timeshard_next_id(), library of $(git -C "$here" rev-parse --short "$base")" ;;
    after) what='timeshard_next_id(), this library' ;;
    sealing) what='timeshard_seal(), this library: reads the file, sets OpenSSL up' ;;
  esac
  echo "  $what: $middle ($least to $most)"
done
exit "$missed"
