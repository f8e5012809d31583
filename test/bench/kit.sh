# shellcheck shell=bash
# Sourced by the benchmarks, behind `set -euo pipefail`: a sandbox, clusters in
# it on which nothing runs but what is measured, and verdicts.
#
# Gives what sandbox.sh gives, and the functions below.

say() { echo "$*" >&2; }

# shellcheck disable=SC2034 # read by sandbox.sh
to_top=../..
# shellcheck source=../sandbox.sh
. "$(dirname "$0")/../sandbox.sh"

# The machine's own settings change no measurement.
for name in $(compgen -e); do
  case $name in PG_CONFIG) ;; PG* | TIMESHARD_*) unset "$name" ;; esac
done
export LC_ALL=C

# build SOURCES PG_CONFIG: installs the library there
build() {
  as_user make -s -C "$1" with_llvm=no PG_CONFIG="$2" install >"$work/build.log" 2>&1 ||
    { cat "$work/build.log" >&2; exit 2; }
}

# start_cluster NAME BINDIR NODE_ID_BITS [LINE...]: lines of configuration. The
# table of a scan stays in memory (above a quarter of it, scans recycle).
start_cluster() {
  as_user "$2/initdb" -D "$work/$1" -A trust -U postgres >"$work/$1.initdb.log"
  cat >>"$work/$1/postgresql.conf" <<CONF
listen_addresses = ''
unix_socket_directories = '$work/$1'
shared_buffers = 384MB
autovacuum = off
checkpoint_timeout = 1h
max_wal_size = 8GB
jit = off
max_parallel_workers_per_gather = 0
timeshard.node_id = 1
timeshard.node_id_bits = $3
CONF
  printf '%s\n' "${@:4}" >>"$work/$1/postgresql.conf"
  as_user "$2/pg_ctl" -D "$work/$1" -l "$work/$1.log" -w start >/dev/null
  sql "$1" -c 'CREATE EXTENSION timeshard' >&2
}

# sql CLUSTER ARGUMENT...
sql() {
  local cluster=$1
  shift
  as_user "$bindir/psql" -XAtq -v ON_ERROR_STOP=1 -h "$work/$cluster" -U postgres "$@" postgres
}

# build_both COMMIT: the library as it is, and as it was there; its server is
# $base_config's.
build_both() {
  say "building both in $work"
  mkdir "$work/base.src"
  git -C "$here" archive "$1" | tar -xf - -C "$work/base.src"
  base_config=$("$here/test/private_server.sh" "$work/base.server" "${PG_CONFIG:-pg_config}")
  [ "$(id -u)" -ne 0 ] || chown -R "$user" "$work"
  build "$work/src" "$pg_config"
  build "$work/base.src" "$base_config"
}

# scan CLUSTER: ms of a scan of a million calls: the least of three in one session,
# after one that warms it. What disturbs a scan is not what is measured.
scan() {
  local i
  for i in 1 2 3 4; do
    echo 'EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF) SELECT count(timeshard_next_id()) FROM scanned;'
  done | sql "$1" | sed -n 's/^Execution Time: \([0-9.]*\) ms/\1/p' | tail -n 3 | sort -n | head -n 1
}

# paired_scans WITHOUT WITH ROUNDS: scans of both clusters in turn, for
# ratio_of_pairs: median, least and greatest of with / without.
paired_scans() {
  local cluster round with without
  for cluster in "$1" "$2"; do
    sql "$cluster" -c 'CREATE TABLE scanned AS SELECT 1 AS x FROM generate_series(1, 1000000)' -c 'VACUUM (FREEZE, ANALYZE) scanned'
  done
  for ((round = 1; round <= $3; round++)); do
    say "scan $round of $3"
    if ((round % 2)); then with=$(scan "$2") without=$(scan "$1"); else without=$(scan "$1") with=$(scan "$2"); fi
    awk -v w="$with" -v b="$without" 'BEGIN { printf "%.4f\n", w / b }' >>"$work/ratios"
  done
}
ratio_of_pairs() {
  sort -n "$work/ratios" |
    awk '{ v[NR] = $1 } END { printf "%.3f %.3f %.3f\n", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2, v[1], v[NR] }'
}

# judge CONDITION: met or MISSED
judge() { awk "BEGIN { exit !($1) }" && echo met || echo MISSED; }
