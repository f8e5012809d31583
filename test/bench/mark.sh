#!/bin/bash
# What the durable mark costs: the library as it is against the last release
# without a mark (or another commit), both on servers that sync.
#
#   usage: mark.sh [COMMIT]      exit code 1 if a target is missed
#
#   ROUNDS=15            of the scan of a million calls, one after the other
#   SECONDS_PER_RUN=60   of 8 sessions, for the longest call; a quarter for 32
#   PG_CONFIG=...        the PostgreSQL to copy the private servers from
#
# Progress goes to stderr, the report to stdout.
set -euo pipefail

rounds=${ROUNDS:-15}
seconds=${SECONDS_PER_RUN:-60}
cost_target=1.03  # scan with the mark / scan without, at most
share_target=99   # % of the default layout's 4,096,000 IDs a second, at least

# shellcheck source=kit.sh
. "$(dirname "$0")/kit.sh"
base=${1:-$(git -C "$here" log --diff-filter=A --format=%H -- sql/timeshard--0.3.0.sql | tail -n 1)^}
make_sandbox

say "building both in $work"
mkdir "$work/base.src"
git -C "$here" archive "$base" | tar -xf - -C "$work/base.src"
base_config=$("$here/test/private_server.sh" "$work/base.server" "${PG_CONFIG:-pg_config}")
[ "$(id -u)" -ne 0 ] || chown -R "$user" "$work"
build "$work/src" "$pg_config"
build "$work/base.src" "$base_config"

start_cluster base "$("$base_config" --bindir)" 1
start_cluster mark "$bindir" 1
start_cluster default_layout "$bindir" 10

for cluster in base mark; do
  sql "$cluster" -c 'CREATE TABLE scanned AS SELECT 1 AS x FROM generate_series(1, 1000000)' -c 'VACUUM (FREEZE, ANALYZE) scanned'
done
scan() { # scan CLUSTER: ms of the second of two scans in one session
  sql "$1" -c 'SELECT count(timeshard_next_id()) FROM scanned' \
    -c 'EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF) SELECT count(timeshard_next_id()) FROM scanned' |
    sed -n 's/^Execution Time: \([0-9.]*\) ms/\1/p'
}
for ((round = 1; round <= rounds; round++)); do
  say "scan $round of $rounds"
  if ((round % 2)); then with=$(scan mark) without=$(scan base); else without=$(scan base) with=$(scan mark); fi
  awk -v w="$with" -v b="$without" 'BEGIN { printf "%.4f\n", w / b }' >>"$work/ratios"
done

say "32 sessions for $((seconds / 4)) s"
echo 'SELECT max(timeshard_next_id()) FROM (SELECT generate_series(1, 10000)) AS calls;' >"$work/ids.pgbench"
share=$(as_user "$bindir/pgbench" -n -h "$work/default_layout" -U postgres -c 32 -j 2 -T "$((seconds / 4))" -f "$work/ids.pgbench" postgres |
  sed -n 's/^tps = \([0-9.]*\) .*/\1/p' | awk '{ printf "%.2f", $1 * 10000 / 40960 }')

# A call measures itself in the server, so that no network is in it; the loop's
# own cost is in the figure, and so is the machine taking the processor away.
say "8 sessions for $seconds s, the longest call of each"
for ((session = 1; session <= 8; session++)); do
  sql default_layout -c "SET client_min_messages = notice; DO \$\$
    DECLARE
      stop timestamptz := clock_timestamp() + interval '$seconds s';
      longest interval := '0'; before timestamptz; calls bigint := 0;
    BEGIN
      LOOP
        before := clock_timestamp();
        EXIT WHEN before > stop;
        PERFORM timeshard_next_id();
        longest := greatest(longest, clock_timestamp() - before);
        calls := calls + 1;
      END LOOP;
      RAISE NOTICE '% %', calls, extract(epoch FROM longest) * 1000;
    END \$\$" 2>&1 | sed -n 's/^NOTICE:  //p' >"$work/longest.$session" &
done
wait
extensions=$(sql default_layout -c 'SELECT mark_extensions, extract(epoch FROM slowest_extension) * 1000 FROM timeshard_stats()')

cost=$(sort -n "$work/ratios" | awk '{ v[NR] = $1 } END { printf "%.3f", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }')
missed=0
judge() { awk "BEGIN { exit !($1) }" && echo met || echo MISSED; }
verdict=$(judge "$cost <= $cost_target"); [ "$verdict" = met ] || missed=1
echo "scan of a million calls, one node bit, with the mark / without ($(git -C "$here" rev-parse --short "$base")): $cost" \
  "($(sort -n "$work/ratios" | head -n 1) to $(sort -n "$work/ratios" | tail -n 1)), at most $cost_target: $verdict"
verdict=$(judge "$share >= $share_target"); [ "$verdict" = met ] || missed=1
echo "32 sessions, default layout, syncs included: $share % of 4096000, at least $share_target: $verdict"
echo "8 sessions for $seconds s: $(awk '{ c += $1; if ($2 > m) m = $2 } END { printf "%d calls, longest %.3f ms", c, m }' "$work"/longest.*)"
echo "mark: ${extensions%%|*} extensions, the slowest ${extensions##*|} ms"
exit "$missed"
