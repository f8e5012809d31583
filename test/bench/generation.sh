#!/bin/bash
# What an ID costs, as ratios taken in one run on a private server of its own.
#
#   usage: generation.sh         exit code 1 if a target is missed
#
#   ROUNDS=9             rounds; each measures everything once, in turning order
#   SECONDS_PER_RUN=5    length of each run of pgbench
#   PG_CONFIG=...        the PostgreSQL to copy the private server from
#
# Progress goes to stderr, the report to stdout. Figures are medians over the
# rounds, with the least and the greatest; a ratio or difference is taken within
# a round, so that a machine that slows down for a while slows both sides.
set -euo pipefail

rounds=${ROUNDS:-9}
seconds=${SECONDS_PER_RUN:-5}
calls=10000                   # calls a statement: one would measure the protocol
rows=2000000                  # rows of the scan
sessions=(1 2 8 32)
ceiling=4096000               # IDs a second of the default layout
share_target=99               # % of it, at least
clock_target=1.20             # scan with an ID / scan with clock_timestamp(), at most
prefix_target=60              # ns that a prefix may add to a call
batch_target=2                # times as fast as single calls over the scan, at least
series_target=0.8             # of the speed of generate_series, at least

for number in "$rounds" "$seconds"; do
  [[ $number =~ ^[1-9][0-9]*$ ]] || { echo "ROUNDS and SECONDS_PER_RUN are whole numbers" >&2; exit 2; }
done

# shellcheck source=kit.sh
. "$(dirname "$0")/kit.sh"
say "building in $work"
make_sandbox
build "$work/src" "$pg_config"

# A cluster for each layout, so that a round can go from one to the other; the
# one that is not asked does nothing.
say "starting two servers"
start_cluster default_layout "$bindir" 10 'fsync = off'
start_cluster one_node_bit "$bindir" 1 'fsync = off'
sql one_node_bit >&2 <<SQL
CREATE TABLE scanned AS SELECT 1 AS x FROM generate_series(1, $rows);
VACUUM (FREEZE, ANALYZE) scanned;
CREATE SEQUENCE numbers;
SQL
epoch=$(sql default_layout -c 'SELECT custom_epoch FROM timeshard_config()')

# P3 while running at full speed: the clock, read after the statement's last ID,
# has reached its millisecond. A generator that borrows from the future divides
# by zero here, and the run fails.
honest="1 / ((max(timeshard_next_id()) >> 22) + $epoch <= floor(extract(epoch FROM clock_timestamp()) * 1000))::int"
echo "SELECT $honest FROM (SELECT generate_series(1, $calls)) AS calls;" >"$work/ids.pgbench"
checked_scan="SELECT $honest FROM scanned"

scans=(
  'pg_backend_pid()' 'clock_timestamp()' 'timeshard_next_id()'
  "timeshard_next_id_with_prefix('TXN_')" "timeshard_prefix_at('-', 4)"
  "nextval('numbers')" 'gen_random_uuid()'
  "timeshard_next_ids($rows)" "generate_series(1, $rows::bigint)"
)
# The functions that return as many rows by themselves stand where the scan does.
scan_statement() {
  local from="SELECT count($1) FROM scanned"
  case $1 in timeshard_next_ids* | generate_series*) from="SELECT count(x) FROM (SELECT $1 AS x) AS batch" ;; esac
  echo "EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF) $from"
}

dishonest=
# One line for each figure: what it is, the round, the value.
record() { printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$work/figures"; }

run_sessions() { # run_sessions ROUND COUNT
  local out threads=$(($2 < 2 ? 1 : 2)) tps
  if ! out=$(as_user "$bindir/pgbench" -n -h "$work/default_layout" -U postgres -M simple -c "$2" -j "$threads" \
    -T "$seconds" -f "$work/ids.pgbench" postgres 2>"$work/pgbench.err"); then
    grep -q 'division by zero' "$work/pgbench.err" || { cat "$work/pgbench.err" >&2; exit 2; }
    dishonest="$2 sessions, round $1"
    return
  fi
  tps=$(sed -n 's/^tps = \([0-9.]*\) .*/\1/p' <<<"$out")
  record "sessions $2" "$1" "$(awk -v t="$tps" -v c="$calls" -v m="$ceiling" 'BEGIN { printf "%.4f", t * c / m * 100 }')"
}

# All scans in one session, whose first, unrecorded scan warms it and the table.
run_scans() { # run_scans ROUND SCAN...
  local round=$1 scan i=0 times
  shift
  { scan_statement "$1" && echo ';'
    for scan in "$@"; do scan_statement "$scan" && echo ';'; done
  } >"$work/scans.sql"
  mapfile -t times < <(sql one_node_bit -f "$work/scans.sql" | sed -n 's/^Execution Time: \([0-9.]*\) ms/\1/p')
  [ "${#times[@]}" -eq $(($# + 1)) ] || { say "a scan failed"; exit 2; }
  for scan in "$@"; do
    i=$((i + 1))
    record "scan $scan" "$round" "${times[$i]}"
  done
  if ! sql one_node_bit -c "$checked_scan" >"$work/checked.out" 2>&1; then
    grep -q 'division by zero' "$work/checked.out" || { cat "$work/checked.out" >&2; exit 2; }
    dishonest="scan, one node bit, round $round"
  fi
}

reversed() { printf '%s\n' "$@" | tac; }

for ((round = 1; round <= rounds; round++)); do
  say "round $round of $rounds"
  if ((round % 2)); then
    order=("${sessions[@]}") scan_order=("${scans[@]}")
  else
    mapfile -t order < <(reversed "${sessions[@]}")
    mapfile -t scan_order < <(reversed "${scans[@]}")
  fi
  for count in "${order[@]}"; do run_sessions "$round" "$count"; done
  run_scans "$round" "${scan_order[@]}"
done

# summary EXPRESSION A [B]: median, least and greatest over the rounds of the
# awk expression of a (and b), the values of A (and B) in the same round.
summary() {
  awk -F '\t' -v a="$2" -v b="${3:-$2}" -v rows="$rows" '
    $1 == a { x[$2] = $3 } $1 == b { y[$2] = $3 }
    END { for (r in x) if (r in y) { a = x[r]; b = y[r]; print '"$1"' } }' "$work/figures" | sort -g |
    awk '{ v[NR] = $1 }
      END { if (NR == 0) { print "nan nan nan"; exit }
            m = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2; print m, v[1], v[NR] }'
}

missed=()
# row FORMAT NAME MEDIAN LEAST GREATEST [COMPARISON TARGET]
row() {
  local verdict=
  if [ $# -gt 5 ]; then
    verdict="met: $6 $7"
    # A figure that is not there compares false.
    awk -v m="$3" -v t="$7" "BEGIN { exit !(m != \"nan\" && m + 0 $6 t + 0) }" || {
      verdict="MISSED: $6 $7"
      missed+=("$2: $3, target $6 $7")
    }
  fi
  printf "%-44s $1  ($1 to $1)  %s\n" "$2" "$3" "$4" "$5" "$verdict"
}

cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
clock=$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource 2>/dev/null || echo unknown)
cat <<REPORT
Timeshard: what an ID costs ($(date -u '+%Y-%m-%d %H:%M UTC'))

machine     $(nproc) x ${cpu:-$(uname -m)}, $(awk '/^MemTotal/ { printf "%.0f GB", $2 / 1048576 }' /proc/meminfo), clock source $clock, load $(cut -d ' ' -f 1-3 /proc/loadavg)
system      $(uname -sr), $("$bindir/postgres" --version)
rounds      $rounds of $seconds s a run of pgbench; median (least to greatest)
pgbench     pgbench -n -M simple -c SESSIONS -j $(( ${#sessions[@]} > 1 ? 2 : 1 )) (1 for one session) -T $seconds -f ids.pgbench
ids.pgbench $(cat "$work/ids.pgbench")
scan        $(scan_statement CALL), $rows rows, in memory, no parallel workers, no JIT

Default layout, $calls calls a statement: IDs a second as % of $ceiling
REPORT
for count in "${sessions[@]}"; do
  # shellcheck disable=SC2046 # three numbers
  row '%7.2f' "$count sessions" $(summary a "sessions $count") '>=' "$share_target"
done
echo
echo "One node bit: ns a row of the scan"
for scan in "${scans[@]}"; do
  # shellcheck disable=SC2046
  row '%7.1f' "$scan" $(summary 'a * 1000000 / rows' "scan $scan")
done
echo
echo "One node bit: against each other"
# shellcheck disable=SC2046
row '%7.3f' "timeshard_next_id() / clock_timestamp()" \
  $(summary 'a / b' 'scan timeshard_next_id()' 'scan clock_timestamp()') '<=' "$clock_target"
for scan in "${scans[3]}" "${scans[4]}"; do
  target=('<=' "$prefix_target")
  # shellcheck disable=SC2046
  row '%7.1f' "ns more: $scan" $(summary '(a - b) * 1000000 / rows' "scan $scan" 'scan timeshard_next_id()') "${target[@]}"
done
for scan in "${scans[5]}" "${scans[6]}"; do
  # shellcheck disable=SC2046
  row '%7.1f' "ns more: $scan" $(summary '(a - b) * 1000000 / rows' "scan $scan" 'scan timeshard_next_id()')
done
# shellcheck disable=SC2046
row '%7.2f' "times as fast as single calls: ${scans[7]}" \
  $(summary 'a / b' 'scan timeshard_next_id()' "scan ${scans[7]}") '>=' "$batch_target"
# shellcheck disable=SC2046
row '%7.2f' "of the speed of generate_series: ${scans[7]}" \
  $(summary 'a / b' "scan ${scans[8]}" "scan ${scans[7]}") '>=' "$series_target"
echo
if [ -n "$dishonest" ]; then
  missed+=("an ID was ahead of the clock: $dishonest")
  echo "P3: BROKEN, an ID was ahead of the clock ($dishonest)"
else
  echo "P3: in every statement above, and in a scan a round with one node bit, no ID was ahead of the clock"
fi
[ "${#missed[@]}" -eq 0 ] || { printf 'missed: %s\n' "${missed[@]}"; exit 1; }
