# shellcheck shell=bash
# Sourced by bench.sh: the stages that store rows.

table_kinds() { local kind; for kind in "${kinds[@]}"; do [ "$kind" = timeshard_1 ] || echo "$kind"; done; }
# Those whose keys carry a time that can be asked for in order.
timed_kinds() { local kind; for kind in "${kinds[@]}"; do [ -z "${range[$kind]:-}" ] || echo "$kind"; done; }
density_of() { if [ -n "$has_density" ]; then echo "(pgstatindex('$1')).avg_leaf_density"; else echo "''"; fi; }

# write_rows SERVER STATEMENT TABLE: ms, bytes of WAL, of table, of key index, and
# the index's density, of a statement after a checkpoint. Its commit is in it.
write_rows() {
  sql "$1" 2>"$work/err" <<SQL | sed 's/^Time: \([0-9.]*\) ms.*/\1/' | tr '|\n' '  '
CHECKPOINT;
SELECT pg_current_wal_insert_lsn() AS start \gset
\timing on
$2;
\timing off
SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), :'start'), pg_relation_size('$3'), pg_relation_size('$3_pkey'),
       $(density_of "$3_pkey");
SQL
}
record_written() { # record_written STAGE KIND ROUND MS WAL TABLE INDEX [DENSITY]
  record "$1" ms "$2" '' "$3" "$4"
  record "$1" wal "$2" '' "$3" "$5"
  record "$1" table_size "$2" '' "$3" "$6"
  record "$1" index_size "$2" '' "$3" "$7"
  [ -z "${8:-}" ] || record "$1" density "$2" '' "$3" "$8"
}
new_table() { # new_table KIND
  sql "${cluster[$1]}" 2>"$work/err" <<SQL
SET client_min_messages = warning;
DROP TABLE IF EXISTS bulk;
CREATE TABLE bulk (id ${type[$1]} PRIMARY KEY DEFAULT ${call[$1]}, customer integer);
SQL
}
into_new_table() { # into_new_table STAGE ROUND KIND STATEMENT
  local figures
  new_table "$3" || return
  figures=$(write_rows "${cluster[$3]}" "$4" bulk) || return
  # shellcheck disable=SC2086 # words
  record_written "$1" "$3" "$2" $figures
}
# The first run of a server makes its WAL files; none is to pay for that.
warm_up() {
  local kind
  [ -z "${warm:-}" ] || return 0
  for kind in bigserial timeshard_1; do
    new_table "$kind" && write_rows "${cluster[$kind]}" "$(insert_select)" bulk >/dev/null || return
  done
  warm=1
}

insert_select() { echo "INSERT INTO bulk (customer) SELECT n % 1000 FROM generate_series(1, $bulk_rows) AS n"; }
setup_bulk() {
  told command table 'CREATE TABLE bulk (id TYPE PRIMARY KEY DEFAULT CALL, customer integer); CHECKPOINT;'
  told command bulk "$(insert_select);"
  warm_up
}
items_bulk() { printf '%s\n' "${kinds[@]}"; }
measure_bulk() { into_new_table bulk "$1" "$2" "$(insert_select)"; }

# Rows for COPY, with a key of each kind, and without.
setup_copy() {
  local kind
  told command copy_key "COPY (SELECT CALL, n % 1000 FROM generate_series(1, $bulk_rows) AS n) TO 'keys.KIND'; -- before
COPY bulk FROM 'keys.KIND';"
  told command copy_default "COPY (SELECT n % 1000 FROM generate_series(1, $bulk_rows) AS n) TO 'rows'; -- before
COPY bulk (customer) FROM 'rows';"
  sql layout_10 -c "COPY (SELECT n % 1000 FROM generate_series(1, $bulk_rows) AS n) TO '$work/rows'" >/dev/null || return
  for kind in "${kinds[@]}"; do
    sql "${cluster[$kind]}" -c "COPY (SELECT ${call[$kind]}, n % 1000 FROM generate_series(1, $bulk_rows) AS n) TO '$work/keys.$kind'" \
      >/dev/null || return
  done
  warm_up
}
teardown_copy() { rm -f "$work"/keys.* "$work/rows"; }
items_copy() {
  local kind
  for kind in "${kinds[@]}"; do printf '%s\n' "copy_key $kind" "copy_default $kind"; done
}
measure_copy() { # measure_copy ROUND STAGE KIND
  if [ "$2" = copy_key ]; then
    into_new_table copy_key "$1" "$3" "COPY bulk FROM '$work/keys.$3'"
  else
    into_new_table copy_default "$1" "$3" "COPY bulk (customer) FROM '$work/rows'"
  fi
}

# Tables of many rows, whose keys are as if they had been made over ten days.
setup_fill() {
  until=$(sql layout_10 -c "SELECT date_trunc('second', now())")
  told command fill "CREATE TABLE grown (id TYPE PRIMARY KEY DEFAULT CALL, created_at timestamptz NOT NULL, customer integer);
INSERT INTO grown SELECT KEY, moment, n % 1000 FROM (SELECT n, until - interval '10 days' * (1 - n / $grown_rows.0) AS moment
  FROM generate_series(1, $grown_rows) AS n) AS rows;
-- KEY is a key of that moment: $(for kind in $(timed_kinds); do printf '%s for %s, ' "${at[$kind]}" "${title[$kind]}"; done)and CALL for the others"
}
items_fill() { table_kinds; }
measure_fill() { # measure_fill ROUND KIND
  local table=grown_$2 figures
  sql "${cluster[$2]}" 2>"$work/err" <<SQL || return
CREATE TABLE $table (id ${type[$2]} PRIMARY KEY DEFAULT ${call[$2]}, created_at timestamptz NOT NULL, customer integer);
INSERT INTO $table SELECT ${at[$2]:-${call[$2]}}, moment, n % 1000
FROM (SELECT n, '$until'::timestamptz - interval '10 days' * (1 - n / $grown_rows.0) AS moment FROM generate_series(1, $grown_rows) AS n) AS rows;
SQL
  figures=$(sql "${cluster[$2]}" -F ' ' -c "VACUUM (FREEZE, ANALYZE) $table" \
    -c "SELECT pg_relation_size('$table'), pg_relation_size('${table}_pkey'), $(density_of "${table}_pkey")" 2>"$work/err") || return
  # shellcheck disable=SC2086 # words
  set -- "$1" "$2" $figures
  record fill table_size "$2" '' "$1" "$3"
  record fill index_size "$2" '' "$1" "$4"
  [ -z "${5:-}" ] || record fill density "$2" '' "$1" "$5"
  filled+=" $2 "
}
items_of_filled() { local kind; for kind in $(table_kinds); do [[ ${filled:-} != *" $kind "* && -n ${filled+x} ]] || echo "$kind"; done; }

# Rows of the last hour and day, by the key where it carries the time, and by an
# index on created_at.
setup_ranges() {
  local kind
  told command ranges "EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF) SELECT count(*), sum(customer) FROM grown WHERE CONDITION; -- the second of two
by the index on created_at: created_at >= SINCE AND created_at < UNTIL
$(for kind in $(timed_kinds); do echo "by the key, ${title[$kind]}: ${range[$kind]}"; done)"
  for kind in $(timed_kinds); do told range "$kind" "${range[$kind]}"; done
  for kind in $(items_of_filled); do
    sql "${cluster[$kind]}" -c "CREATE INDEX grown_${kind}_at ON grown_$kind (created_at)" -c "VACUUM ANALYZE grown_$kind" || return
    record fill second_index_size "$kind" '' 1 "$(sql "${cluster[$kind]}" -c "SELECT pg_relation_size('grown_${kind}_at')")"
  done
}
teardown_ranges() {
  local kind
  for kind in $(items_of_filled); do sql "${cluster[$kind]}" -c "DROP INDEX grown_${kind}_at"; done
}
items_ranges() {
  local kind span
  for kind in $(items_of_filled); do
    for span in hour day; do
      [ -z "${range[$kind]:-}" ] || echo "$kind key $span"
      echo "$kind created_at $span"
    done
  done
}
measure_ranges() { # measure_ranges ROUND KIND BY SPAN
  local condition='created_at >= SINCE AND created_at < UNTIL' select out
  [ "$3" != key ] || condition=${range[$2]}
  condition=${condition//SINCE/\'$until\'::timestamptz - interval \'1 $4\'}
  select="SELECT count(*), sum(customer) FROM grown_$2 WHERE ${condition//UNTIL/\'$until\'::timestamptz}"
  out=$(sql "${cluster[$2]}" -c "$select" -c "EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF) $select" 2>"$work/err") || return
  record ranges rows_by_"$3" "$2" "$4" "$1" "$(sed -n '1s/|.*//p' <<<"$out")"
  record ranges ms_by_"$3" "$2" "$4" "$1" "$(sed -n 's/^Execution Time: \([0-9.]*\) ms/\1/p' <<<"$out")"
}

setup_lookups() {
  local kind
  told command lookups "EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF) SELECT sum(g.customer) FROM sample AS s
CROSS JOIN LATERAL (SELECT customer FROM grown WHERE grown.id = s.id OFFSET 0) AS g; -- $lookups keys in random order, the second of two
all: keys out of the whole table; recent: keys of the last tenth of it"
  for kind in $(items_of_filled); do
    sql "${cluster[$kind]}" <<SQL || return
CREATE TABLE all_$kind AS SELECT id FROM grown_$kind WHERE random() < 2.0 * $lookups / $grown_rows ORDER BY random() LIMIT $lookups;
CREATE TABLE recent_$kind AS SELECT id FROM grown_$kind WHERE created_at >= '$until'::timestamptz - interval '1 day'
  AND random() < 20.0 * $lookups / $grown_rows ORDER BY random() LIMIT $lookups;
VACUUM ANALYZE all_$kind, recent_$kind;
SQL
  done
}
items_lookups() { local kind; for kind in $(items_of_filled); do printf '%s\n' "$kind all" "$kind recent"; done; }
measure_lookups() { # measure_lookups ROUND KIND WHICH
  local select out
  select="SELECT sum(g.customer) FROM $3_$2 AS s
    CROSS JOIN LATERAL (SELECT customer FROM grown_$2 WHERE grown_$2.id = s.id OFFSET 0) AS g"
  out=$(sql "${cluster[$2]}" -c "$select" -c "EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF) $select" 2>"$work/err") || return
  record lookups ns "$2" "$3" "$1" "$(sed -n 's/^Execution Time: \([0-9.]*\) ms/\1/p' <<<"$out" |
    awk -v n="$(sql "${cluster[$2]}" -c "SELECT count(*) FROM $3_$2")" '{ printf "%.1f", $1 * 1000000 / n }')"
}

setup_commits() { told command commits "pgbench -n -M prepared -c SESSIONS -j $processors $(commit_length 1 | tr '\n' ' ')-f commit.pgbench -- fsync and synchronous_commit on
INSERT INTO grown (created_at, customer) VALUES (now(), 1);"; }
commit_length() { if [ "$seconds" = 0 ]; then printf '%s\n' -t "$((quick_commits / $1 + 1))"; else printf '%s\n' -T "$seconds"; fi; }
items_commits() {
  local kind count
  for count in 1 8; do for kind in $(items_of_filled); do echo "$kind $count"; done; done
}
measure_commits() { # measure_commits ROUND KIND SESSIONS
  local out
  echo "INSERT INTO grown_$2 (created_at, customer) VALUES (now(), 1);" >"$work/commit.pgbench"
  sql "${cluster[$2]}" -c CHECKPOINT || return
  # shellcheck disable=SC2046 # words
  out=$(pgbench_run "${cluster[$2]}" "$3" -M prepared $(commit_length "$3") -f "$work/commit.pgbench") || return
  record commits tps "$2" "$3" "$1" "$(tps_of "$out")"
}

setup_more() {
  told command more "CHECKPOINT; INSERT INTO grown (created_at, customer) SELECT now(), n % 1000 FROM generate_series(1, $more_rows) AS n;"
}
items_more() { items_of_filled; }
measure_more() { # measure_more ROUND KIND
  local figures
  figures=$(write_rows "${cluster[$2]}" "INSERT INTO grown_$2 (created_at, customer) SELECT now(), n % 1000 FROM generate_series(1, $more_rows) AS n" "grown_$2") || return
  # shellcheck disable=SC2086 # words
  record_written more "$2" "$1" $figures
}
