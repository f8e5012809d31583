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
build_both "$base"
start_cluster base "$("$base_config" --bindir)" 1
start_cluster mark "$bindir" 1
start_cluster default_layout "$bindir" 10

paired_scans base mark "$rounds"

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

read -r cost least most < <(ratio_of_pairs)
missed=0
verdict=$(judge "$cost <= $cost_target"); [ "$verdict" = met ] || missed=1
echo "scan of a million calls, one node bit, with the mark / without ($(git -C "$here" rev-parse --short "$base")): $cost" \
  "($least to $most), at most $cost_target: $verdict"
verdict=$(judge "$share >= $share_target"); [ "$verdict" = met ] || missed=1
echo "32 sessions, default layout, syncs included: $share % of 4096000, at least $share_target: $verdict"
echo "8 sessions for $seconds s: $(awk '{ c += $1; if ($2 > m) m = $2 } END { printf "%d calls, longest %.3f ms", c, m }' "$work"/longest.*)"
echo "mark: ${extensions%%|*} extensions, the slowest ${extensions##*|} ms"
exit "$missed"
