-- Batches: rising, all different, across milliseconds; none and errors
SELECT count(*), count(DISTINCT id), bool_and(id > before) AS rising
FROM (SELECT id, coalesce(lag(id) OVER (ORDER BY n), 0) AS before
      FROM timeshard_next_ids(100000) WITH ORDINALITY AS batch (id, n)) AS ids;
SELECT count(*) FROM timeshard_next_ids(0);
SELECT count(*) FROM timeshard_next_ids(NULL);
SELECT count(*) FROM timeshard_next_ids(1);
\set SHOW_CONTEXT never
SELECT * FROM timeshard_next_ids(-1);
SELECT timeshard_next_ids(-2147483648);
-- Above what came before, below what comes after
SELECT timeshard_next_id() AS before \gset
SELECT min(id) > :before AS above, max(id) AS last FROM timeshard_next_ids(3) AS id \gset
SELECT :'above' AS above, timeshard_next_id() > :last AS below;
-- In the select list, twice, and cut short
SELECT count(a) AS a, count(b) AS b, count(DISTINCT x) AS different
FROM (SELECT timeshard_next_ids(2000) AS a, timeshard_next_ids(3000) AS b) AS batches, LATERAL (VALUES (a), (b)) AS v (x);
SELECT count(*) FROM (SELECT timeshard_next_ids(2147483647) LIMIT 10) AS cut;
BEGIN;
DECLARE ids CURSOR FOR SELECT timeshard_next_ids(2147483647);
MOVE 5000 IN ids;
COMMIT;
-- A batch for each row: in the select list, whatever the planner knows
CREATE TABLE boxes AS SELECT n AS box, n % 2 * 3 AS size FROM generate_series(0, 9) AS n;
ANALYZE boxes;
SELECT count(*), count(DISTINCT id), count(DISTINCT box) AS boxes FROM (SELECT box, timeshard_next_ids(size) AS id FROM boxes) AS labels;
SELECT count(id), count(DISTINCT id), count(DISTINCT box) AS boxes
FROM (SELECT box, ARRAY(SELECT timeshard_next_ids(size)) AS ids FROM boxes) AS batches LEFT JOIN LATERAL unnest(ids) AS id ON true;
-- Not in LATERAL: rows of one size share a batch. PostgreSQL does that, 15 to 18; the manual warns of it, and has to change when this does.
SELECT count(id), count(DISTINCT id), count(DISTINCT box) AS boxes FROM boxes LEFT JOIN LATERAL timeshard_next_ids(size) AS id ON true;
SELECT count(id), count(DISTINCT id) FROM boxes LEFT JOIN LATERAL (SELECT timeshard_next_ids(size) AS id) AS batch ON true;
-- A single ID is shared up to 15, and no longer from 17 (16 has not been run)
SELECT count(*), CASE current_setting('server_version_num')::integer / 10000
    WHEN 15 THEN count(DISTINCT id) = 1 WHEN 16 THEN count(DISTINCT id) IN (1, 5) ELSE count(DISTINCT id) = 5 END AS as_known
FROM boxes CROSS JOIN LATERAL (SELECT timeshard_next_id() AS id WHERE size > 0) AS one;
\set VERBOSITY terse
CREATE TABLE labels (id bigint PRIMARY KEY);
INSERT INTO labels SELECT id FROM boxes CROSS JOIN LATERAL timeshard_next_ids(size) AS id;
\set VERBOSITY default
SET enable_memoize = off;
SELECT count(id), count(DISTINCT id), count(DISTINCT box) AS boxes FROM boxes LEFT JOIN LATERAL timeshard_next_ids(size) AS id ON true;
SELECT count(id), count(DISTINCT id) FROM boxes LEFT JOIN LATERAL (SELECT timeshard_next_ids(size) AS id) AS batch ON true;
-- Nor, whatever is set, where it does not depend on the row
SELECT count(id), count(DISTINCT id) FROM boxes LEFT JOIN LATERAL timeshard_next_ids(3) AS id ON true;
SELECT count(ids), count(DISTINCT ids), count(DISTINCT id)
FROM (SELECT ARRAY(SELECT timeshard_next_ids(3)) AS ids, (SELECT timeshard_next_id()) AS id FROM boxes) AS batches;
RESET enable_memoize;
-- The planner knows how many
CREATE FUNCTION rows_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
    RETURN plan->0->'Plan'->>'Plan Rows';
END
$$;
SELECT rows_of('SELECT * FROM timeshard_next_ids(12345)') AS constant, rows_of('SELECT * FROM timeshard_next_ids(2 * 3)') AS expression,
       rows_of('SELECT timeshard_next_ids(700)') AS listed, rows_of('SELECT * FROM timeshard_next_ids(0)') AS none,
       rows_of('SELECT * FROM timeshard_next_ids(random()::integer)') AS unknown;
PREPARE batch (integer) AS SELECT * FROM timeshard_next_ids($1);
SET plan_cache_mode = force_custom_plan;
SELECT rows_of('EXECUTE batch (700)') AS custom_plan;
SET plan_cache_mode = force_generic_plan;
SELECT rows_of('EXECUTE batch (700)') AS generic_plan, rows_of('SELECT * FROM timeshard_next_ids((SELECT 7))') AS subquery,
       rows_of('SELECT timeshard_next_ids(size) FROM boxes') AS of_each_of_10;
RESET plan_cache_mode;
DEALLOCATE batch;
DROP FUNCTION rows_of;
DROP TABLE boxes, labels;
-- It answers a cancel
SET statement_timeout = '100ms';
SELECT count(*) FROM timeshard_next_ids(2147483647);
RESET statement_timeout;
-- Parents and children in one round trip
CREATE TABLE parents (id bigint PRIMARY KEY, name text);
CREATE TABLE children (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), parent bigint REFERENCES parents, name text);
WITH input (name, n) AS (SELECT name, row_number() OVER () FROM unnest(ARRAY['a', 'b']) AS name),
     ids AS (SELECT id, n FROM timeshard_next_ids(2) WITH ORDINALITY AS batch (id, n)),
     made AS (INSERT INTO parents SELECT id, name FROM input JOIN ids USING (n) RETURNING id, name)
INSERT INTO children (parent, name) SELECT id, name || child FROM made, generate_series(1, 2) AS child;
SELECT p.name AS parent, string_agg(c.name, ' ' ORDER BY c.id) AS children, bool_and(c.id > p.id) AS later
FROM parents AS p JOIN children AS c ON c.parent = p.id GROUP BY p.name ORDER BY p.name;
DROP TABLE children, parents;
