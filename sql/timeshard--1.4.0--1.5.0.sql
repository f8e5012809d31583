\echo Use "ALTER EXTENSION timeshard UPDATE TO '1.5.0'" to load this file. \quit

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

-- What the database already holds

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

COMMENT ON FUNCTION timeshard_largest_ids() IS
'returns the largest ID and its time in each column of this database of type bigint, of a typed key or of a domain over one that leads a unique index or has timeshard_next_id() as its default;
give their maximum to timeshard_raise_floor() after a restore;
values below 0 and over a day ahead of the clock are left out;
a note and a warning name tables that cannot be read and values that are ahead of the clock';
