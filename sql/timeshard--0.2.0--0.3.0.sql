\echo Use "ALTER EXTENSION timeshard UPDATE TO '0.3.0'" to load this file. \quit

-- 0.3.0 brings the durable mark.

CREATE FUNCTION timeshard_parse(id bigint, node_id_bits integer, custom_epoch bigint) RETURNS timeshard_parts
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_parse_layout';
COMMENT ON FUNCTION timeshard_parse(bigint, integer, bigint) IS
'takes an ID, 0 or more, of another layout apart: 41 bits of time since custom_epoch (ms since 1970), node_id_bits (1 to 16) of node ID, the rest of 22 sequence';

-- The mark and the floor

CREATE FUNCTION timeshard_raise_floor(id bigint) RETURNS void
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'timeshard_raise_floor';
REVOKE ALL ON FUNCTION timeshard_raise_floor(bigint) FROM PUBLIC;
COMMENT ON FUNCTION timeshard_raise_floor(bigint) IS
'makes every later ID of this server larger than the given one, durably; for data restored from elsewhere, or a damaged mark; an error for an ID more than a day ahead of the clock';

CREATE FUNCTION timeshard_stats(
    OUT ids_issued bigint,
    OUT sequence_waits bigint,
    OUT clock_waits bigint,
    OUT clock_refusals bigint,
    OUT largest_step_ms bigint,
    OUT mark_extensions bigint,
    OUT slowest_extension interval,
    OUT last_id bigint,
    OUT last_id_at timestamptz,
    OUT reserved_until timestamptz,
    OUT started_at timestamptz
)
LANGUAGE C VOLATILE PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_stats';
COMMENT ON FUNCTION timeshard_stats() IS
'counters of the whole server since started_at, its start or Timeshard''s first use after it: IDs; calls that waited for the next millisecond; calls that waited for a clock set back, and that were refused; the largest step back in ms; writes of the mark and the slowest; the last ID; until when IDs may be issued without another write';

CREATE FUNCTION timeshard_layout_change(
    OUT since_id bigint,
    OUT previous_node_id_bits integer,
    OUT previous_custom_epoch bigint
)
LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_layout_change';
COMMENT ON FUNCTION timeshard_layout_change() IS
'the last change of this server''s layout: IDs below since_id parse by the previous one, with timeshard_parse(id, previous_node_id_bits, previous_custom_epoch); nulls if there was none';
