-- Partitions by ID
--
-- The bodies' search_path makes all names PostgreSQL's own. The extension's functions, which
-- can be in any schema, are called by the name of that schema. To list partitions by a typed key,
-- only code that a superuser owns is called: its input and send functions, not its casts.

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
        -- Given no OID, which a bound does not need, pg_get_expr waits for no lock on the partition.
        CROSS JOIN regexp_match(pg_get_expr(c.relpartbound, 0),
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
    OUT first_id bigint,
    OUT end_id bigint,
    OUT command text
)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $body$
DECLARE
    ours CONSTANT text := (SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'timeshard');
    disagreement CONSTANT interval := '1 hour'; -- how far other servers' clocks may be away
    months CONSTANT integer := extract(year FROM width) * 12 + extract(month FROM width);
    hours CONSTANT numeric := extract(epoch FROM width - make_interval(months => months)) / 3600;
    suffix CONSTANT text := CASE WHEN months > 0 AND months % 12 = 0 THEN 'YYYY' WHEN months > 0 THEN 'YYYY_MM'
        WHEN hours % 24 = 0 THEN 'YYYY_MM_DD' ELSE 'YYYY_MM_DD_HH24' END;
    remark CONSTANT text := 'Made with timeshard.custom_epoch = ';
    ids record; -- the times that IDs can carry
    step interval;
    starts timestamptz[]; -- of the periods that hold the time an hour ago, and in an hour
    parent record;
    gap record;
    name text;
    other record;
BEGIN
    EXECUTE format('SELECT custom_epoch AS epoch, %1$s.timeshard_time(0::int8) AS since, %1$s.timeshard_time(9223372036854775807) AS until
        FROM %1$s.timeshard_config()', ours) INTO ids;
    IF partitioned IS NULL OR width IS NULL OR ahead IS NULL OR at IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
            MESSAGE = 'partitioned, width, ahead and at must not be null';
    ELSIF at NOT BETWEEN ids.since AND ids.until THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'at must be a time that an ID can carry',
            DETAIL = format('It is %s, and IDs go from %s to %s.', at, ids.since, ids.until);
    ELSIF NOT (months > 0 AND hours = 0 OR months = 0 AND hours > 0 AND hours = trunc(hours)) OR width > '100 years' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'width must be a number of whole months or of whole hours, up to 100 years',
            DETAIL = format('It is "%s".', width),
            HINT = 'Such as ''1 day'', ''1 week'', ''1 month'' or ''1 year''.';
    ELSIF ahead NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'ahead must be between 1 and 1000',
            DETAIL = format('It is %s.', ahead);
    ELSIF keep NOT BETWEEN disagreement AND '100 years' OR at - keep > at - disagreement THEN
        -- The second because some intervals compare as longer than they are: '-12 months 361 days'.
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'keep must be between 1 hour and 100 years',
            DETAIL = format('It is "%s".', keep),
            HINT = 'Without it, nothing is dropped.';
    END IF;

    -- Months count from year 0, hours from a Monday.
    step := make_interval(months => months, hours => hours::integer);
    SELECT array_agg(CASE WHEN months = 0 THEN date_bin(step, t, '2001-01-01')
            ELSE make_date((m - m % nullif(months, 0)) / 12, (m - m % nullif(months, 0)) % 12 + 1, 1) END ORDER BY t) INTO starts
    FROM unnest(ARRAY[at - disagreement, at + disagreement]) AS t
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

    SELECT i.inhrelid::regclass AS partition, d.description INTO other
    FROM pg_inherits AS i
    JOIN pg_description AS d ON d.objoid = i.inhrelid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0
    WHERE i.inhparent = partitioned AND starts_with(d.description, remark) AND d.description <> remark || ids.epoch
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('partition %s was made with another epoch', other.partition),
            DETAIL = format('Its comment is "%s", but the server has %s.', other.description, ids.epoch),
            HINT = 'Set timeshard.custom_epoch to what it was. If it was changed on purpose, take the comment off.';
    END IF;

    action := 'make';
    FOR gap IN EXECUTE format('
        SELECT lower(ids) AS first_id, upper(ids) AS end_id, lower(ids) = p.first_id AS begins, p.since,
            %1$s.timeshard_time(lower(ids)) AS first_at, %1$s.timeshard_time(upper(ids)) AS end_at
        FROM (
            SELECT s AS since, %1$s.timeshard_last_before(s) + 1 AS first_id, %1$s.timeshard_lower_bound(least(s + $4, $5)) AS end_id
            FROM generate_series($2, $3, $4) AS s
            WHERE s < $5 AND s + $4 > $7
        ) AS p
        CROSS JOIN unnest(int8multirange(int8range(p.first_id, p.end_id)) - (
            SELECT coalesce(range_agg(int8range(first_id, end_id)), ''{}'') FROM %1$s.timeshard_partitions($1)
        )) AS ids
        WHERE (upper(ids) <= %1$s.timeshard_last_before($6) + 1) IS NOT TRUE
        ORDER BY 1', ours)
        USING partitioned, starts[1], starts[2] + ahead * step, step, ids.until, at - keep, ids.since
    LOOP
        name := parent.relname || '_' || CASE WHEN gap.begins THEN to_char(gap.since, suffix)
            ELSE to_char(gap.first_at, 'YYYY_MM_DD_HH24_MI_SS_MS') END;
        IF name <> name::name THEN
            RAISE EXCEPTION USING ERRCODE = 'name_too_long',
                MESSAGE = format('the name of table "%s" is too long for partitions', parent.relname),
                DETAIL = format('"%s" would be longer than a name can be.', name),
                HINT = 'Rename the table.';
        END IF;
        partition := format('%I.%I', parent.nspname, name);
        since := gap.first_at;
        until := gap.end_at;
        first_id := gap.first_id;
        end_id := gap.end_id;
        -- ATTACH lets others read and write the table, which CREATE TABLE ... PARTITION OF does not.
        command := format('CREATE TABLE %1$s (LIKE %2$s INCLUDING ALL EXCLUDING INDEXES EXCLUDING IDENTITY)%3$s; '
            'COMMENT ON TABLE %1$s IS %4$L; ALTER TABLE %2$s ATTACH PARTITION %1$s FOR VALUES FROM (%5$s::bigint) TO (%6$s::bigint)',
            partition, partitioned, parent.place, remark || ids.epoch, gap.first_id, gap.end_id);
        RETURN NEXT;
    END LOOP;

    action := 'drop';
    -- Numbers up to the epoch's first minute are taken for what is no ID, such as those of a sequence.
    FOR partition, since, until, first_id, end_id IN EXECUTE format('
        SELECT p.partition, %1$s.timeshard_time(CASE WHEN p.first_id >= 0 THEN p.first_id END), %1$s.timeshard_time(p.end_id), p.first_id, p.end_id
        FROM %1$s.timeshard_partitions($1) AS p
        JOIN pg_class AS c ON c.oid = p.partition
        JOIN pg_inherits AS i ON i.inhrelid = c.oid
        WHERE p.end_id <= %1$s.timeshard_last_before($2) + 1 AND p.end_id > %1$s.timeshard_last_before($3) + 1
        AND c.relkind = ''r'' AND NOT i.inhdetachpending', ours)
        USING partitioned, at - keep, ids.since + interval '1 minute'
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
    at pg_catalog.timestamptz := pg_catalog.clock_timestamp();
    issued pg_catalog.timestamptz; -- the time of an ID
    ours pg_catalog.text;
    parent record;
    neighbour record;
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
        -- What others did while this waited for a lock has to be seen.
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
        PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
        IF lock_timeout IS NULL OR floor(1000 * extract(epoch FROM lock_timeout)) NOT BETWEEN 1 AND 86400000 THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                MESSAGE = 'lock_timeout must be between 1 ms and 1 day',
                DETAIL = format('It is %s.', coalesce('"' || lock_timeout || '"', 'null'));
        END IF;
        PERFORM set_config('lock_timeout', floor(1000 * extract(epoch FROM lock_timeout))::text, true);
        SELECT c.relname, c.relnamespace, r.rolname AS owner, r.rolsuper AS superusers, r.rolcanlogin AS connects,
            d.oid::regclass AS rest, a.attname AS key, u.rolname AS caller INTO parent
        FROM pg_class AS c
        JOIN pg_roles AS r ON r.oid = c.relowner
        LEFT JOIN pg_partitioned_table AS p ON p.partrelid = c.oid
        LEFT JOIN pg_class AS d ON d.oid = p.partdefid
        LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0]
        LEFT JOIN pg_stat_get_activity(pg_backend_pid()) AS s ON true
        LEFT JOIN pg_roles AS u ON u.oid = s.usesysid
        WHERE c.oid = partitioned;
        IF parent.owner IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'undefined_table',
                MESSAGE = format('table "%s" does not exist', coalesce(partitioned::text, 'null'));
        ELSIF NOT pg_has_role(parent.owner, 'MEMBER') THEN
            RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
                MESSAGE = format('must be owner of table %s', parent.relname);
        ELSIF parent.owner IS DISTINCT FROM parent.caller AND NOT parent.superusers THEN
            -- What belongs to the table, such as the function of a CHECK, can run as the role that has connected,
            -- whatever SET ROLE or SET SESSION AUTHORIZATION it has run.
            RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
                MESSAGE = format('role "%s" must not maintain partitions of table "%s" of role "%s"', parent.caller, parent.relname, parent.owner),
                DETAIL = 'Code of the table''s owner would run with your rights.',
                HINT = CASE WHEN parent.connects THEN format('Connect as role "%s".', parent.owner)
                    ELSE 'Have a role own the table that can log in, and connect as that role.' END;
        END IF;
        -- Partitions belong to the table's owner, whoever calls.
        PERFORM set_config('role', parent.owner, true);
        BEGIN
            IF parent.superusers THEN
                -- A schema's owner could rename it in the middle, and put another table in this one's place.
                PERFORM FROM pg_namespace WHERE oid = parent.relnamespace FOR SHARE;
            END IF;
            EXECUTE format('LOCK TABLE ONLY %s IN SHARE UPDATE EXCLUSIVE MODE', partitioned);
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            RAISE WARNING USING ERRCODE = SQLSTATE,
                MESSAGE = format('could not maintain partitions of table "%s" now', parent.relname),
                DETAIL = 'Another session maintains, analyzes or changes it.', HINT = 'The next call tries again.';
            EXIT;
        END;

        -- Under the lock, so that none joins later.
        IF parent.superusers THEN
            SELECT c.oid::regclass AS oid, r.rolname AS owner INTO neighbour
            FROM (
                SELECT inhrelid FROM pg_inherits WHERE inhparent = partitioned
                UNION SELECT unnest(ARRAY[conrelid, confrelid]) FROM pg_constraint WHERE contype = 'f' AND partitioned IN (conrelid, confrelid)
            ) AS n (oid)
            JOIN pg_class AS c ON c.oid = n.oid
            JOIN pg_roles AS r ON r.oid = c.relowner
            WHERE NOT r.rolsuper
            LIMIT 1;
            IF FOUND THEN
                RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
                    MESSAGE = format('partitions of table "%s" must not be maintained beside table %s of role "%s"', parent.relname, neighbour.oid, neighbour.owner),
                    DETAIL = 'It is a partition, or a foreign key joins them, so code of its owner would run with a superuser''s rights.',
                    HINT = 'Let one role own both.';
            END IF;
        END IF;

        -- Asked anew each time: others may have changed something between two transactions.
        SELECT extnamespace::regnamespace INTO ours FROM pg_extension WHERE extname = 'timeshard';
        EXECUTE format('
            SELECT p.*, (SELECT q.partition::oid FROM %1$s.timeshard_partitions($1) AS q WHERE q.partition::text = p.partition) AS oid
            FROM %1$s.timeshard_partition_plan($1, $2, $3, $4, $5) AS p
            WHERE p.command <> ALL ($6)
            LIMIT 1', ours)
            INTO step USING partitioned, width, ahead, keep, at, tried;
        EXIT WHEN step.partition IS NULL;
        IF step.action = 'drop' THEN
            -- Go by no clock by which this server would make no ID, such as one that jumped ahead, be it only for a while.
            EXECUTE format('SELECT %1$s.timeshard_time(%1$s.timeshard_next_id())', ours) INTO issued;
            IF issued < at THEN
                at := issued;
                CONTINUE;
            END IF;
        END IF;
        tried := tried || step.command;
        -- Foreign keys of others see every row that references one to drop, or the drop fails. A new partition has no rows.
        PERFORM set_config('row_security', CASE step.action WHEN 'drop' THEN 'off' ELSE 'on' END, true);
        BEGIN
            EXECUTE step.command;
            IF step.action = 'drop' AND EXISTS (SELECT FROM pg_class WHERE oid = step.oid) THEN
                RAISE EXCEPTION USING ERRCODE = 'object_in_use', MESSAGE = format('partition %s was renamed meanwhile', step.partition);
            END IF;
            RAISE NOTICE USING MESSAGE = format('%s partition %s, %s to %s UTC',
                CASE step.action WHEN 'make' THEN 'made' ELSE 'dropped' END, step.partition,
                coalesce(to_char(step.since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), 'the beginning'),
                to_char(step.until AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'));
        EXCEPTION
            WHEN lock_not_available OR deadlock_detected THEN
                RAISE WARNING USING ERRCODE = SQLSTATE,
                    MESSAGE = format('could not %s partition %s now', step.action, step.partition),
                    DETAIL = SQLERRM, HINT = 'The next call tries again.';
                EXIT; -- the others would hold up other sessions for as long, each
            WHEN OTHERS THEN
                GET STACKED DIAGNOSTICS cause = PG_EXCEPTION_DETAIL, advice = PG_EXCEPTION_HINT;
                IF step.action = 'make' AND SQLSTATE = '23514' THEN
                    cause := format('Find the rows: SELECT * FROM %s WHERE %I::bigint BETWEEN %s AND %s',
                        parent.rest, parent.key, step.first_id, step.end_id - 1);
                    hint := 'Move the rows. See "Rows in the default partition" in timeshard/doc/time-ranges.md below pg_config --docdir.';
                END IF;
                state := coalesce(state, SQLSTATE);
                failures := concat_ws(E'\n', failures, format('Could not %s partition %s: %s', step.action, step.partition, SQLERRM),
                    nullif(cause, ''), nullif(advice, ''));
        END;
        COMMIT;
    END LOOP;
    FOR step IN
        SELECT i.inhrelid::regclass AS partition FROM pg_inherits AS i WHERE i.inhparent = partitioned AND i.inhdetachpending
    LOOP
        state := coalesce(state, '55000');
        failures := concat_ws(E'\n', failures, format('Partition %1$s is half detached: its rows are out of the table, '
            'which takes no others of their time. Unless a session is detaching it, finish it: ALTER TABLE %2$s DETACH PARTITION %1$s FINALIZE',
            step.partition, partitioned));
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
width is whole months or whole hours, to 100 years, in UTC;
ahead, 1 to 1000, is how many partitions there are after the present one;
keep is 1 hour to 100 years;
each is made or dropped in a transaction of its own, waits for a lock for lock_timeout at most, and is then left to the next call with a warning;
stops with a warning where it waited in vain; is an error for a table whose owner could gain the caller''s rights,
and for one with a partition that was made with another epoch';
