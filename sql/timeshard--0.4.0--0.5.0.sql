\echo Use "ALTER EXTENSION timeshard UPDATE TO '0.5.0'" to load this file. \quit

-- 0.5.0 brings the horizon.

CREATE FUNCTION timeshard_horizon_support(internal) RETURNS internal
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_horizon_support';
COMMENT ON FUNCTION timeshard_horizon_support(internal) IS
'has the planner warn of a statement that both asks for timeshard_horizon() and reads by it';

CREATE FUNCTION timeshard_horizon() RETURNS bigint
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED SUPPORT timeshard_horizon_support AS 'MODULE_PATHNAME', 'timeshard_horizon';
COMMENT ON FUNCTION timeshard_horizon() IS
'an ID below which nothing of this server can appear any more: every ID below it is committed, aborted or will never be used by the transaction that took it; never less than an answer before; read up to it in a later statement, under READ COMMITTED; an error while a transaction is open that was prepared before the server''s start or promotion; else as timeshard_next_id()';

-- timeshard_stats() has new columns, for which it is made anew; who may call it
-- stays as it was. The names and operators are qualified: what fits better in the
-- extension's schema would otherwise be taken, and run with a superuser's rights.
DO $do$
DECLARE
    rights aclitem[] := (SELECT proacl FROM pg_catalog.pg_proc
        WHERE oid OPERATOR(pg_catalog.=) 'timeshard_stats()'::pg_catalog.regprocedure::pg_catalog.oid);
    item record;
BEGIN
    DROP FUNCTION timeshard_stats();
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
        OUT started_at timestamptz,
        OUT horizon_lag interval,
        OUT horizon_holder integer
    )
    LANGUAGE C VOLATILE PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_stats';
    IF rights IS NOT NULL THEN
        REVOKE ALL ON FUNCTION timeshard_stats() FROM PUBLIC;
    END IF;
    FOR item IN SELECT grantee, is_grantable FROM pg_catalog.aclexplode(rights) LOOP
        EXECUTE pg_catalog.concat('GRANT EXECUTE ON FUNCTION timeshard_stats() TO ',
            CASE WHEN item.grantee OPERATOR(pg_catalog.=) 0::pg_catalog.oid THEN 'PUBLIC'
                ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(item.grantee)::pg_catalog.text) END,
            CASE WHEN item.is_grantable THEN ' WITH GRANT OPTION' END);
    END LOOP;
END $do$;
COMMENT ON FUNCTION timeshard_stats() IS
'counters of the whole server since started_at, its start or Timeshard''s first use after it: IDs; calls that waited for the next millisecond; calls that waited for a clock set back, and that were refused; the largest step back in ms; writes of the mark and the slowest; the last ID; until when IDs may be issued without another write; how far the horizon is behind the clock (null if it cannot be told, as on a standby), and the process ID of the session that holds it back (null if it is none, a prepared transaction, or not yours to see)';
