\echo Use "ALTER EXTENSION timeshard UPDATE TO '1.4.0'" to load this file. \quit

-- Only words have changed: a hint, and comments.

CREATE OR REPLACE FUNCTION timeshard_largest_between(
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
            HINT = 'Look at the rows with a note. See "The largest IDs of a database" in timeshard/doc/operations.md below pg_config --docdir.';
    END IF;
END
$body$;

COMMENT ON COLUMN timeshard_parts."timestamp" IS 'the millisecond in which it was made, counted from 1970';

COMMENT ON COLUMN timeshard_parts.timestamp_offset IS 'the same counted from the epoch, 0 to 2199023255551';

COMMENT ON COLUMN timeshard_parts.datetime IS 'the same as a timestamp, exact to the millisecond';

COMMENT ON FUNCTION timeshard_next_id() IS
'returns a new ID, larger than every ID that this server has returned before;
waits or fails if the clock is behind the last ID (timeshard.max_clock_wait)';

COMMENT ON FUNCTION timeshard_next_id_with_prefix(text) IS
'returns a new ID as text: the prefix, which may be any text, and 19 zero-padded digits; see timeshard_next_id()';

COMMENT ON FUNCTION timeshard_prefix_at(text, integer) IS
'returns a new ID as 19 zero-padded digits with the prefix inserted after at_position of them (0 to 19); see timeshard_next_id()';

COMMENT ON FUNCTION timeshard_next_ids(integer) IS
'returns count new IDs (0 or more) in ascending order; see timeshard_next_id()';

COMMENT ON FUNCTION timeshard_format(bigint, text, integer) IS
'returns an ID (0 or more) as 19 zero-padded digits with the prefix inserted after at_position of them (0 to 19)';

COMMENT ON FUNCTION timeshard_parse(bigint) IS
'takes an ID (0 or more) apart, by the layout and epoch in force';

COMMENT ON FUNCTION timeshard_parse(bigint, integer, bigint) IS
'takes an ID (0 or more) of another layout apart: 41 bits of time since custom_epoch (ms since 1970), node_id_bits (1 to 16) of node ID, and the rest of 22 bits as the sequence';

COMMENT ON FUNCTION timeshard_parse(text) IS
'takes an ID in text apart; recognises its prefix if the text can be no other ID, otherwise fails and asks for the prefix';

COMMENT ON FUNCTION timeshard_parse(text, text) IS
'takes an ID in text apart, given its prefix, wherever in the text the prefix is';

COMMENT ON FUNCTION timeshard_config() IS
'what is in force since the server started;
node_id_source is configuration, environment, address (members of pg_monitor see which one) or none (node_id is null);
pending_restart is true if the settings have changed since';

COMMENT ON FUNCTION timeshard_config_info() IS
'timeshard_config() as text for people';

COMMENT ON FUNCTION timeshard_horizon_support(internal) IS
'lets the planner warn of a statement that asks for timeshard_horizon() and also reads a table';

COMMENT ON FUNCTION timeshard_horizon() IS
'returns an ID below which no new row of this server appears, provided each ID is inserted by the transaction that took it;
never falls;
read up to it in a later statement, under READ COMMITTED;
fails while a transaction is open that was prepared before the server''s start or promotion; otherwise see timeshard_next_id()';

COMMENT ON FUNCTION timeshard_raise_floor(bigint) IS
'makes every later ID of this server larger than the given one, durably;
for data restored from elsewhere, or a damaged mark;
an error for an ID more than a day ahead of the clock;
a null raises nothing and gives a warning';

COMMENT ON FUNCTION timeshard_accept_clock() IS
'accepts the server''s clock as it is now, after IDs were refused because it jumped ahead by more than timeshard.max_clock_jump';

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

COMMENT ON FUNCTION timeshard_layout_change() IS
'the last change of this server''s layout: parse IDs below since_id with timeshard_parse(id, previous_node_id_bits, previous_custom_epoch);
null if none is known: before the first ID after the change, or if the mark was removed or replaced since;
an error while the mark is damaged';

COMMENT ON FUNCTION timeshard_time(bigint) IS
'returns when an ID (0 or more) was made, to the millisecond, by the epoch in force';

COMMENT ON FUNCTION timeshard_time(bigint, bigint) IS
'returns when an ID (0 or more) was made, to the millisecond, by the given epoch in ms since 1970';

COMMENT ON FUNCTION timeshard_lower_bound(timestamptz) IS
'returns the smallest ID that can carry that time or a later one, by the epoch in force; fails for a time that no ID can carry';

COMMENT ON FUNCTION timeshard_lower_bound(timestamptz, bigint) IS
'returns the smallest ID that can carry that time or a later one, by the given epoch in ms since 1970; fails for a time that no ID can carry';

COMMENT ON FUNCTION timeshard_last_before(timestamptz) IS
'returns the largest ID that can carry an earlier time, by the epoch in force: -1 if there is none, the largest ID of all past the end of time;
used by timeshard_between()';

COMMENT ON FUNCTION timeshard_between(bigint, timestamptz, timestamptz) IS
'tells whether an ID was made at since or later, and before until; an index on the ID serves it;
infinities and times outside the epoch extend to its ends';

COMMENT ON FUNCTION timeshard_encode(bigint) IS
'returns an ID (0 or more) as 13 characters of Crockford base32, in ID order under COLLATE "C"';

COMMENT ON FUNCTION timeshard_decode(text) IS
'returns the ID of a code of 13 characters, in either case; I and L are read as 1, and O as 0';

COMMENT ON FUNCTION timeshard_largest_between(bigint, bigint, regprocedure) IS
'returns the largest value up to latest in each column that timeshard_largest_ids() reads;
present is the last ID before now, maker is timeshard_next_id();
used by timeshard_largest_ids()';

COMMENT ON FUNCTION timeshard_largest_ids() IS
'returns the largest ID and its time in each bigint column (or domain over bigint) of this database that leads a unique index or has timeshard_next_id() as its default;
give their maximum to timeshard_raise_floor() after a restore;
values below 0 and over a day ahead of the clock are left out;
a note and a warning name tables that cannot be read and values that are ahead of the clock';
