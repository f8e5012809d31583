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

-- What the database already holds

-- PL/pgSQL, because each table is read by a statement of its own. Its search_path makes
-- all names PostgreSQL's own. So it cannot call the extension's functions, which can be
-- in any schema: timeshard_largest_ids(), whose body is stored parsed, passes their
-- results.
CREATE FUNCTION timeshard_largest_between(
    present bigint,
    latest bigint,
    maker regprocedure,
    OUT relation regclass,
    OUT key_column name,
    OUT largest bigint,
    OUT note text
)
RETURNS SETOF record
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    many CONSTANT integer := 100; -- so many values that cannot be IDs are no mistakes
    found record;
    source text;
    ahead integer;
    noted text[] := '{}';
BEGIN
    FOR found IN
        WITH RECURSIVE bigints AS (
            SELECT 'int8'::regtype::oid AS type
            UNION ALL
            SELECT t.oid FROM bigints AS b JOIN pg_type AS t ON t.typbasetype = b.type AND t.typtype = 'd'
        ), makers AS (
            SELECT classid, objid FROM pg_depend WHERE refclassid = 'pg_proc'::regclass AND refobjid = maker
        ), keys AS (
            SELECT i.indrelid AS relid, i.indkey[0] AS attnum
            FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid
            -- Not every partition need have the index of the partitioned table.
            WHERE i.indisunique AND (c.relkind <> 'p' OR i.indisvalid)
            UNION
            SELECT f.adrelid, f.adnum
            FROM makers AS m JOIN pg_attrdef AS f ON f.oid = m.objid
            WHERE m.classid = 'pg_attrdef'::regclass
            UNION
            SELECT a.attrelid, a.attnum
            FROM makers AS m JOIN pg_attribute AS a ON a.atttypid = m.objid
            WHERE m.classid = 'pg_type'::regclass AND NOT a.attisdropped
        ), columns AS (
            SELECT c.oid, c.relname, c.relnamespace, c.relkind, c.relispartition, a.attname, a.attnum
            FROM keys AS k
            JOIN pg_class AS c ON c.oid = k.relid AND c.relkind IN ('r', 'p')
            JOIN pg_attribute AS a ON a.attrelid = k.relid AND a.attnum = k.attnum
            JOIN bigints AS b ON b.type = a.atttypid
        )
        SELECT n.nspname, c.relname, c.oid, c.relkind, c.attname,
            CASE
                WHEN pg_is_other_temp_schema(n.oid) THEN 'not read: a temporary table of another session'
                WHEN NOT (has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'))
                    THEN 'not read: permission denied'
                WHEN row_security_active(c.oid) THEN 'not read: row-level security hides rows'
            END AS obstacle
        FROM columns AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
        -- A partitioned table stands for its partitions.
        AND NOT (c.relispartition AND EXISTS (
            SELECT FROM columns AS p
            WHERE p.oid <> c.oid AND p.attname = c.attname AND p.oid IN (SELECT relid FROM pg_partition_ancestors(c.oid) AS relid)))
        ORDER BY n.nspname, c.relname, c.attnum
    LOOP
        relation := found.oid;
        key_column := found.attname;
        largest := NULL;
        note := found.obstacle;
        IF note IS NULL THEN
            source := format('%s%I.%I', CASE WHEN found.relkind <> 'p' THEN 'ONLY ' END, found.nspname, found.relname);
            -- The lock keeps its owner from putting a view with functions of their own there.
            EXECUTE format('LOCK TABLE %s IN ACCESS SHARE MODE', source);
            IF NOT EXISTS (
                SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
                WHERE c.oid = found.oid AND c.relname = found.relname AND n.nspname = found.nspname
            ) THEN
                RAISE EXCEPTION USING ERRCODE = 'object_in_use',
                    MESSAGE = format('table "%s" was replaced while it was read', found.relname),
                    HINT = 'Call timeshard_largest_ids() again.';
            END IF;
            EXECUTE format('SELECT %1$I FROM %2$s WHERE %1$I >= 0 AND %1$I <= $1 ORDER BY %1$I DESC LIMIT 1', key_column, source)
                INTO largest USING latest;
            EXECUTE format('SELECT count(*) FROM (SELECT FROM %2$s WHERE %1$I > $1 ORDER BY %1$I LIMIT $2) AS s', key_column, source)
                INTO ahead USING latest, many;
            IF ahead = many AND largest > present THEN
                largest := NULL;
                note := format('not counted: %s or more values are over a day ahead of the clock, so these are not IDs of this layout', many);
            ELSIF ahead > 0 THEN
                note := format('values over a day ahead of the clock, left out: %s',
                    CASE WHEN ahead = many THEN many || ' or more' ELSE ahead::text END);
            END IF;
        END IF;
        IF note IS NOT NULL THEN
            noted := array_append(noted, format('%I.%I, column %I: %s', found.nspname, found.relname, key_column, note));
        END IF;
        RETURN NEXT;
    END LOOP;
    IF noted <> '{}' THEN
        RAISE WARNING USING
            MESSAGE = 'timeshard_largest_ids() does not count every value',
            DETAIL = array_to_string(noted[:20], E'\n') || CASE WHEN cardinality(noted) > 20 THEN E'\n...' ELSE '' END,
            HINT = 'Look at the rows with a note. See "The largest IDs of a database" in doc/operations.md.';
    END IF;
END
$body$;
COMMENT ON FUNCTION timeshard_largest_between(bigint, bigint, regprocedure) IS
'the largest value up to latest in each column that timeshard_largest_ids() reads;
present is the last ID before now, maker is timeshard_next_id();
timeshard_largest_ids() is made of it';

CREATE FUNCTION timeshard_largest_ids(
    OUT relation regclass,
    OUT key_column name,
    OUT largest bigint,
    OUT at timestamptz,
    OUT note text
)
RETURNS SETOF record
LANGUAGE SQL VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
    SELECT l.relation, l.key_column, l.largest, timeshard_time(l.largest), l.note
    FROM timeshard_largest_between(
        timeshard_last_before(pg_catalog.clock_timestamp()),
        timeshard_last_before(pg_catalog.clock_timestamp() + interval '24 hours'),
        'timeshard_next_id()'::pg_catalog.regprocedure) AS l;
END;
COMMENT ON FUNCTION timeshard_largest_ids() IS
'the largest ID, and its time, in each bigint column, or domain over bigint, of this database that leads a unique index or has timeshard_next_id() as its default;
their maximum is what timeshard_raise_floor() takes after a restore;
values below 0 and over a day ahead of the clock are left out;
a note, and a warning, where a table cannot be read or values ahead of the clock are left out';
