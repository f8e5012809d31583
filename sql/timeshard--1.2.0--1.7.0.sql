\echo Use "ALTER EXTENSION timeshard UPDATE TO '1.7.0'" to load this file. \quit

COMMENT ON FUNCTION timeshard_config() IS
'what is in force since the server started, and where the node ID came from: configuration, environment, address (which members of pg_monitor see),
registry (claimed, and node_id is null while no claim is held) or none (and node_id is null); pending_restart if the settings now say otherwise';

CREATE FUNCTION timeshard_claim_status(
    OUT node_id integer,
    OUT claimed_until timestamptz,
    OUT registry_error text
)
LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_claim_status';
COMMENT ON FUNCTION timeshard_claim_status() IS
'the node ID that this server has claimed from a registry, the time up to which it may issue IDs by the claim, and, for members of pg_monitor,
the last trouble with the registry, null if there is none; all null where the node ID is not claimed';

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
        'restart due    %s%s',
        c.node_id_bits, c.sequence_bits,
        coalesce(c.node_id::pg_catalog.text, 'none'), c.max_node_id,
        CASE c.node_id_source
            WHEN 'none' THEN 'no source: none is configured, and the machine has no address'
            WHEN 'address' THEN 'the machine''s address' || coalesce(' ' || pg_catalog.host(c.node_address), '')
            WHEN 'registry' THEN 'a registry'
            ELSE 'the server''s ' || c.node_id_source
        END,
        c.ids_per_millisecond - 1,
        c.ids_per_millisecond,
        c.custom_epoch, pg_catalog.to_char(c.epoch AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS'),
        pg_catalog.to_char(c.exhausted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS'),
        CASE WHEN c.preloaded THEN 'yes' ELSE 'no' END,
        CASE WHEN c.pending_restart THEN 'yes: the settings have changed since the server started' ELSE 'no' END,
        CASE WHEN c.node_id_source = 'registry' THEN E'\nclaim          '
            || coalesce('until ' || pg_catalog.to_char(s.claimed_until AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC', 'none')
            || coalesce('; registry: ' || s.registry_error, '')
        END
    )
    FROM timeshard_config() AS c, timeshard_claim_status() AS s
);
