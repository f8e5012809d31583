\echo Use "CREATE EXTENSION timeshard" to load this file. \quit

CREATE TYPE timeshard_parts AS (
    id bigint,
    "timestamp" bigint,
    timestamp_offset bigint,
    datetime timestamptz,
    node_id integer,
    sequence integer
);
COMMENT ON TYPE timeshard_parts IS 'an ID taken apart: when, where and in which order it was made';
COMMENT ON COLUMN timeshard_parts.id IS 'the ID';
COMMENT ON COLUMN timeshard_parts."timestamp" IS 'the millisecond in which it was made, since 1970';
COMMENT ON COLUMN timeshard_parts.timestamp_offset IS 'the same since the epoch, 0 to 2199023255551';
COMMENT ON COLUMN timeshard_parts.datetime IS 'the same as a time, exact to the millisecond';
COMMENT ON COLUMN timeshard_parts.node_id IS 'the node ID of the server that made it';
COMMENT ON COLUMN timeshard_parts.sequence IS 'its place within the millisecond, from 0';

-- Generation

CREATE FUNCTION timeshard_next_id() RETURNS bigint
LANGUAGE C VOLATILE PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_next_id';
COMMENT ON FUNCTION timeshard_next_id() IS
'a new ID, larger than every ID that this server has returned before; waits or fails where the clock is behind the last ID (timeshard.max_clock_wait)';

CREATE FUNCTION timeshard_next_id_with_prefix(prefix text) RETURNS text
LANGUAGE C VOLATILE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_next_id_with_prefix';
COMMENT ON FUNCTION timeshard_next_id_with_prefix(text) IS
'a new ID as 19 zero-padded digits behind the prefix, which may be any text';

CREATE FUNCTION timeshard_prefix_at(prefix text, at_position integer) RETURNS text
LANGUAGE C VOLATILE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_prefix_at';
COMMENT ON FUNCTION timeshard_prefix_at(text, integer) IS
'a new ID as 19 zero-padded digits with the prefix inserted after at_position of them (0 to 19)';

-- Text

CREATE FUNCTION timeshard_format(id bigint, prefix text, at_position integer DEFAULT 0) RETURNS text
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_format';
COMMENT ON FUNCTION timeshard_format(bigint, text, integer) IS
'an existing ID, 0 or more, as 19 zero-padded digits with the prefix inserted after at_position of them (0 to 19)';

-- Parsing

CREATE FUNCTION timeshard_parse(id bigint) RETURNS timeshard_parts
LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_parse';
COMMENT ON FUNCTION timeshard_parse(bigint) IS
'takes an ID, 0 or more, apart by the layout and epoch in force';

CREATE FUNCTION timeshard_parse(formatted text) RETURNS timeshard_parts
LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_parse_text';
COMMENT ON FUNCTION timeshard_parse(text) IS
'takes an ID in text apart; its prefix is recognised where that is unambiguous: leading, or inserted and without digits';

CREATE FUNCTION timeshard_parse(formatted text, prefix text) RETURNS timeshard_parts
LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_parse_text_prefix';
COMMENT ON FUNCTION timeshard_parse(text, text) IS
'takes an ID in text with the given prefix apart, wherever in it the prefix stands';

-- Configuration

CREATE FUNCTION timeshard_config(
    OUT node_id integer,
    OUT node_id_source text,
    OUT node_address inet,
    OUT node_id_bits integer,
    OUT sequence_bits integer,
    OUT max_node_id integer,
    OUT ids_per_millisecond integer,
    OUT custom_epoch bigint,
    OUT epoch timestamptz,
    OUT exhausted_at timestamptz,
    OUT preloaded boolean,
    OUT pending_restart boolean
)
LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_config';
COMMENT ON FUNCTION timeshard_config() IS
'what is in force since the server started, and where the node ID came from: configuration, environment, address (which members of pg_monitor see) or none; pending_restart if the settings now say otherwise';

CREATE FUNCTION timeshard_config_info() RETURNS text
LANGUAGE SQL STABLE PARALLEL SAFE
-- Qualified: a function in the extension's schema that fits the arguments better
-- would otherwise be taken, and run with the rights of whoever asks.
RETURN (
    SELECT pg_catalog.format(
        E'allocation     41-%s-%s (bits of time, node ID, sequence)\n'
        'node ID        %s of 0 to %s, from %s\n'
        'sequence       0 to %s\n'
        'IDs per ms     %s\n'
        'epoch          %s (%s UTC)\n'
        'end of life    %s UTC\n'
        'preloaded      %s\n'
        'restart due    %s',
        c.node_id_bits, c.sequence_bits,
        c.node_id, c.max_node_id,
        CASE c.node_id_source
            WHEN 'none' THEN 'no source: none is configured, and the machine has no address'
            WHEN 'address' THEN 'the machine''s address' || coalesce(' ' || pg_catalog.host(c.node_address), '')
            ELSE 'the server''s ' || c.node_id_source
        END,
        c.ids_per_millisecond - 1,
        c.ids_per_millisecond,
        c.custom_epoch, pg_catalog.to_char(c.epoch AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS'),
        pg_catalog.to_char(c.exhausted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS'),
        CASE WHEN c.preloaded THEN 'yes' ELSE 'no' END,
        CASE WHEN c.pending_restart THEN 'yes: the settings have changed since the server started' ELSE 'no' END
    )
    FROM timeshard_config() AS c
);
COMMENT ON FUNCTION timeshard_config_info() IS
'timeshard_config() for a person to read';
