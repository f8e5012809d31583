-- The two helpers of doc/migration.md. CALL both outside of a transaction.

-- Locks these tables and makes a change. Waits 300 ms for each lock at most, lets others pass, and tries again.
CREATE PROCEDURE patiently(locks text, change text) LANGUAGE plpgsql AS $$
BEGIN
    FOR attempt IN 1..1000 LOOP
        BEGIN
            SET LOCAL lock_timeout = '300ms';
            EXECUTE 'LOCK TABLE ' || locks;
            EXECUTE change;
            RETURN;
        EXCEPTION WHEN lock_not_available THEN
            NULL;
        END;
        COMMIT;
        PERFORM pg_sleep(0.1 + 0.4 * random());
    END LOOP;
    RAISE EXCEPTION 'no lock on % after 1000 attempts', locks USING ERRCODE = 'lock_not_available';
END $$;

-- Changes the rows that are `undone`, some pages at a time, each in a transaction of its own. Skips rows that others have
-- locked, and comes back for them. `pause` is in seconds, after each transaction.
CREATE PROCEDURE in_batches(rows regclass, change text, undone text, pages integer DEFAULT 100, pause float DEFAULT 0)
LANGUAGE plpgsql AS $$
DECLARE
    page bigint;
    done bigint;
    in_vain boolean;
    in_pass bigint;
    idle integer := 0;
    more boolean;
BEGIN
    IF (SELECT relkind FROM pg_class WHERE oid = rows) <> 'r' THEN
        RAISE EXCEPTION '% is not an ordinary table', rows;
    END IF;
    LOOP
        page := 0;
        in_pass := 0;
        WHILE page * current_setting('block_size')::integer < pg_relation_size(rows) LOOP
            EXECUTE format('WITH batch AS (
                    UPDATE ONLY %1$s SET %2$s WHERE ctid = ANY (ARRAY(
                        SELECT ctid FROM ONLY %1$s WHERE ctid >= %3$L AND ctid < %4$L AND (%5$s) FOR NO KEY UPDATE SKIP LOCKED))
                    RETURNING (%5$s) AS undone)
                SELECT count(*), bool_or(undone) FROM batch',
                rows, change, format('(%s,0)', page), format('(%s,0)', page + pages), undone) INTO done, in_vain;
            IF in_vain THEN
                RAISE EXCEPTION 'the change leaves rows of % undone', rows;
            END IF;
            COMMIT;
            PERFORM pg_sleep(pause);
            in_pass := in_pass + done;
            page := page + pages;
        END LOOP;
        EXECUTE format('SELECT EXISTS (SELECT FROM ONLY %s WHERE %s)', rows, undone) INTO more;
        EXIT WHEN NOT more;
        idle := CASE WHEN in_pass > 0 THEN 0 ELSE idle + 1 END;
        IF idle > 600 THEN
            RAISE EXCEPTION 'rows of % are left that others have locked for more than a minute', rows;
        END IF;
        PERFORM pg_sleep(0.1);
    END LOOP;
END $$;
