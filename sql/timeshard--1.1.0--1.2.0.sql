\echo Use "ALTER EXTENSION timeshard UPDATE TO '1.2.0'" to load this file. \quit

ALTER FUNCTION timeshard_next_id() PARALLEL RESTRICTED;
ALTER FUNCTION timeshard_next_id_with_prefix(text) PARALLEL RESTRICTED;
ALTER FUNCTION timeshard_prefix_at(text, integer) PARALLEL RESTRICTED;
ALTER FUNCTION timeshard_next_ids(integer) PARALLEL RESTRICTED;

CREATE FUNCTION timeshard_accept_clock() RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'timeshard_accept_clock';
REVOKE ALL ON FUNCTION timeshard_accept_clock() FROM PUBLIC;
COMMENT ON FUNCTION timeshard_accept_clock() IS
'accepts the server''s clock as it is now, after IDs were refused because it has jumped ahead
by more than timeshard.max_clock_jump';

COMMENT ON FUNCTION timeshard_config() IS
'what is in force since the server started, and where the node ID came from: configuration, environment, address (which members of pg_monitor see) or none (and node_id is null);
pending_restart if the settings now say otherwise';

CREATE OR REPLACE FUNCTION timeshard_config_info() RETURNS text
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
        coalesce(c.node_id::pg_catalog.text, 'none'), c.max_node_id,
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

COMMENT ON FUNCTION timeshard_parse(text) IS
'takes an ID in text apart; its prefix is recognised where the text can be no other ID, otherwise an error asks for it';
