\echo Use "ALTER EXTENSION timeshard UPDATE TO '1.8.0'" to load this file. \quit

-- Partitions by ID
--
-- The bodies' search_path makes all names PostgreSQL's own. The extension's functions, which
-- can be in any schema, are called by the name of that schema. Of a typed key, only code that a
-- superuser owns is called: its input and send functions, not its casts.

CREATE FUNCTION timeshard_partitions(
    partitioned regclass,
    OUT partition regclass,
    OUT first_id bigint,
    OUT end_id bigint
)
RETURNS SETOF record
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET standard_conforming_strings = on
AS $body$
DECLARE
    parent record;
BEGIN
    SELECT c.relname, pg_get_partkeydef(c.oid) AS key, format_type(a.atttypid, a.atttypmod) AS type, b.typinput, b.typsend INTO parent
    FROM pg_class AS c
    LEFT JOIN pg_partitioned_table AS p ON p.partrelid = c.oid
    LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0] AND p.partnatts = 1
    LEFT JOIN LATERAL (
        WITH RECURSIVE bases AS (
            SELECT a.atttypid AS base
            UNION ALL
            SELECT t.typbasetype FROM bases JOIN pg_type AS t ON t.oid = base AND t.typtype = 'd'
        )
        SELECT t.typinput, t.typsend
        FROM bases
        JOIN pg_type AS t ON t.oid = base
        JOIN pg_proc AS i ON i.oid = t.typinput
        JOIN pg_language AS l ON l.oid = i.prolang
        WHERE p.partstrat = 'r' AND (t.oid = 'int8'::regtype OR i.prosrc = 'timeshard_key_in' AND l.lanname = 'c')
    ) AS b ON true
    WHERE c.oid = partitioned;

    IF parent.key IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'wrong_object_type',
            MESSAGE = format('table "%s" is not partitioned', coalesce(parent.relname, partitioned::text)),
            HINT = 'Create it with PARTITION BY RANGE of its ID.';
    ELSIF parent.typsend IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'wrong_object_type',
            MESSAGE = format('table "%s" is not partitioned by range of an ID', parent.relname),
            DETAIL = format('Its partition key is %s%s.', parent.key, ', of type ' || parent.type),
            HINT = 'The key must be one column, of type bigint or of a typed key.';
    END IF;

    RETURN QUERY EXECUTE format('
        SELECT c.oid::regclass,
            (''x'' || encode(%1$s(%2$s(textout(b.ends[1]))), ''hex''))::bit(64)::int8,
            (''x'' || encode(%1$s(%2$s(textout(b.ends[2]))), ''hex''))::bit(64)::int8
        FROM pg_inherits AS i
        JOIN pg_class AS c ON c.oid = i.inhrelid
        -- Null for MINVALUE and MAXVALUE. The default partition has no bounds.
        CROSS JOIN regexp_match(pg_get_expr(c.relpartbound, c.oid),
            ''FROM \((?:''''(.*)''''|MINVALUE)\) TO \((?:''''(.*)''''|MAXVALUE)\)'') AS b (ends)
        WHERE i.inhparent = $1 AND b.ends IS NOT NULL
        ORDER BY 2 NULLS FIRST', parent.typsend, parent.typinput)
        USING partitioned;
END
$body$;
COMMENT ON FUNCTION timeshard_partitions(regclass) IS
'returns the partitions of a table that is partitioned by range of an ID, in order: their first ID and the first ID past their end;
null where a partition has no such bound; without the default partition';

CREATE FUNCTION timeshard_partition_plan(
    partitioned regclass,
    width interval,
    ahead integer DEFAULT 3,
    keep interval DEFAULT NULL,
    at timestamptz DEFAULT now(),
    OUT action text,
    OUT partition text,
    OUT since timestamptz,
    OUT until timestamptz,
    OUT command text
)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $body$
DECLARE
    ours CONSTANT text := (SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'timeshard');
    disagreement CONSTANT interval := '1 hour'; -- how far other servers' clocks may be behind
    months CONSTANT integer := extract(year FROM width) * 12 + extract(month FROM width);
    hours CONSTANT numeric := extract(epoch FROM width - make_interval(months => months)) / 3600;
    suffix CONSTANT text := CASE WHEN months > 0 AND months % 12 = 0 THEN 'YYYY' WHEN months > 0 THEN 'YYYY_MM'
        WHEN hours % 24 = 0 THEN 'YYYY_MM_DD' ELSE 'YYYY_MM_DD_HH24' END;
    step interval;
    starts timestamptz[]; -- of the periods that hold the time an hour ago, and the time now
    parent record;
    gap record;
    name text;
    other record;
BEGIN
    IF partitioned IS NULL OR width IS NULL OR ahead IS NULL OR at IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
            MESSAGE = 'partitioned, width, ahead and at must not be null';
    ELSIF NOT isfinite(at) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('at must not be %s', at);
    ELSIF NOT (months > 0 AND hours = 0 OR months = 0 AND hours > 0 AND hours = trunc(hours)) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'width must be a number of whole months or of whole hours',
            DETAIL = format('It is "%s".', width),
            HINT = 'Such as ''1 day'', ''1 week'', ''1 month'' or ''1 year''.';
    ELSIF ahead NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'ahead must be between 1 and 1000',
            DETAIL = format('It is %s.', ahead);
    ELSIF keep < disagreement THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'keep must be at least 1 hour',
            DETAIL = format('It is "%s".', keep),
            HINT = 'Without it, nothing is dropped.';
    END IF;

    -- Months count from year 0, hours from a Monday.
    step := make_interval(months => months, hours => hours::integer);
    SELECT array_agg(CASE WHEN months = 0 THEN date_bin(step, t, '2001-01-01')
            ELSE make_date((m - m % nullif(months, 0)) / 12, (m - m % nullif(months, 0)) % 12 + 1, 1) END ORDER BY t) INTO starts
    FROM unnest(ARRAY[at - disagreement, at]) AS t
    CROSS JOIN LATERAL CAST(extract(year FROM t) * 12 + extract(month FROM t) - 1 AS integer) AS m;

    SELECT c.relname, n.nspname, coalesce(' TABLESPACE ' || quote_ident(t.spcname), '') AS place,
        (SELECT s.relname FROM pg_inherits AS i JOIN pg_class AS s ON s.oid = i.inhrelid
         WHERE i.inhparent = c.oid AND s.relkind = 'p' LIMIT 1) AS subpartitioned INTO parent
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN pg_tablespace AS t ON t.oid = c.reltablespace
    WHERE c.oid = partitioned;
    IF parent.subpartitioned IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'wrong_object_type',
            MESSAGE = format('partition "%s" of table "%s" is partitioned itself', parent.subpartitioned, parent.relname),
            HINT = 'Make and drop its like by hand.';
    END IF;

    action := 'make';
    FOR gap IN EXECUTE format('
        SELECT lower(ids) AS first_id, upper(ids) AS end_id, lower(ids) = p.first_id AS begins, p.since,
            %1$s.timeshard_time(lower(ids)) AS first_at, %1$s.timeshard_time(upper(ids)) AS end_at
        FROM (
            SELECT s AS since, %1$s.timeshard_last_before(s) + 1 AS first_id, %1$s.timeshard_lower_bound(s + $4) AS end_id
            FROM generate_series($2, $3, $4) AS s
        ) AS p
        CROSS JOIN unnest(int8multirange(int8range(p.first_id, p.end_id)) - (
            SELECT coalesce(range_agg(int8range(first_id, end_id)), ''{}'') FROM %1$s.timeshard_partitions($1)
        )) AS ids
        ORDER BY 1', ours)
        USING partitioned, starts[1], starts[2] + ahead * step, step
    LOOP
        name := parent.relname || '_' || CASE WHEN gap.begins THEN to_char(gap.since, suffix)
            ELSE to_char(gap.first_at, 'YYYY_MM_DD_HH24_MI_SS') END;
        IF name <> name::name THEN
            RAISE EXCEPTION USING ERRCODE = 'name_too_long',
                MESSAGE = format('the name of table "%s" is too long for partitions', parent.relname),
                DETAIL = format('"%s" would be longer than a name can be.', name),
                HINT = 'Rename the table.';
        END IF;
        partition := format('%I.%I', parent.nspname, name);
        since := gap.first_at;
        until := gap.end_at;
        -- ATTACH lets others read and write the table, which CREATE TABLE ... PARTITION OF does not.
        command := format('CREATE TABLE %1$s (LIKE %2$s INCLUDING ALL EXCLUDING INDEXES EXCLUDING IDENTITY)%3$s; '
            'ALTER TABLE %2$s ATTACH PARTITION %1$s FOR VALUES FROM (%4$s::bigint) TO (%5$s::bigint)',
            partition, partitioned, parent.place, gap.first_id, gap.end_id);
        RETURN NEXT;
    END LOOP;

    IF keep IS NULL THEN
        RETURN;
    END IF;

    -- Names tell the time of partitions made here. Where their IDs tell another time, the epoch is not what it was.
    EXECUTE format('
        SELECT p.partition, t.first_at
        FROM %1$s.timeshard_partitions($1) AS p
        JOIN pg_class AS c ON c.oid = p.partition
        CROSS JOIN LATERAL (SELECT substr(c.relname, length($2) + 2) AS suffix, %1$s.timeshard_time(greatest(p.first_id, 0)) AS first_at) AS t
        WHERE p.first_id IS NOT NULL AND starts_with(c.relname, $2 || ''_'') AND t.suffix ~ ''^[0-9]{4}(_[0-9]{2}){0,5}$''
        AND t.suffix COLLATE "C" NOT BETWEEN left(to_char(t.first_at - interval ''1 day'', $3), length(t.suffix))
            AND left(to_char(t.first_at + interval ''1 day'', $3), length(t.suffix))
        LIMIT 1', ours)
        INTO other USING partitioned, parent.relname, 'YYYY_MM_DD_HH24_MI_SS';
    IF other.partition IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('partition %s is not of the time in its name', other.partition),
            DETAIL = format('By this server''s epoch its first ID is of %s.', other.first_at),
            HINT = 'Set timeshard.custom_epoch to what it was when the partition was made. If it is the same, rename the partition.';
    END IF;

    action := 'drop';
    FOR partition, since, until IN EXECUTE format('
        SELECT p.partition, %1$s.timeshard_time(CASE WHEN p.first_id >= 0 THEN p.first_id END),
            %1$s.timeshard_time(CASE WHEN p.end_id >= 0 THEN p.end_id END)
        FROM %1$s.timeshard_partitions($1) AS p
        JOIN pg_class AS c ON c.oid = p.partition
        WHERE p.end_id <= %1$s.timeshard_last_before($2) + 1 AND c.relkind = ''r''', ours)
        USING partitioned, at - keep
    LOOP
        command := format('ALTER TABLE %s DETACH PARTITION %s; DROP TABLE %2$s', partitioned, partition);
        RETURN NEXT;
    END LOOP;
END
$body$;
COMMENT ON FUNCTION timeshard_partition_plan(regclass, interval, integer, interval, timestamptz) IS
'returns what timeshard_maintain_partitions() would do at a time, in order, with the commands';

-- No procedure with a SET clause can commit, so each transaction begins with its settings.
CREATE PROCEDURE timeshard_maintain_partitions(
    partitioned regclass,
    width interval,
    ahead integer DEFAULT 3,
    keep interval DEFAULT NULL,
    lock_timeout interval DEFAULT '2 s'
)
LANGUAGE plpgsql
AS $body$
DECLARE
    at CONSTANT pg_catalog.timestamptz := pg_catalog.clock_timestamp();
    ours pg_catalog.text;
    parent record;
    step record;
    tried pg_catalog.text[] := '{}';
    cause pg_catalog.text;
    advice pg_catalog.text;
    failures pg_catalog.text;
    state pg_catalog.text;
    hint pg_catalog.text := 'Call it again when the cause is gone.';
BEGIN
    -- Where no procedure can commit, as in a transaction block, it fails here.
    COMMIT;
    LOOP
        PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
        IF lock_timeout IS NULL OR lock_timeout NOT BETWEEN '1 ms' AND '1 day' THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                MESSAGE = 'lock_timeout must be between 1 ms and 1 day',
                DETAIL = format('It is %s.', coalesce('"' || lock_timeout || '"', 'null'));
        END IF;
        PERFORM set_config('lock_timeout', floor(1000 * extract(epoch FROM lock_timeout))::text, true);
        SELECT c.relname, r.rolname AS owner, r.rolsuper AS superusers, d.oid::regclass AS rest, a.attname AS key INTO parent
        FROM pg_class AS c
        JOIN pg_roles AS r ON r.oid = c.relowner
        LEFT JOIN pg_partitioned_table AS p ON p.partrelid = c.oid
        LEFT JOIN pg_class AS d ON d.oid = p.partdefid
        LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0]
        WHERE c.oid = partitioned;
        IF parent.owner IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'undefined_table',
                MESSAGE = format('table "%s" does not exist', coalesce(partitioned::text, 'null'));
        ELSIF NOT pg_has_role(parent.owner, 'MEMBER') THEN
            RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
                MESSAGE = format('must be owner of table %s', parent.relname);
        ELSIF parent.owner <> session_user AND NOT parent.superusers THEN
            -- What belongs to the table, such as the function of a CHECK, can run as the session's role.
            RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
                MESSAGE = format('role "%s" must not maintain partitions of table "%s" of role "%s"', session_user, parent.relname, parent.owner),
                DETAIL = 'Code of the table''s owner would run with your rights.',
                HINT = format('Connect as role "%s".', parent.owner);
        END IF;
        -- Partitions belong to the table's owner, whoever calls.
        PERFORM set_config('role', parent.owner, true);
        BEGIN
            EXECUTE format('LOCK TABLE ONLY %s IN SHARE UPDATE EXCLUSIVE MODE', partitioned);
        EXCEPTION WHEN lock_not_available THEN
            RAISE WARNING USING ERRCODE = SQLSTATE,
                MESSAGE = format('could not maintain partitions of table "%s" now', parent.relname),
                DETAIL = 'Another session maintains, analyzes or changes it.', HINT = 'The next call tries again.';
            EXIT;
        END;

        -- Asked anew each time: others may have changed something between two transactions.
        SELECT extnamespace::regnamespace INTO ours FROM pg_extension WHERE extname = 'timeshard';
        EXECUTE format('SELECT * FROM %s.timeshard_partition_plan($1, $2, $3, $4, $5) WHERE command <> ALL ($6) LIMIT 1', ours)
            INTO step USING partitioned, width, ahead, keep, at, tried;
        EXIT WHEN step.partition IS NULL;
        tried := tried || step.command;
        IF step.action = 'drop' THEN
            -- Go by no clock by which this server would make no ID, such as one that jumped ahead.
            EXECUTE format('SELECT %s.timeshard_next_id()', ours);
        END IF;
        BEGIN
            EXECUTE step.command;
            RAISE NOTICE USING MESSAGE = format('%s partition %s, %s to %s UTC',
                CASE step.action WHEN 'make' THEN 'made' ELSE 'dropped' END, step.partition,
                coalesce(to_char(step.since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), 'the beginning'),
                coalesce(to_char(step.until AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), 'the epoch'));
        EXCEPTION
            WHEN lock_not_available OR deadlock_detected THEN
                RAISE WARNING USING ERRCODE = SQLSTATE,
                    MESSAGE = format('could not %s partition %s now', step.action, step.partition),
                    DETAIL = SQLERRM, HINT = 'The next call tries again.';
                EXIT; -- the others would hold up other sessions for as long, each
            WHEN OTHERS THEN
                GET STACKED DIAGNOSTICS cause = PG_EXCEPTION_DETAIL, advice = PG_EXCEPTION_HINT;
                IF step.action = 'make' AND SQLSTATE = '23514' THEN
                    cause := format('Find the rows: SELECT * FROM %s WHERE timeshard_between(%I::bigint, %L, %L)',
                        parent.rest, parent.key, step.since, step.until);
                    hint := 'Move the rows. See "Rows in the default partition" in timeshard/doc/time-ranges.md below pg_config --docdir.';
                END IF;
                state := coalesce(state, SQLSTATE);
                failures := concat_ws(E'\n', failures, format('Could not %s partition %s: %s', step.action, step.partition, SQLERRM),
                    nullif(cause, ''), nullif(advice, ''));
        END;
        COMMIT;
    END LOOP;
    IF failures IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = state, DETAIL = failures, HINT = hint,
            MESSAGE = format('could not make or drop every partition of table "%s"', parent.relname);
    END IF;
END
$body$;
COMMENT ON PROCEDURE timeshard_maintain_partitions(regclass, interval, integer, interval, interval) IS
'makes the next partitions of a table that is partitioned by range of an ID, and drops those that ended longer ago than keep (null: none);
for a scheduler, which connects as the table''s owner;
width is whole months or whole hours, in UTC;
ahead, 1 to 1000, is how many partitions there are after the present one;
each is made or dropped in a transaction of its own, waits for a lock for lock_timeout at most, and is then left to the next call with a warning;
stops with a warning where it waited in vain; is an error for a table whose owner could gain the caller''s rights,
and, with keep, for one with a partition that by this server''s epoch is not of the time in its name';
