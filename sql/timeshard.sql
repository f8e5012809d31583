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
COMMENT ON COLUMN timeshard_parts."timestamp" IS 'the millisecond in which it was made, counted from 1970';
COMMENT ON COLUMN timeshard_parts.timestamp_offset IS 'the same counted from the epoch, 0 to 2199023255551';
COMMENT ON COLUMN timeshard_parts.datetime IS 'the same as a timestamp, exact to the millisecond';
COMMENT ON COLUMN timeshard_parts.node_id IS 'the node ID of the server that made it';
COMMENT ON COLUMN timeshard_parts.sequence IS 'its place within the millisecond, from 0';

-- Generation
--
-- Not PARALLEL SAFE: workers would make the IDs below the Gather Merge that puts their
-- rows in order, so CREATE TABLE AS ... ORDER BY would number rows out of order.

CREATE FUNCTION timeshard_next_ids_support(internal) RETURNS internal
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_next_ids_support';
COMMENT ON FUNCTION timeshard_next_ids_support(internal) IS
'tells the planner how many rows timeshard_next_ids() returns, and lets COPY insert rows in batches when it leaves a key to a function that makes an ID';

CREATE FUNCTION timeshard_next_id() RETURNS bigint
LANGUAGE C VOLATILE PARALLEL RESTRICTED SUPPORT timeshard_next_ids_support AS 'MODULE_PATHNAME', 'timeshard_next_id';
COMMENT ON FUNCTION timeshard_next_id() IS
'returns a new ID, larger than every ID that this server has returned before;
waits or fails if the clock is behind the last ID (timeshard.max_clock_wait)';

CREATE FUNCTION timeshard_next_id_with_prefix(prefix text) RETURNS text
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED SUPPORT timeshard_next_ids_support AS 'MODULE_PATHNAME', 'timeshard_next_id_with_prefix';
COMMENT ON FUNCTION timeshard_next_id_with_prefix(text) IS
'returns a new ID as text: the prefix, which may be any text, and 19 zero-padded digits; see timeshard_next_id()';

CREATE FUNCTION timeshard_prefix_at(prefix text, at_position integer) RETURNS text
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED SUPPORT timeshard_next_ids_support AS 'MODULE_PATHNAME', 'timeshard_prefix_at';
COMMENT ON FUNCTION timeshard_prefix_at(text, integer) IS
'returns a new ID as 19 zero-padded digits with the prefix inserted after at_position of them (0 to 19); see timeshard_next_id()';

-- The stable twins of the functions above, which take their place in the defaults that
-- COPY FROM evaluates. No SQL can call them: nothing gives a value of type internal.

CREATE FUNCTION timeshard_in_copy_support(internal) RETURNS internal
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_in_copy_support';
COMMENT ON FUNCTION timeshard_in_copy_support(internal) IS
'keeps the planner from evaluating a call twice for one row of COPY';

CREATE FUNCTION timeshard_next_id_in_copy(internal) RETURNS bigint
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED SUPPORT timeshard_in_copy_support AS 'MODULE_PATHNAME', 'timeshard_next_id';
COMMENT ON FUNCTION timeshard_next_id_in_copy(internal) IS
'stands for timeshard_next_id() in a default that COPY FROM evaluates';

CREATE FUNCTION timeshard_next_id_with_prefix_in_copy(text, internal) RETURNS text
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED SUPPORT timeshard_in_copy_support AS 'MODULE_PATHNAME', 'timeshard_next_id_with_prefix';
COMMENT ON FUNCTION timeshard_next_id_with_prefix_in_copy(text, internal) IS
'stands for timeshard_next_id_with_prefix() in a default that COPY FROM evaluates';

CREATE FUNCTION timeshard_prefix_at_in_copy(text, integer, internal) RETURNS text
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED SUPPORT timeshard_in_copy_support AS 'MODULE_PATHNAME', 'timeshard_prefix_at';
COMMENT ON FUNCTION timeshard_prefix_at_in_copy(text, integer, internal) IS
'stands for timeshard_prefix_at() in a default that COPY FROM evaluates';

CREATE FUNCTION timeshard_next_ids(count integer) RETURNS SETOF bigint
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED SUPPORT timeshard_next_ids_support AS 'MODULE_PATHNAME', 'timeshard_next_ids';
COMMENT ON FUNCTION timeshard_next_ids(integer) IS
'returns count new IDs (0 or more) in ascending order; see timeshard_next_id()';

-- Text

CREATE FUNCTION timeshard_format(id bigint, prefix text, at_position integer DEFAULT 0) RETURNS text
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_format';
COMMENT ON FUNCTION timeshard_format(bigint, text, integer) IS
'returns an ID (0 or more) as 19 zero-padded digits with the prefix inserted after at_position of them (0 to 19)';

-- Parsing

CREATE FUNCTION timeshard_parse(id bigint) RETURNS timeshard_parts
LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_parse';
COMMENT ON FUNCTION timeshard_parse(bigint) IS
'takes an ID (0 or more) apart, by the layout and epoch in force';

CREATE FUNCTION timeshard_parse(id bigint, node_id_bits integer, custom_epoch bigint) RETURNS timeshard_parts
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_parse_layout';
COMMENT ON FUNCTION timeshard_parse(bigint, integer, bigint) IS
'takes an ID (0 or more) of another layout apart: 41 bits of time since custom_epoch (ms since 1970), node_id_bits (1 to 16) of node ID, and the rest of 22 bits as the sequence';

CREATE FUNCTION timeshard_parse(formatted text) RETURNS timeshard_parts
LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_parse_text';
COMMENT ON FUNCTION timeshard_parse(text) IS
'takes an ID in text apart; recognises its prefix if the text can be no other ID, otherwise fails and asks for the prefix';

CREATE FUNCTION timeshard_parse(formatted text, prefix text) RETURNS timeshard_parts
LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_parse_text_prefix';
COMMENT ON FUNCTION timeshard_parse(text, text) IS
'takes an ID in text apart, given its prefix, wherever in the text the prefix is';

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
'what is in force since the server started;
node_id_source is configuration, environment, address (members of pg_monitor see which one), registry (claimed; node_id is null while no claim is held) or none (node_id is null);
pending_restart is true if the settings have changed since';

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
'timeshard_config() as text for people';

-- The horizon

CREATE FUNCTION timeshard_horizon_support(internal) RETURNS internal
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_horizon_support';
COMMENT ON FUNCTION timeshard_horizon_support(internal) IS
'lets the planner warn of a statement that asks for timeshard_horizon() and also reads a table';

CREATE FUNCTION timeshard_horizon() RETURNS bigint
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED SUPPORT timeshard_horizon_support AS 'MODULE_PATHNAME', 'timeshard_horizon';
COMMENT ON FUNCTION timeshard_horizon() IS
'returns an ID below which no new row of this server appears, provided each ID is inserted by the transaction that took it;
never falls;
read up to it in a later statement, under READ COMMITTED;
fails while a transaction is open that was prepared before the server''s start or promotion; otherwise see timeshard_next_id()';

-- The mark and the floor

CREATE FUNCTION timeshard_raise_floor(id bigint) RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'timeshard_raise_floor';
REVOKE ALL ON FUNCTION timeshard_raise_floor(bigint) FROM PUBLIC;
COMMENT ON FUNCTION timeshard_raise_floor(bigint) IS
'makes every later ID of this server larger than the given one, durably;
for data restored from elsewhere, or a damaged mark;
an error for an ID more than a day ahead of the clock;
a null raises nothing and gives a warning';

CREATE FUNCTION timeshard_accept_clock() RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'timeshard_accept_clock';
REVOKE ALL ON FUNCTION timeshard_accept_clock() FROM PUBLIC;
COMMENT ON FUNCTION timeshard_accept_clock() IS
'accepts the server''s clock as it is now, after IDs were refused because it jumped ahead by more than timeshard.max_clock_jump';

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
'counters of the whole server since started_at, which is its start or Timeshard''s first use after it:
ids_issued;
sequence_waits, calls that waited for the next millisecond;
clock_waits and clock_refusals, calls that waited for a clock that was set back, or were refused;
largest_step_ms, its largest step back;
mark_extensions and slowest_extension, writes of the mark;
last_id and last_id_at;
reserved_until, until when IDs may be issued without another write;
horizon_lag, how far the horizon is behind the clock (null if it cannot be known, as on a standby);
horizon_holder, the process ID of the session that holds it back (null if none does, if it is a prepared transaction, or if you may not see it)';

CREATE FUNCTION timeshard_layout_change(
    OUT since_id bigint,
    OUT previous_node_id_bits integer,
    OUT previous_custom_epoch bigint
)
LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_layout_change';
COMMENT ON FUNCTION timeshard_layout_change() IS
'the last change of this server''s layout: parse IDs below since_id with timeshard_parse(id, previous_node_id_bits, previous_custom_epoch);
null if none is known: before the first ID after the change, or if the mark was removed or replaced since;
an error while the mark is damaged';

-- Time

CREATE FUNCTION timeshard_time(id bigint) RETURNS timestamptz
LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_time';
COMMENT ON FUNCTION timeshard_time(bigint) IS
'returns when an ID (0 or more) was made, to the millisecond, by the epoch in force';

CREATE FUNCTION timeshard_time(id bigint, custom_epoch bigint) RETURNS timestamptz
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_time_epoch';
COMMENT ON FUNCTION timeshard_time(bigint, bigint) IS
'returns when an ID (0 or more) was made, to the millisecond, by the given epoch in ms since 1970';

CREATE FUNCTION timeshard_lower_bound(at timestamptz) RETURNS bigint
LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_lower_bound';
COMMENT ON FUNCTION timeshard_lower_bound(timestamptz) IS
'returns the smallest ID that can carry that time or a later one, by the epoch in force; fails for a time that no ID can carry';

CREATE FUNCTION timeshard_lower_bound(at timestamptz, custom_epoch bigint) RETURNS bigint
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_lower_bound_epoch';
COMMENT ON FUNCTION timeshard_lower_bound(timestamptz, bigint) IS
'returns the smallest ID that can carry that time or a later one, by the given epoch in ms since 1970; fails for a time that no ID can carry';

CREATE FUNCTION timeshard_last_before(at timestamptz) RETURNS bigint
LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_last_before';
COMMENT ON FUNCTION timeshard_last_before(timestamptz) IS
'returns the largest ID that can carry an earlier time, by the epoch in force: -1 if there is none, the largest ID of all past the end of time;
used by timeshard_between()';

-- A RETURN body that the planner inlines, so that an index on the ID serves it:
-- neither strict nor with a SET clause. Each argument stands once, or one that is
-- a subquery would not be inlined. Both ends are the last ID before a time: the
-- first ID since a time does not always exist, the last one before it does, as -1.
CREATE FUNCTION timeshard_between(id bigint, since timestamptz, until timestamptz) RETURNS boolean
LANGUAGE SQL STABLE PARALLEL SAFE
RETURN id > timeshard_last_before(since) AND id <= timeshard_last_before(until);
COMMENT ON FUNCTION timeshard_between(bigint, timestamptz, timestamptz) IS
'tells whether an ID was made at since or later, and before until; an index on the ID serves it;
infinities and times outside the epoch extend to its ends';

-- Short codes

CREATE FUNCTION timeshard_encode(id bigint) RETURNS text
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_encode';
COMMENT ON FUNCTION timeshard_encode(bigint) IS
'returns an ID (0 or more) as 13 characters of Crockford base32, in ID order under COLLATE "C"';

CREATE FUNCTION timeshard_decode(code text) RETURNS bigint
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_decode';
COMMENT ON FUNCTION timeshard_decode(text) IS
'returns the ID of a code of 13 characters, in either case; I and L are read as 1, and O as 0';

-- Typed keys

CREATE FUNCTION timeshard_create_type(name text, prefix text, style text DEFAULT 'digits') RETURNS regtype
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'timeshard_create_type';
REVOKE ALL ON FUNCTION timeshard_create_type(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION timeshard_create_type(text, text, text) IS
'creates a type of keys, and returns it: an ID in 8 bytes, shown as the prefix and 19 digits, or with the style "code" as the prefix and 13 characters;
the name may have a schema, in which the caller must have the right to create;
the prefix has 1 to 32 ASCII letters, digits or _-.: and starts with a letter and does not end with a digit;
the type belongs to the caller, its functions and operators to the superuser';

CREATE FUNCTION timeshard_drop_type(type regtype) RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'timeshard_drop_type';
COMMENT ON FUNCTION timeshard_drop_type(regtype) IS
'drops a type that timeshard_create_type() has created, with its functions, operators and casts, for its owner;
an error while anything else, such as a column, depends on it';

CREATE VIEW timeshard_types AS
SELECT t.oid::pg_catalog.regtype AS type,
    i.proargnames[1] AS prefix,
    CASE o.prosrc WHEN 'timeshard_key_out_code' THEN 'code' ELSE 'digits' END AS style
FROM pg_catalog.pg_type AS t
JOIN pg_catalog.pg_proc AS i ON i.oid = t.typinput
JOIN pg_catalog.pg_proc AS o ON o.oid = t.typoutput
JOIN pg_catalog.pg_language AS l ON l.oid = i.prolang
WHERE i.prosrc = 'timeshard_key_in' AND l.lanname = 'c';
GRANT SELECT ON timeshard_types TO PUBLIC;
COMMENT ON VIEW timeshard_types IS 'the types of keys that timeshard_create_type() has created in this database';
COMMENT ON COLUMN timeshard_types.type IS 'the type';
COMMENT ON COLUMN timeshard_types.prefix IS 'what its keys begin with';
COMMENT ON COLUMN timeshard_types.style IS 'how it shows them: digits or code';

-- Public codes

-- Not for PUBLIC: the key is the server's, so a role of any database could seal and open
-- the IDs of all others.
CREATE FUNCTION timeshard_seal(id bigint, purpose text DEFAULT '') RETURNS text
LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_seal';
REVOKE ALL ON FUNCTION timeshard_seal(bigint, text) FROM PUBLIC;
COMMENT ON FUNCTION timeshard_seal(bigint, text) IS
'an ID, 0 or more, as a public code: 13 characters that tell nothing about the ID without the key;
each purpose, such as the name of a table, has other codes;
sealed with the first key of the file that timeshard.seal_key_file names';

CREATE FUNCTION timeshard_open(code text, purpose text DEFAULT '') RETURNS bigint
LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_open';
REVOKE ALL ON FUNCTION timeshard_open(text, text) FROM PUBLIC;
COMMENT ON FUNCTION timeshard_open(text, text) IS
'the ID of a public code, in either case, that was sealed for the same purpose with a key still in the file;
an error if it is not 13 such characters or its key is not in the file;
any other code, and another purpose, gives some ID: look whether the row exists';

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
        WITH RECURSIVE bases AS (
            SELECT 'int8'::regtype::oid AS base, NULL::regproc AS send, true AS usable
            UNION ALL
            SELECT t.oid, t.typsend, has_schema_privilege(t.typnamespace, 'USAGE') AND has_schema_privilege(i.pronamespace, 'USAGE')
            FROM pg_type AS t
            JOIN pg_proc AS i ON i.oid = t.typinput AND i.prosrc = 'timeshard_key_in'
            JOIN pg_language AS l ON l.oid = i.prolang AND l.lanname = 'c'
        ), ids AS (
            SELECT base, base AS type FROM bases
            UNION ALL
            SELECT b.base, t.oid FROM ids AS b JOIN pg_type AS t ON t.typbasetype = b.type AND t.typtype = 'd'
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
            SELECT c.oid, c.relname, c.relnamespace, c.relkind, c.relispartition, a.attname, a.attnum, b.base
            FROM keys AS k
            JOIN pg_class AS c ON c.oid = k.relid AND c.relkind IN ('r', 'p')
            JOIN pg_attribute AS a ON a.attrelid = k.relid AND a.attnum = k.attnum
            JOIN ids AS b ON b.type = a.atttypid
        )
        SELECT n.nspname, c.relname, c.oid, c.relkind, c.attname, b.base::regtype, b.send,
            CASE
                WHEN pg_is_other_temp_schema(n.oid) THEN 'not read: a temporary table of another session'
                WHEN NOT (b.usable AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'))
                    THEN 'not read: permission denied'
                WHEN row_security_active(c.oid) THEN 'not read: row-level security hides rows'
            END AS obstacle
        FROM columns AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        JOIN bases AS b ON b.base = c.base
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
            IF found.send IS NULL THEN
                EXECUTE format('SELECT %1$I FROM %2$s WHERE %1$I >= 0 AND %1$I <= $1 ORDER BY %1$I DESC LIMIT 1', key_column, source)
                    INTO largest USING latest;
                EXECUTE format('SELECT count(*) FROM (SELECT FROM %2$s WHERE %1$I > $1 ORDER BY %1$I LIMIT $2) AS s', key_column, source)
                    INTO ahead USING latest, many;
            ELSE
                -- Of a typed key, by what only a superuser can replace: its order, and the function that
                -- sends it. The owner of its type can replace its casts, the owner of the schema its operators.
                EXECUTE format('SELECT max(v) FILTER (WHERE v BETWEEN 0 AND $1), count(*) FILTER (WHERE v > $1) FROM (
                        SELECT (''x'' || encode(%1$s(CAST(%2$I AS %3$s)), ''hex''))::bit(64)::int8 AS v
                        FROM %4$s WHERE %2$I IS NOT NULL ORDER BY %2$I DESC LIMIT $2) AS s', found.send, key_column, found.base, source)
                    INTO largest, ahead USING latest, many;
            END IF;
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
            HINT = 'Look at the rows with a note. See "The largest IDs of a database" in timeshard/doc/operations.md below pg_config --docdir.';
    END IF;
END
$body$;
COMMENT ON FUNCTION timeshard_largest_between(bigint, bigint, regprocedure) IS
'returns the largest value up to latest in each column that timeshard_largest_ids() reads;
present is the last ID before now, maker is timeshard_next_id();
used by timeshard_largest_ids()';

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
'returns the largest ID and its time in each column of this database of type bigint, of a typed key or of a domain over one that leads a unique index or has timeshard_next_id() as its default;
give their maximum to timeshard_raise_floor() after a restore;
values below 0 and over a day ahead of the clock are left out;
a note and a warning name tables that cannot be read and values that are ahead of the clock';

-- Here: timeshard_partitions.sql

-- Here: timeshard_registry.sql

-- Warn whoever creates the extension if no node ID is configured.
CREATE FUNCTION timeshard_warn_of_node_id() RETURNS void
LANGUAGE C AS 'MODULE_PATHNAME', 'timeshard_warn_of_node_id';
SELECT timeshard_warn_of_node_id();
DROP FUNCTION timeshard_warn_of_node_id();
