-- Below which ID nothing more can appear. Other sessions may use the generator
-- meanwhile, but no transaction of theirs stays open.
\set VERBOSITY terse
CREATE TABLE horizon_rows (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), note text);
-- The horizon passes what is committed once its millisecond is over
CREATE FUNCTION passes(id bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..10000 LOOP
        IF timeshard_horizon() > id THEN RETURN true; END IF;
        PERFORM pg_sleep(0.001);
    END LOOP;
    RETURN false;
END $$;
INSERT INTO horizon_rows (note) VALUES ('committed') RETURNING id AS committed \gset
SELECT passes(:committed);
SELECT timeshard_horizon() AS before \gset
SELECT timeshard_horizon() >= :before AS never_back, timeshard_horizon() <= timeshard_next_id() AS not_ahead, timeshard_horizon() & 4194303 AS whole_milliseconds;

-- An open transaction holds it back from its first ID on, also its own session
BEGIN;
SELECT passes(timeshard_horizon()) AS asking_alone_holds_nothing;
INSERT INTO horizon_rows (note) VALUES ('open') RETURNING id AS open \gset
SELECT pg_sleep(0.01);
SELECT timeshard_horizon() <= :open AS held, timeshard_horizon() >> 22 = :open >> 22 AS at_its_millisecond;
SELECT horizon_lag BETWEEN '5 ms' AND '1 min' AS lag, horizon_holder = pg_backend_pid() AS holder FROM timeshard_stats();
SAVEPOINT a;
INSERT INTO horizon_rows (note) VALUES ('rolled back');
ROLLBACK TO a;
SAVEPOINT b;
INSERT INTO horizon_rows (note) VALUES ('released');
RELEASE b;
SELECT timeshard_horizon() <= :open AS still_held;
COMMIT;
SELECT passes(:open);
SELECT horizon_lag = '0' AS no_lag, horizon_holder IS NULL AS no_holder FROM timeshard_stats();

-- Taken and not used: rolled back, an error, a batch
BEGIN;
SELECT max(id) AS batch FROM (SELECT timeshard_next_ids(3000) AS id) AS ids \gset
SELECT timeshard_horizon() < :batch AS held;
ROLLBACK;
SELECT passes(:batch);
BEGIN;
SELECT timeshard_next_id() AS failed \gset
INSERT INTO horizon_rows VALUES (:committed);
ROLLBACK;
SELECT passes(:failed);

-- A procedure that commits inside: each of its transactions holds for itself
CREATE PROCEDURE commits_inside() LANGUAGE plpgsql AS $$
DECLARE first bigint; second bigint;
BEGIN
    first := timeshard_next_id();
    PERFORM pg_sleep(0.002);
    RAISE NOTICE 'held by the first: %', timeshard_horizon() <= first;
    COMMIT;
    second := timeshard_next_id();
    PERFORM pg_sleep(0.002);
    RAISE NOTICE 'past the first: %, held by the second: %', timeshard_horizon() > first, timeshard_horizon() <= second;
END $$;
CALL commits_inside();

-- A snapshot older than the answer
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT timeshard_horizon() > 0 AS answered;
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT timeshard_horizon() > 0 AS answered;
COMMIT;
-- One statement that both asks and reads
SELECT count(*) >= 0 AS asked FROM horizon_rows WHERE id < timeshard_horizon();
SELECT count(*) >= 0 AS asked FROM horizon_rows WHERE id < (SELECT timeshard_horizon());
WITH h AS (SELECT timeshard_horizon() AS h) SELECT count(*) >= 0 AS asked FROM horizon_rows, h WHERE id < h;
SELECT count(*) >= 0 AS asked FROM horizon_rows, (SELECT timeshard_horizon() AS h) AS h WHERE id < h;
SELECT count(*) >= 0 AS asked FROM horizon_rows JOIN timeshard_horizon() AS h ON id < h;
DELETE FROM horizon_rows WHERE note = 'none' AND id < timeshard_horizon();
SELECT count(*) >= 0 AS asked FROM (SELECT DISTINCT id FROM horizon_rows) AS rows WHERE id < timeshard_horizon();
WITH rows AS MATERIALIZED (SELECT id FROM horizon_rows) SELECT count(*) >= 0 AS asked FROM rows WHERE id < timeshard_horizon();
SELECT count(*) >= 0 AS asked FROM timeshard_horizon() AS h, LATERAL (SELECT FROM horizon_rows WHERE id < h) AS rows;
SELECT note FROM horizon_rows WHERE note = 'none' GROUP BY note HAVING max(id) < timeshard_horizon();
SELECT note FROM horizon_rows WHERE note = 'none' LIMIT timeshard_horizon();
SELECT note, timeshard_horizon() > 0 AS answered FROM horizon_rows WHERE note = 'open';
SELECT count(*) FILTER (WHERE id < timeshard_horizon()) > 0 AS asked FROM horizon_rows;
SELECT ARRAY(SELECT note FROM horizon_rows WHERE note = 'none' AND id < timeshard_horizon()) AS asked;
UPDATE horizon_rows SET note = timeshard_horizon()::text WHERE note = 'none';
CREATE VIEW horizon_view AS SELECT timeshard_horizon() AS horizon;
CREATE VIEW horizon_rows_view AS SELECT id, note FROM horizon_rows;
SELECT count(*) >= 0 AS asked FROM horizon_rows_view, horizon_view WHERE id < horizon;
-- These read no table, or the server's own
SELECT horizon > 0 AS answered FROM horizon_view;
CREATE TEMPORARY TABLE horizons AS SELECT timeshard_horizon() AS horizon;
INSERT INTO horizons SELECT timeshard_horizon();
INSERT INTO horizons VALUES (timeshard_horizon());
SELECT timeshard_horizon() > max(n) AS answered FROM generate_series(1, 3) AS n;
SELECT timeshard_horizon() > 0 AS answered FROM pg_stat_activity WHERE pid = pg_backend_pid();
DROP TABLE horizons;
DROP VIEW horizon_rows_view, horizon_view;
SELECT count(*) >= 0 AS in_two FROM horizon_rows WHERE id < :before;

-- A reader needs no right but to call it
CREATE ROLE timeshard_regress_reader;
SET ROLE timeshard_regress_reader;
SELECT timeshard_horizon() >= :before AS may_ask;
RESET ROLE;
BEGIN;
SELECT timeshard_next_id() > 0 AS taken;
SET LOCAL ROLE timeshard_regress_reader;
SELECT horizon_lag IS NOT NULL AS may_see_lag, horizon_holder IS NULL AS not_the_holder FROM timeshard_stats();
RESET ROLE;
GRANT pg_read_all_stats TO timeshard_regress_reader;
SET LOCAL ROLE timeshard_regress_reader;
SELECT horizon_holder = pg_backend_pid() AS may_see_the_holder FROM timeshard_stats();
COMMIT;
DROP ROLE timeshard_regress_reader;
DROP TABLE horizon_rows;
DROP FUNCTION passes;
DROP PROCEDURE commits_inside;
