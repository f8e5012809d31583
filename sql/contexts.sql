-- Wherever a default is evaluated
CREATE TABLE by_default (
    id bigint PRIMARY KEY DEFAULT timeshard_next_id(),
    code text UNIQUE DEFAULT timeshard_next_id_with_prefix('ORD_'),
    tax text UNIQUE DEFAULT timeshard_prefix_at('-TAX-', 4),
    n integer
);
INSERT INTO by_default (n) VALUES (1), (2), (3);
INSERT INTO by_default (n) SELECT generate_series(4, 1000);
COPY by_default (n) FROM stdin;
1001
1002
1003
\.
SELECT count(*), count(DISTINCT id), count(DISTINCT code), count(DISTINCT tax) FROM by_default;
SELECT count(*) AS out_of_order
FROM (SELECT id, code, lag(id) OVER by_n AS last_id, lag(code) OVER by_n AS last_code
      FROM by_default WINDOW by_n AS (ORDER BY n)) AS pairs
WHERE id <= last_id OR code <= last_code;

-- CREATE TABLE AS, a CTE, RETURNING, ALTER TABLE that rewrites, UPDATE
CREATE TABLE copied AS SELECT timeshard_next_id() AS id FROM by_default;
SELECT count(DISTINCT id) FROM copied;
WITH made AS MATERIALIZED (SELECT timeshard_next_id() AS id FROM generate_series(1, 10))
SELECT count(DISTINCT a.id), bool_and(a.id = b.id) AS same FROM made AS a JOIN made AS b USING (id);
INSERT INTO by_default (n) VALUES (1004) RETURNING id > 0 AS returned;
ALTER TABLE copied ADD COLUMN added bigint DEFAULT timeshard_next_id();
SELECT count(DISTINCT added), min(added) > max(id) AS later FROM copied;
UPDATE copied SET added = timeshard_next_id();
SELECT count(DISTINCT added) FROM copied;

-- Partitions
CREATE TABLE by_hash (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), n integer) PARTITION BY HASH (id);
CREATE TABLE by_hash_0 PARTITION OF by_hash FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE by_hash_1 PARTITION OF by_hash FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO by_hash (n) SELECT generate_series(1, 1000);
SELECT count(DISTINCT id), count(DISTINCT tableoid) FROM by_hash;
CREATE TABLE by_range (id bigint PRIMARY KEY DEFAULT timeshard_next_id()) PARTITION BY RANGE (id);
CREATE TABLE by_range_old PARTITION OF by_range FOR VALUES FROM (0) TO (1);
CREATE TABLE by_range_new PARTITION OF by_range FOR VALUES FROM (1) TO (MAXVALUE);
INSERT INTO by_range DEFAULT VALUES;
SELECT count(*) FROM by_range_new;

-- Triggers, PL/pgSQL, prepared statements
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.id := timeshard_next_id();
    RETURN NEW;
END
$$;
CREATE TABLE stamped (id bigint PRIMARY KEY, n integer);
CREATE TRIGGER stamp BEFORE INSERT ON stamped FOR EACH ROW EXECUTE FUNCTION stamp();
INSERT INTO stamped (n) SELECT generate_series(1, 100);
SELECT count(DISTINCT id) FROM stamped;
PREPARE insertion (integer) AS INSERT INTO by_default (n) VALUES ($1);
EXECUTE insertion (2001);
EXECUTE insertion (2002);
EXECUTE insertion (2003);
EXECUTE insertion (2004);
EXECUTE insertion (2005);
EXECUTE insertion (2006);
EXECUTE insertion (2007);
SELECT count(DISTINCT id) FROM by_default WHERE n > 2000;
DEALLOCATE insertion;

-- A read-only transaction; a subtransaction that fails gives nothing back
BEGIN READ ONLY;
SELECT timeshard_next_id() > 0 AS read_only;
COMMIT;
BEGIN;
CREATE TEMPORARY TABLE taken ON COMMIT DROP AS SELECT 1 AS n, timeshard_next_id() AS id;
SAVEPOINT attempt;
SELECT timeshard_next_id() AS lost \gset
ROLLBACK TO attempt;
SELECT timeshard_next_id() > :lost AS goes_on, :lost > id AS rose FROM taken;
COMMIT;

DROP TABLE by_default, copied, by_hash, by_range, stamped;
DROP FUNCTION stamp();
