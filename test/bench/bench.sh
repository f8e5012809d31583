#!/bin/bash
# Timeshard beside what one would use instead, on the same work in the same run,
# on throw-away servers: `make bench`.
#
#   usage: bench.sh [--check]     --check, or CHECK=1: exit code 1 if a target is missed
#
#   OUT=bench-report       folder for the report, its plots and the raw figures; an
#                          earlier report there moves to OUT/previous
#   QUICK=1                everything at small sizes, in less than two minutes, into bench-report-quick
#   ROUNDS=5               each measures everything once, in turning order (QUICK: 1)
#   STAGES="calls ..."     only these; ranges, lookups, commits and more need fill
#   SECONDS_PER_RUN=4      of pgbench; 0: a fixed amount of work (QUICK: 0)
#   SCAN_ROWS=2000000      calls a scan (QUICK: 50000)
#   BULK_ROWS=3000000      rows a bulk insert and COPY (QUICK: 30000)
#   GROWN_ROWS=10000000    rows of the large tables (QUICK: 200000)
#   SESSIONS="1 2 4 ..."   numbers of sessions (QUICK: 1 2 32)
#   INSTALLED=1            the Timeshard that PG_CONFIG's server has, instead of this one
#   PG_CONFIG=...          the PostgreSQL to copy the private server from
#
# Progress goes to stderr. Raw figures go to OUT/figures.tsv as they come, and the
# report is made of what there is, also when the run is interrupted. Exit code 0
# says that everything ran, 2 that something failed, 130 that it was interrupted.
set -euo pipefail

# In this order.
all_stages=(calls sessions layouts latency core bulk copy fill ranges lookups commits more)
refuse() { echo "bench: $*" >&2; exit 2; }
number() { # number NAME LEAST GREATEST
  if ! [[ ${!1} =~ ^(0|[1-9][0-9]{0,8})$ ]] || [ "${!1}" -lt "$2" ] || [ "${!1}" -gt "$3" ]; then
    refuse "$1 must be a whole number from $2 to $3, and is '${!1}'"
  fi
}
flag() { case ${!1:-} in '' | 0 | 1) ;; *) refuse "$1 must be 1 or 0, and is '${!1}'" ;; esac; }
for argument; do
  case $argument in --check) CHECK=1 ;; *) refuse "there is no argument '$argument': only --check, and settings by the environment" ;; esac
done
for name in QUICK CHECK INSTALLED; do flag "$name"; done
quick=${QUICK:-0} check=${CHECK:-0} installed=${INSTALLED:-0}
: "${quick:=0}" "${check:=0}" "${installed:=0}"
by_size() { if [ "$quick" = 1 ]; then echo "$1"; else echo "$2"; fi; }
: "${ROUNDS:=$(by_size 1 5)}" "${SECONDS_PER_RUN:=$(by_size 0 4)}" "${SCAN_ROWS:=$(by_size 50000 2000000)}"
: "${BULK_ROWS:=$(by_size 30000 3000000)}" "${GROWN_ROWS:=$(by_size 200000 10000000)}"
: "${SESSIONS:=$(by_size '1 2 32' '1 2 4 8 16 32 64')}" "${STAGES:=${all_stages[*]}}" "${OUT:=bench-report$(by_size -quick '')}"
number ROUNDS 1 99
number SECONDS_PER_RUN 0 600
number SCAN_ROWS 2000 100000000
number BULK_ROWS 1000 100000000
number GROWN_ROWS 10000 100000000
most_sessions=32
set -f # a star is no list of files
[[ $SESSIONS =~ [^[:space:]] && $STAGES =~ [^[:space:]] ]] || refuse 'SESSIONS and STAGES must not be blank'
for count in $SESSIONS; do
  [[ $count =~ ^[1-9][0-9]{0,2}$ ]] || refuse "SESSIONS takes numbers from 1 to 999, and has '$count'"
  [ "$count" -le "$most_sessions" ] || most_sessions=$count
done
for stage in $STAGES; do
  [[ " ${all_stages[*]} " = *" $stage "* ]] || refuse "there is no stage '$stage': STAGES takes ${all_stages[*]}"
done
set +f
rounds=$ROUNDS seconds=$SECONDS_PER_RUN scan_rows=$SCAN_ROWS bulk_rows=$BULK_ROWS grown_rows=$GROWN_ROWS
session_counts=$SESSIONS layouts='1 8 10 12 14' layout_counts=$(by_size '1 32' '1 2 32')
more_rows=$((grown_rows / 10))           # added to a large table a round
lookups=$((grown_rows / 100))            # keys looked up a run
calls=$(by_size 1000 10000)              # calls a statement: one would measure the protocol
quick_ids=$(by_size "$scan_rows" 4000000) # IDs of a run of pgbench that is not timed
quick_commits=$((bulk_rows / 250))       # commits of such a run
timed_calls=$((scan_rows / $(by_size 25 20))) # calls whose latency is taken
core_filter=$(by_size Latency .) core_min_time=$(by_size 0.01 0.2)

# A report of an earlier run is set aside; anything else is not ours to touch.
[ ! -e "$OUT" ] || [ -d "$OUT" ] || refuse "OUT: '$OUT' is not a folder"
if [ -d "$OUT" ] && [ -n "$(ls -A "$OUT")" ] && [ ! -e "$OUT/figures.tsv" ]; then
  refuse "OUT: '$OUT' is not empty, and is no earlier report"
fi
room=$(df -Pm "${TMPDIR:-/tmp}" | awk 'NR == 2 { print $4 }')
needed=$((2000 + grown_rows * 16 * 9 * 15 / 1000000 + bulk_rows * 400 / 1000000))
[ "$room" -ge "$needed" ] || refuse "this takes about $needed MB in ${TMPDIR:-/tmp}, which has $room MB: choose smaller GROWN_ROWS, or another TMPDIR"
if ! mkdir -p "$OUT" 2>/dev/null || [ ! -w "$OUT" ]; then refuse "OUT: cannot write into '$OUT'"; fi
folder=$(cd "$OUT" && pwd)

"$(dirname "$0")/../install_packages.sh" bench >&2

PG_CONFIG=${PG_CONFIG:-pg_config}
# shellcheck source=kit.sh
. "$(dirname "$0")/kit.sh"
parts=$here/test/bench
# shellcheck source=rivals.sh
. "$parts/rivals.sh"
processors=$(nproc)
buffers=$(awk -v most="$(by_size 384 1024)" '/^MemTotal/ { m = int($2 / 1024 / 8); print (m > most ? most : m < 128 ? 128 : m) }' /proc/meminfo)

# An earlier report is set aside: this run may come to less.
exec 8<"$folder"
flock -n 8 || refuse "OUT: another run writes into '$OUT'"
if [ -e "$folder/figures.tsv" ]; then
  rm -rf "$folder/previous"
  mkdir "$folder/previous"
  for name in report.md figures.tsv run.tsv core.json; do [ ! -e "$folder/$name" ] || mv "$folder/$name" "$folder/previous/"; done
  find "$folder" -maxdepth 1 -name '*.svg' -exec mv -t "$folder/previous" {} +
fi
printf 'stage\tmeasure\tsubject\tx\tround\tvalue\n' >"$folder/figures.tsv"
printf 'key\tname\ttext\n' >"$folder/run.tsv"
record() { # record STAGE MEASURE SUBJECT X ROUND VALUE
  if [[ ! $6 =~ ^-?[0-9]+([.][0-9]+)?(e[-+]?[0-9]+)?$ ]]; then
    echo "error: '$6' is no figure of $1 $2 $3 $4" >>"$work/err"
    not_recorded=1
    return
  fi
  printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$@" >>"$folder/figures.tsv"
}
told() { # told KEY NAME TEXT: what the report says beside the figures
  local text=${3//\\/\\\\}
  text=${text//$'\t'/ }
  printf '%s\t%s\t%s\n' "$1" "$2" "${text//$'\n'/\\n}" >>"$folder/run.tsv"
  [ "$1" != skipped ] || say "skipped: $2: $3"
}

# However the run ends, the report is made of what it has.
failed='' ended=''
finish() {
  local status=$?
  trap '' INT TERM HUP
  set +e
  exec 2>&9 # a command that is interrupted may have led it elsewhere
  # In the background it has not heard of an interruption.
  [ -z "${core_build:-}" ] || wait "$core_build"
  if [ -n "${began:-}" ]; then
    told run took "$(((SECONDS - began) / 60)) min $(((SECONDS - began) % 60)) s"
    told machine steal "$(steal_since)"
    [ -n "$ended" ] || told unfinished run "the run ended early: ${now:-before the first figure}"
    say "writing the report into $OUT"
    python3 -B "$parts/report.py" "$folder"
    case $?,$status,$check in
      0,*) ;;
      3,0,1) status=1 ;;
      3,*) ;;
      *) failed=1 ;;
    esac
    if [ "$status" -lt 128 ] && { [ -n "$failed" ] || [ -z "$ended" ]; }; then status=2; fi
  fi
  (exit "$status")
  clean_up
}
exec 9>&2
trap finish EXIT

ticks() { sed -n 's/^cpu  *//p' /proc/stat | awk '{ for (i = 1; i <= 8; i++) all += $i; print $8, all }'; }
steal_since() {
  read -r stolen all < <(ticks)
  awk -v s="$((stolen - stolen_before))" -v a="$((all - all_before))" 'BEGIN { printf "%.2f %% of the processors'"'"' time", a ? 100 * s / a : 0 }'
}
describe() {
  local cpu clock
  cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
  clock=$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource 2>/dev/null || echo unknown)
  told run command "make bench$([ "$quick" = 0 ] || echo ' QUICK=1')"
  told run options "ROUNDS=$rounds SECONDS_PER_RUN=$seconds SCAN_ROWS=$scan_rows BULK_ROWS=$bulk_rows GROWN_ROWS=$grown_rows SESSIONS=\"$session_counts\" STAGES=\"$STAGES\""
  told run date "$(date -u '+%Y-%m-%d %H:%M UTC')"
  told run rounds "$rounds"
  told run sessions "$session_counts"
  told run bulk_rows "$bulk_rows"
  told run grown_rows "$grown_rows"
  told run more_rows "$more_rows"
  told machine processor "$processors x ${cpu:-$(uname -m)}"
  told machine memory "$(awk '/^MemTotal/ { printf "%.1f GB", $2 / 1048576 }' /proc/meminfo)"
  told machine system "$(uname -srm)"
  told machine 'clock source' "$clock"
  told machine 'load before' "$(cut -d ' ' -f 1-3 /proc/loadavg)"
  read -r stolen_before all_before < <(ticks)
}
describe_server() {
  local name=
  for name in shared_buffers fsync synchronous_commit full_page_writes wal_compression min_wal_size max_wal_size \
    checkpoint_timeout maintenance_work_mem autovacuum jit max_parallel_workers_per_gather; do
    told setting "$name" "$(sql layout_10 -c "SHOW $name")"
  done
  told machine PostgreSQL "$(sql layout_10 -c 'SHOW server_version')"
  told machine Timeshard "$(sql layout_10 -c "SELECT extversion FROM pg_extension WHERE extname = 'timeshard'")"
  epoch=$(sql layout_10 -c 'SELECT custom_epoch FROM timeshard_config()')
}

# shellcheck source=calls.sh
. "$parts/calls.sh"
# shellcheck source=tables.sh
. "$parts/tables.sh"
# shellcheck source=progress.sh
. "$parts/progress.sh"

# A server that has Timeshard is only read, and needs no copy of its own.
installed_sandbox() {
  pg_config=$PG_CONFIG
  bindir=$("$pg_config" --bindir)
  [ -e "$("$pg_config" --pkglibdir)/timeshard.so" ] || refuse "INSTALLED=1: the server of $PG_CONFIG has no Timeshard"
  chmod 755 "$work"
  mkdir -p "$work/src/test/bench" "$work/src/src"
  cp -R "$here/src/core" "$work/src/src"
  ! has_core || cp -R "$here/test/bench/core" "$work/src/test/bench"
  [ "$(id -u)" -ne 0 ] || chown -R "$user" "$work"
  cd "$work"
}

describe
began=$SECONDS
now='while building'
say "building in $work"
if [ "$installed" = 1 ]; then installed_sandbox; else make_sandbox; fi
[[ " $STAGES " != *' core '* ]] || build_core &
core_build=$!
[ "$installed" = 1 ] || MAKEFLAGS=-j$processors build "$work/src" "$pg_config"
wait "$core_build" || :
now='while starting the servers'
say 'starting two servers'
start_servers
describe_server
define_kinds
run_stages
ended=1
