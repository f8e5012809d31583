# shellcheck shell=bash
# Sourced by the benchmarks, behind `set -euo pipefail`: a sandbox, and clusters in
# it on which nothing runs but what is measured.
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
