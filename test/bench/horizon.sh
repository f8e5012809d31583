#!/bin/bash
# What the horizon costs: the library as it is against the last release without
# it (or another commit).
#
#   usage: horizon.sh [COMMIT]      exit code 1 if a target is missed
#
#   ROUNDS=41            of the scan of a million calls, one after the other
#   SESSIONS=100         open transactions that hold an ID while it is asked for
#   PG_CONFIG=...        the PostgreSQL to copy the private servers from
#
# Progress goes to stderr, the report to stdout.
set -euo pipefail

rounds=${ROUNDS:-41}
sessions=${SESSIONS:-100}
cost_target=1.02 # scan with the horizon / scan without, at most
asking_target=20 # us for an answer, at most

# shellcheck source=kit.sh
. "$(dirname "$0")/kit.sh"
base=${1:-$(git -C "$here" log --diff-filter=A --format=%H -- sql/timeshard--0.5.0.sql | tail -n 1)^}
make_sandbox
build_both "$base"
start_cluster base "$("$base_config" --bindir)" 1 'fsync = off'
start_cluster horizon "$bindir" 1 'fsync = off' "max_connections = $((sessions + 20))"

paired_scans base horizon "$rounds"

# A transaction of a second's sleep, again and again: at any moment nearly
# all of them are open and hold an ID.
say "asking beside $sessions sessions"
printf 'BEGIN;\nSELECT timeshard_next_id();\nSELECT pg_sleep(1);\nCOMMIT;\n' >"$work/hold.pgbench"
as_user "$bindir/pgbench" -n -h "$work/horizon" -U postgres -c "$sessions" -j 1 -T 15 -f "$work/hold.pgbench" postgres >/dev/null 2>&1 &
holders=$!
until [ "$(sql horizon -c "SELECT count(*) FROM pg_stat_activity WHERE state <> 'idle' AND query LIKE '%pg_sleep(1)%'")" -ge "$sessions" ]; do :; done
for ((round = 1; round <= 5; round++)); do
  sql horizon -c 'EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF) SELECT timeshard_horizon() FROM scanned LIMIT 100000' |
    sed -n 's/^Execution Time: \([0-9.]*\) ms/\1/p'
done | sort -n >"$work/asking"
wait "$holders"

missed=0
read -r cost least most < <(ratio_of_pairs)
verdict=$(judge "$cost <= $cost_target"); [ "$verdict" = met ] || missed=1
echo "scan of a million calls, one node bit, with the horizon / without ($(git -C "$here" rev-parse --short "$base")): $cost" \
  "($least to $most), at most $cost_target: $verdict"
asking=$(awk '{ v[NR] = $1 } END { printf "%.2f", v[3] / 100 }' "$work/asking")
verdict=$(judge "$asking <= $asking_target"); [ "$verdict" = met ] || missed=1
echo "an answer beside $sessions open transactions, with the row it is asked for: $asking us" \
  "($(awk 'NR == 1 { l = $1 } END { printf "%.2f to %.2f", l / 100, $1 / 100 }' "$work/asking")), at most $asking_target: $verdict"
exit "$missed"
