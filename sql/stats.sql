-- What the server counts, and the floor
SELECT ids_issued AS issued FROM timeshard_stats() \gset
SELECT count(timeshard_next_id()) FROM generate_series(1, 10000);
SELECT ids_issued - :issued >= 10000 AS counted, sequence_waits >= 0 AND clock_waits >= 0 AS waits, clock_refusals >= 0 AS refusals,
       largest_step_ms >= 0 AS step, mark_extensions >= 1 AS extensions, slowest_extension > interval '0' AS slowest,
       reserved_until > clock_timestamp() - interval '1 second' AS reserved, started_at < clock_timestamp() AS started
FROM timeshard_stats();
SELECT s.last_id >= id AS last_id, s.last_id_at >= (timeshard_parse(id)).datetime AS last_id_at
FROM timeshard_next_id() AS id, LATERAL (SELECT * FROM timeshard_stats() WHERE id > 0) AS s;
-- No ID past the end of what is reserved, also after a rest
SELECT pg_sleep_until(reserved_until) IS NOT NULL AS rested FROM timeshard_stats();
SELECT timeshard_next_id() > 0 AS made;
SELECT reserved_until > last_id_at AS reserved FROM timeshard_stats();
SELECT (since_id IS NULL) = (previous_node_id_bits IS NULL) AS one_or_none FROM timeshard_layout_change();

-- The floor only rises, and not far
\set SHOW_CONTEXT never
\set VERBOSITY sqlstate
SELECT timeshard_raise_floor(-1);
SELECT timeshard_raise_floor(9223372036854775807);
\set VERBOSITY default
SELECT timeshard_raise_floor(NULL);
SELECT timeshard_raise_floor(0);
SELECT timeshard_next_id() AS before \gset
SELECT timeshard_raise_floor(:before);
SELECT timeshard_next_id() > :before AS above;
-- Up to the window and max_clock_wait ahead, the next call waits
SELECT timeshard_next_id() + 500 * 4194304::bigint AS ahead \gset
SELECT clock_waits AS waits, ids_issued AS issued FROM timeshard_stats() \gset
SELECT timeshard_raise_floor(:ahead);
SELECT ids_issued >= :issued AS none_forgotten FROM timeshard_stats();
SELECT last_id IS NULL AND last_id_at IS NULL AS floor_is_no_id FROM timeshard_stats();
SELECT timeshard_next_id() > :ahead AS above, clock_timestamp() >= (timeshard_parse(:ahead)).datetime AS not_before_its_time;
-- That is no fault of the clock
SELECT clock_waits = :waits AS not_counted FROM timeshard_stats();

CREATE ROLE timeshard_regress_nobody;
SET ROLE timeshard_regress_nobody;
SELECT timeshard_raise_floor(1);
SELECT ids_issued > 0 AS may_look FROM timeshard_stats();
RESET ROLE;
GRANT EXECUTE ON FUNCTION timeshard_raise_floor(bigint) TO timeshard_regress_nobody;
SET ROLE timeshard_regress_nobody;
SELECT timeshard_raise_floor(1);
RESET ROLE;
REVOKE EXECUTE ON FUNCTION timeshard_raise_floor(bigint) FROM timeshard_regress_nobody;
DROP ROLE timeshard_regress_nobody;
