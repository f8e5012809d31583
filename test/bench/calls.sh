# shellcheck shell=bash
# Sourced by bench.sh: the stages that make IDs and store none.

# scan_of CALL: functions that return as many rows by themselves stand where the
# scan does.
scan_of() {
  case $1 in
    timeshard_next_ids* | generate_series*) echo "SELECT count(x) FROM (SELECT $1 AS x) AS batch" ;;
    *) echo "SELECT count($1) FROM scanned" ;;
  esac
}
scan_statement() { echo "EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF) $(scan_of "$1")"; }

# P3 at full speed: the clock, read after the statement's last ID,
# has reached its millisecond. A generator that borrows from the future divides
# by zero here, and the run fails.
honest() {
  echo "1 / ((max(timeshard_next_id()) >> 22) + $epoch <= floor(extract(epoch FROM clock_timestamp()) * 1000))::integer"
}

# A call's cost. What is no way to make a key is measured on the server of one
# node bit, whose 2,097,152 IDs a millisecond hold nothing up.
declare -A function_call=(
  [none]=1 [empty]='pg_backend_pid()' [clock]='clock_timestamp()' [text]="repeat('TXN_0123456789012345678', x)"
  [next_ids]="timeshard_next_ids($scan_rows)" [prefix]="timeshard_next_id_with_prefix('TXN_')"
  [prefix_at]="timeshard_prefix_at('-', 4)" [encode]='timeshard_encode(timeshard_next_id())'
  [format]="timeshard_format(timeshard_next_id(), 'TXN_')" [series]="generate_series(1, $scan_rows::bigint)"
)
functions=(none empty clock text next_ids prefix prefix_at format encode series)

setup_calls() {
  local server name
  for name in "${functions[@]}"; do told call "$name" "${function_call[$name]}"; done
  told command calls "$(scan_statement CALL); -- $scan_rows rows, in memory, without parallel workers or JIT"
  told command honest "SELECT $(honest) FROM scanned;"
  for server in layout_10 layout_1; do make_scanned "$server" || return; done
}
make_scanned() { # make_scanned SERVER
  sql "$1" >&2 <<SQL
SET client_min_messages = warning;
CREATE TABLE IF NOT EXISTS scanned AS SELECT 1 AS x FROM generate_series(1, $scan_rows);
VACUUM (FREEZE, ANALYZE) scanned;
SQL
}
items_calls() { printf '%s\n' "${functions[@]}" "${kinds[@]}" honest; }
# scan_ns SERVER CALL: ns a row; a short scan warms the session up.
scan_ns() {
  local ms few
  few=$(scan_of "$2")
  ms=$(PGOPTIONS='-c synchronous_commit=off' sql "$1" -c "${few/scanned/(SELECT x FROM scanned LIMIT 1000) AS few}" \
    -c "$(scan_statement "$2")" 2>"$work/err") || return
  sed -n 's/^Execution Time: \([0-9.]*\) ms/\1/p' <<<"$ms" | awk -v n="$scan_rows" '{ printf "%.2f\n", $1 * 1000000 / n }'
}
measure_calls() { # measure_calls ROUND ITEM
  local ns
  if [ "$2" = honest ]; then
    sql layout_1 -c "SELECT $(honest) FROM scanned" >/dev/null 2>"$work/err"
    return
  fi
  ns=$(scan_ns "${cluster[$2]:-layout_1}" "${function_call[$2]:-${call[$2]}}") || return
  record calls ns "$2" '' "$1" "$ns"
}

# pgbench_run SERVER SESSIONS ARGUMENT...: its report; the log of what failed in err
pgbench_run() {
  local server=$1 sessions=$2
  shift 2
  as_user env PGOPTIONS="${options:-}" "$bindir/pgbench" -n -h "$work/$server" -U postgres -c "$sessions" \
    -j "$((sessions < processors ? sessions : processors))" "$@" postgres 2>"$work/err"
}
tps_of() { sed -n 's/^tps = \([0-9.]*\) (without.*/\1/p' <<<"$1"; }

# processor_time SERVER: seconds that its ended sessions have used, which the
# postmaster learns when it has waited for them.
processor_time() {
  local postmaster
  read -r postmaster <"$work/$1/postmaster.pid"
  while still_there "$postmaster"; do sleep 0.005; done
  sed 's/.*) //' "/proc/$postmaster/stat" | awk -v hz="$(getconf CLK_TCK)" '{ printf "%.2f\n", ($14 + $15) / hz }'
}
# Whether a postmaster has sessions, or has not yet waited for one that has ended.
still_there() {
  local id state
  while read -r id state; do
    [ "$state" != Z ] && ! grep -qs '\[local\]' "/proc/$id/cmdline" || return 0
  done < <(awk -v parent="$1" '{ id = $1; sub(/.*\) /, ""); if ($2 == parent) print id, $1 }' /proc/[0-9]*/stat 2>/dev/null)
  return 1
}

# run_ids STAGE SUBJECT X ROUND SERVER CALL IDS: IDs a second and processor time
# per ID. IDS bounds a quick run, which makes so many instead of lasting so long.
run_ids() {
  local out before after tps duration expression="count($6)" transactions
  transactions=$(($7 / calls / $3))
  duration=(-T "$seconds")
  [ "$seconds" != 0 ] || duration=(-t "$((transactions > 2 ? transactions : 2))")
  [ "$6" != 'timeshard_next_id()' ] || expression=$(honest)
  echo "SELECT $expression FROM (SELECT generate_series(1, $calls)) AS calls;" >"$work/ids.pgbench"
  before=$(processor_time "$5") || return
  out=$(options='-c synchronous_commit=off' pgbench_run "$5" "$3" "${duration[@]}" -f "$work/ids.pgbench") || return
  after=$(processor_time "$5") || return
  ! grep -q 'aborted' "$work/err" || return 1
  tps=$(tps_of "$out")
  record "$1" ids_per_s "$2" "$3" "$4" "$(awk -v t="$tps" -v c="$calls" 'BEGIN { printf "%.0f", t * c }')"
  made=$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' <<<"$out")
  record "$1" cpu_ns "$2" "$3" "$4" "$(awk -v a="$after" -v b="$before" -v n="$made" -v c="$calls" 'BEGIN { printf "%.1f", (a - b) * 1e9 / n / c }')"
}
told_pgbench() { # told_pgbench STAGE
  local last="-T $seconds"
  [ "$seconds" != 0 ] || last="-t (a fixed number of IDs)"
  told command "$1" "pgbench -n -c SESSIONS -j $processors $last -f ids.pgbench
SELECT count(CALL) FROM (SELECT generate_series(1, $calls)) AS calls; -- synchronous_commit = off
for Timeshard, so that every statement tests P3 with its last ID:
SELECT $(honest) FROM (SELECT generate_series(1, $calls)) AS calls;"
}

setup_sessions() { told_pgbench sessions; }
items_sessions() {
  local kind count
  for count in $session_counts; do
    for kind in "${kinds[@]}"; do echo "$kind $count"; done
  done
}
measure_sessions() { run_ids sessions "$2" "$3" "$1" "${cluster[$2]}" "${call[$2]}" "$quick_ids"; }

setup_layouts() {
  local bits
  told_pgbench layouts
  told command layout_calls "$(scan_statement 'timeshard_next_id()');"
  for bits in $layouts; do start_layout "$bits"; make_scanned "layout_$bits" || return; done
}
teardown_layouts() {
  local bits
  for bits in $layouts; do case $bits in 1 | 10) ;; *) stop_layout "$bits" ;; esac; done
}
items_layouts() {
  local bits count
  for bits in $layouts; do
    echo "$bits scan"
    for count in $layout_counts; do echo "$bits $count"; done
  done
}
measure_layouts() { # measure_layouts ROUND BITS SESSIONS|scan
  local ns ids=$((1000 << (22 - $2)))
  if [ "$3" = scan ]; then
    ns=$(scan_ns "layout_$2" 'timeshard_next_id()') || return
    record layouts ns "$2" '' "$1" "$ns"
  else
    # No longer than a third of a second's IDs of a layout that allows few.
    ids=$((ids / 3 < quick_ids ? ids / 3 : quick_ids))
    run_ids layouts "$2" "$3" "$1" "layout_$2" 'timeshard_next_id()' "$ids"
  fi
}

# percentiles STAGE SUBJECT ROUND: of the microseconds on stdin
percentiles() {
  sort -n | awk '{ v[NR] = $1; sum += $1 }
    function at(share, place) { place = int(share * NR + 0.999999); return v[place < 1 ? 1 : place] }
    END { print "mean", sum / NR; print "p50", at(0.5); print "p90", at(0.9); print "p95", at(0.95)
          print "p99", at(0.99); print "p99.9", at(0.999); print "max", v[NR] }' |
    while read -r name value; do record "$1" "$name" "$2" '' "$3" "$value"; done
}
setup_latency() {
  local kind
  told command client "pgbench -n -M prepared -c 1 -t $timed_calls --log, of SELECT CALL; -- over a Unix socket: the round trip is in it"
  told command server "before := clock_timestamp(); id := CALL; after := clock_timestamp();
-- $timed_calls times in a PL/pgSQL loop, in whole us: one reading of the clock and the assignment are in it"
  for kind in empty "${kinds[@]}"; do
    sql "${cluster[$kind]:-layout_10}" >&2 <<SQL || return
CREATE OR REPLACE FUNCTION timed_$kind() RETURNS SETOF numeric LANGUAGE plpgsql AS \$\$
DECLARE
    id ${type[$kind]:-integer};
    before timestamptz;
    after timestamptz;
BEGIN
    FOR n IN 1 .. $timed_calls LOOP
        before := clock_timestamp();
        id := ${call[$kind]:-pg_backend_pid()};
        after := clock_timestamp();
        RETURN NEXT extract(epoch FROM after - before) * 1000000;
    END LOOP;
END \$\$;
SQL
  done
}
items_latency() {
  local kind
  for kind in empty "${kinds[@]}"; do printf '%s\n' "server $kind" "client $kind"; done
}
measure_latency() { # measure_latency ROUND WHERE KIND
  local server=${cluster[$3]:-layout_10}
  if [ "$2" = server ]; then
    sql "$server" -c "SELECT * FROM timed_$3()" 2>"$work/err" >"$work/times" || return
  else
    echo "SELECT ${call[$3]:-pg_backend_pid()};" >"$work/one.pgbench"
    as_user rm -f "$work"/latency.*
    options='-c synchronous_commit=off' pgbench_run "$server" 1 -M prepared -t "$timed_calls" --log --log-prefix="$work/latency" \
      -f "$work/one.pgbench" >/dev/null || return
    cut -d ' ' -f 3 "$work"/latency.* >"$work/times"
  fi
  percentiles "$2" "$3" "$1" <"$work/times"
}

# The core by itself, by Google Benchmark, whose JSON is kept as it comes.
has_core() { [ -e "$here/test/bench/core/Makefile" ]; }
# Beside the library, to lose no time; what fails here fails again in its stage.
build_core() { ! has_core || as_user make -s -C "$work/src/test/bench/core" BUILD="$work/core" build >"$work/core.log" 2>&1; }
setup_core() { told command core "make -C test/bench/core run FILTER=$core_filter REPETITIONS=$rounds MIN_TIME=$core_min_time"; }
items_core() { ! has_core || echo all; }
measure_core() { # the rounds are its own
  as_user make -s -C "$work/src/test/bench/core" BUILD="$work/core" FILTER="$core_filter" REPETITIONS="$rounds" \
    MIN_TIME="$core_min_time" run >"$work/core.json" 2>"$work/err" && cp "$work/core.json" "$folder/core.json"
}
