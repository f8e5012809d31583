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
--
-- Not PARALLEL SAFE: workers would make the IDs below the Gather Merge that puts their
-- rows in order, so CREATE TABLE AS ... ORDER BY would number rows out of order.

CREATE FUNCTION timeshard_next_id() RETURNS bigint
LANGUAGE C VOLATILE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'timeshard_next_id';
COMMENT ON FUNCTION timeshard_next_id() IS
'a new ID, larger than every ID that this server has returned before; waits or fails where the clock is behind the last ID (timeshard.max_clock_wait)';

CREATE FUNCTION timeshard_next_id_with_prefix(prefix text) RETURNS text
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'timeshard_next_id_with_prefix';
COMMENT ON FUNCTION timeshard_next_id_with_prefix(text) IS
'a new ID as 19 zero-padded digits behind the prefix, which may be any text; else as timeshard_next_id()';

CREATE FUNCTION timeshard_prefix_at(prefix text, at_position integer) RETURNS text
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'timeshard_prefix_at';
COMMENT ON FUNCTION timeshard_prefix_at(text, integer) IS
'a new ID as 19 zero-padded digits with the prefix inserted after at_position of them (0 to 19); else as timeshard_next_id()';

CREATE FUNCTION timeshard_next_ids_support(internal) RETURNS internal
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_next_ids_support';
COMMENT ON FUNCTION timeshard_next_ids_support(internal) IS
'tells the planner how many rows timeshard_next_ids() returns';

CREATE FUNCTION timeshard_next_ids(count integer) RETURNS SETOF bigint
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED SUPPORT timeshard_next_ids_support AS 'MODULE_PATHNAME', 'timeshard_next_ids';
COMMENT ON FUNCTION timeshard_next_ids(integer) IS
'so many new IDs, 0 or more, rising; else as timeshard_next_id()';

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

CREATE FUNCTION timeshard_parse(id bigint, node_id_bits integer, custom_epoch bigint) RETURNS timeshard_parts
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_parse_layout';
COMMENT ON FUNCTION timeshard_parse(bigint, integer, bigint) IS
'takes an ID, 0 or more, of another layout apart: 41 bits of time since custom_epoch (ms since 1970), node_id_bits (1 to 16) of node ID, the rest of 22 sequence';

CREATE FUNCTION timeshard_parse(formatted text) RETURNS timeshard_parts
LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_parse_text';
COMMENT ON FUNCTION timeshard_parse(text) IS
'takes an ID in text apart; its prefix is recognised where the text can be no other ID, otherwise an error asks for it';

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
COMMENT ON FUNCTION timeshard_config_info() IS
'timeshard_config() for a person to read';

-- The horizon

CREATE FUNCTION timeshard_horizon_support(internal) RETURNS internal
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_horizon_support';
COMMENT ON FUNCTION timeshard_horizon_support(internal) IS
'has the planner warn of a statement that both asks for timeshard_horizon() and reads by it';

CREATE FUNCTION timeshard_horizon() RETURNS bigint
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED SUPPORT timeshard_horizon_support AS 'MODULE_PATHNAME', 'timeshard_horizon';
COMMENT ON FUNCTION timeshard_horizon() IS
'an ID below which nothing of this server can appear any more:
every ID below it is committed, aborted or will never be used by the transaction that took it;
never less than an answer before;
read up to it in a later statement, under READ COMMITTED;
an error while a transaction is open that was prepared before the server''s start or promotion;
else as timeshard_next_id()';

-- The mark and the floor

CREATE FUNCTION timeshard_raise_floor(id bigint) RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'timeshard_raise_floor';
REVOKE ALL ON FUNCTION timeshard_raise_floor(bigint) FROM PUBLIC;
COMMENT ON FUNCTION timeshard_raise_floor(bigint) IS
'makes every later ID of this server larger than the given one, durably;
for data restored from elsewhere, or a damaged mark;
an error for an ID more than a day ahead of the clock;
a null raises nothing, with a warning';

CREATE FUNCTION timeshard_accept_clock() RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'timeshard_accept_clock';
REVOKE ALL ON FUNCTION timeshard_accept_clock() FROM PUBLIC;
COMMENT ON FUNCTION timeshard_accept_clock() IS
'accepts the server''s clock as it is now, after IDs were refused because it has jumped ahead
by more than timeshard.max_clock_jump';

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
COMMENT ON FUNCTION timeshard_stats() IS
'counters of the whole server since started_at, its start or Timeshard''s first use after it:
IDs; calls that waited for the next millisecond;
calls that waited for a clock set back, and that were refused;
the largest step back in ms; writes of the mark and the slowest; the last ID;
until when IDs may be issued without another write;
how far the horizon is behind the clock (null if it cannot be told, as on a standby),
and the process ID of the session that holds it back (null if it is none, a prepared transaction, or not yours to see)';

CREATE FUNCTION timeshard_layout_change(
    OUT since_id bigint,
    OUT previous_node_id_bits integer,
    OUT previous_custom_epoch bigint
)
LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_layout_change';
COMMENT ON FUNCTION timeshard_layout_change() IS
'the last change of this server''s layout: IDs below since_id parse by the previous one, with timeshard_parse(id, previous_node_id_bits, previous_custom_epoch);
nulls if none is known: before the first ID after it, and where the mark was removed or replaced since;
an error while the mark is damaged';

-- Time

CREATE FUNCTION timeshard_time(id bigint) RETURNS timestamptz
LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_time';
COMMENT ON FUNCTION timeshard_time(bigint) IS
'when an ID, 0 or more, was made, to the millisecond, by the epoch in force';

CREATE FUNCTION timeshard_time(id bigint, custom_epoch bigint) RETURNS timestamptz
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_time_epoch';
COMMENT ON FUNCTION timeshard_time(bigint, bigint) IS
'when an ID, 0 or more, was made, to the millisecond, by the given epoch in ms since 1970';

CREATE FUNCTION timeshard_lower_bound(at timestamptz) RETURNS bigint
LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_lower_bound';
COMMENT ON FUNCTION timeshard_lower_bound(timestamptz) IS
'the smallest ID that can carry that time or later, by the epoch in force; an error for a time that no ID can carry';

CREATE FUNCTION timeshard_lower_bound(at timestamptz, custom_epoch bigint) RETURNS bigint
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_lower_bound_epoch';
COMMENT ON FUNCTION timeshard_lower_bound(timestamptz, bigint) IS
'the smallest ID that can carry that time or later, by the given epoch in ms since 1970; an error for a time that no ID can carry';

CREATE FUNCTION timeshard_last_before(at timestamptz) RETURNS bigint
LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_last_before';
COMMENT ON FUNCTION timeshard_last_before(timestamptz) IS
'the largest ID that can carry an earlier time, by the epoch in force: -1 if there is none, the largest of all past the end of time;
timeshard_between() is made of it';

-- A RETURN body that the planner inlines, so that an index on the ID serves it:
-- neither strict nor with a SET clause. Each argument stands once, or one that is
-- a subquery would not be inlined. Both ends are the last ID before a time: the
-- first ID since a time does not always exist, the last one before it does, as -1.
CREATE FUNCTION timeshard_between(id bigint, since timestamptz, until timestamptz) RETURNS boolean
LANGUAGE SQL STABLE PARALLEL SAFE
RETURN id > timeshard_last_before(since) AND id <= timeshard_last_before(until);
COMMENT ON FUNCTION timeshard_between(bigint, timestamptz, timestamptz) IS
'whether an ID was made at since or later and before until; served by an index on the ID; infinities and times outside the epoch reach to its ends';

-- Short codes

CREATE FUNCTION timeshard_encode(id bigint) RETURNS text
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_encode';
COMMENT ON FUNCTION timeshard_encode(bigint) IS
'an ID, 0 or more, as 13 characters of Crockford base32, in ID order under COLLATE "C"';

CREATE FUNCTION timeshard_decode(code text) RETURNS bigint
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_decode';
COMMENT ON FUNCTION timeshard_decode(text) IS
'the ID of a code of 13 characters in either case, I and L read as 1 and O as 0';

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

-- Here: timeshard_registry.sql

-- Who creates the extension is warned if no node ID is configured.
CREATE FUNCTION timeshard_warn_of_node_id() RETURNS void
LANGUAGE C AS 'MODULE_PATHNAME', 'timeshard_warn_of_node_id';
SELECT timeshard_warn_of_node_id();
DROP FUNCTION timeshard_warn_of_node_id();
