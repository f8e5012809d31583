-- Partitions by ID, made and dropped by a scheduler. Times are given, so that names are the
-- same on every day; the layout and the epoch are the server's.
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET intervalstyle = 'postgres';
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE FUNCTION run_plan(partitioned regclass, width interval, ahead integer, at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE step text;
BEGIN
    FOR step IN SELECT command FROM timeshard_partition_plan(partitioned, width, ahead => ahead, at => at) LOOP
        EXECUTE step;
    END LOOP;
END $$;
CREATE VIEW listed AS
SELECT p.partition, timeshard_time(p.first_id) AS since, timeshard_time(p.end_id) AS until
FROM pg_class AS c, timeshard_partitions(c.oid) AS p WHERE c.relkind = 'p' AND c.relname = 'visits';

CREATE TABLE visits (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), page text) PARTITION BY RANGE (id);

-- Widths and names: in UTC, whatever the session's time zone
SET timezone = 'Asia/Tokyo';
SELECT width, partition, since AT TIME ZONE 'UTC' AS since, until AT TIME ZONE 'UTC' AS until
FROM unnest('{1 hour,6 hours,1 day,24 hours,1 week,10 days,1 month,3 months,5 months,1 year}'::interval[]) WITH ORDINALITY AS w (width, n),
    timeshard_partition_plan('visits', width, ahead => 1, at => '2026-12-31 23:30+00')
ORDER BY n, since;
SET timezone = 'UTC';
-- A server whose clock is an hour behind or ahead finds a partition too, until a month later
SELECT partition FROM timeshard_partition_plan('visits', '1 month', ahead => 1, at => '2026-12-01 00:59:59+00');
SELECT partition FROM timeshard_partition_plan('visits', '1 month', ahead => 1, at => '2026-12-01 01:00:00+00');
SELECT partition FROM timeshard_partition_plan('visits', '1 month', ahead => 1, at => '2026-12-31 22:59:59+00');
SELECT partition FROM timeshard_partition_plan('visits', '1 month', ahead => 1, at => '2026-12-31 23:00:00+00');

-- The commands make partitions, whose bounds are exact
SELECT run_plan('visits', '1 month', 2, '2026-11-30');
SELECT * FROM listed ORDER BY since;
SELECT count(*) FROM timeshard_partition_plan('visits', '1 month', ahead => 2, at => '2026-11-30');
INSERT INTO visits (id)
SELECT timeshard_lower_bound(month) + n FROM unnest('{2026-12-01,2027-01-01}'::timestamptz[]) AS month, unnest('{-1,0}'::integer[]) AS n;
SELECT tableoid::regclass AS partition, timeshard_time(id) FROM visits ORDER BY id;

-- What ended longer ago than keep is dropped, counted from the partition's end
SELECT action, partition FROM timeshard_partition_plan('visits', '1 month', ahead => 1, keep => '31 days', at => '2026-12-31 23:59:59.999+00');
SELECT action, partition FROM timeshard_partition_plan('visits', '1 month', ahead => 1, keep => '31 days', at => '2027-01-01 00:00:00+00');
SELECT count(*) FROM timeshard_partition_plan('visits', '1 month', ahead => 1, at => '2027-01-15');

-- By another epoch, IDs tell other times. A partition's comment tells the epoch, whatever the table and the partition are called
ALTER TABLE visits RENAME TO renamed;
ALTER TABLE visits_2026_11 RENAME TO "by hand";
COMMENT ON TABLE visits_2026_12 IS 'mine';
SELECT action, partition FROM timeshard_partition_plan('renamed', '1 month', ahead => 1, keep => '31 days', at => '2027-01-01 00:00:00+00');
COMMENT ON TABLE "by hand" IS 'Made with timeshard.custom_epoch = 1';
SELECT action, partition FROM timeshard_partition_plan('renamed', '1 month', ahead => 1, keep => '31 days', at => '2027-01-01 00:00:00+00');
SELECT action, partition FROM timeshard_partition_plan('renamed', '1 month', ahead => 1, at => '2027-01-15');
COMMENT ON TABLE "by hand" IS NULL;
ALTER TABLE "by hand" RENAME TO visits_2026_11;
ALTER TABLE renamed RENAME TO visits;
-- Whatever a backslash means in the session: from 19 on, one thing
DO $$ BEGIN PERFORM set_config('standard_conforming_strings', 'off', false) WHERE current_setting('server_version_num')::int < 190000; END $$;
SELECT count(*) FROM timeshard_partitions('visits');
RESET standard_conforming_strings;

-- Another width, and partitions by other hands: what is missing is made around them
CREATE TABLE other PARTITION OF visits
    FOR VALUES FROM (timeshard_lower_bound('2027-02-05 12:00+00')) TO (timeshard_lower_bound('2027-02-06 00:00:00.5+00'));
SELECT run_plan('visits', '1 week', 2, '2027-01-28');
SELECT *, since = lag(until) OVER (ORDER BY since) AS adjacent FROM listed ORDER BY since;
CREATE TABLE beyond PARTITION OF visits FOR VALUES FROM (timeshard_lower_bound('2028-01-01')) TO (MAXVALUE);
CREATE TABLE earlier PARTITION OF visits FOR VALUES FROM (MINVALUE) TO (timeshard_lower_bound('2026-01-01'));
SELECT partition, first_id IS NULL AS min, end_id IS NULL AS max FROM timeshard_partitions('visits') WHERE first_id IS NULL OR end_id IS NULL;
SELECT action, partition, since, until FROM timeshard_partition_plan('visits', '1 year', keep => '3 years', at => '2029-06-01');
DROP TABLE visits;

-- Partitions of what is no ID are not dropped, however old its time would be
CREATE TABLE visits (id bigint PRIMARY KEY, page text) PARTITION BY RANGE (id);
CREATE TABLE below PARTITION OF visits FOR VALUES FROM (MINVALUE) TO (-1);
CREATE TABLE negative PARTITION OF visits FOR VALUES FROM (-1) TO (0);
CREATE TABLE serial PARTITION OF visits FOR VALUES FROM (0) TO (60000::bigint << 22);
SELECT action, partition FROM timeshard_partition_plan('visits', '1 year', ahead => 1, keep => '1 hour', at => '2026-06-30');
SELECT action, partition FROM timeshard_partition_plan('visits', '1 year', ahead => 1, keep => '10 years', at => '2026-06-30');
DROP TABLE visits;
-- Periods that begin before the epoch or end with it, and long ones
CREATE TABLE visits (id bigint PRIMARY KEY, page text) PARTITION BY RANGE (id);
SELECT partition, since, until, first_id, end_id FROM timeshard_partition_plan('visits', '10 years', ahead => 1, at => '2026-11-30');
SELECT partition, since, until, first_id, end_id FROM timeshard_partition_plan('visits', '1 month', ahead => 3, at => '2093-08-01');
SELECT partition, since, until, first_id FROM timeshard_partition_plan('visits', '1 hour', ahead => 1, at => '2023-12-12 13:00:00+00');
SELECT partition, since, until FROM timeshard_partition_plan('visits', '100 years', ahead => 1000, at => '2026-11-30');
SELECT run_plan('visits', '10 years', 1, '2026-11-30');
SELECT count(*) FROM timeshard_partition_plan('visits', '10 years', ahead => 1, keep => '1 hour', at => '2026-11-30');
DROP TABLE visits;
-- What keep would drop is not made before
CREATE TABLE visits (id bigint PRIMARY KEY, page text) PARTITION BY RANGE (id);
CREATE TABLE later PARTITION OF visits FOR VALUES FROM (timeshard_lower_bound('2026-11-20')) TO (timeshard_lower_bound('2026-12-01'));
SELECT action, partition, since, until FROM timeshard_partition_plan('visits', '1 month', ahead => 1, keep => '11 days', at => '2026-11-30');
SELECT action, partition, since, until FROM timeshard_partition_plan('visits', '1 month', ahead => 1, keep => '10 days', at => '2026-11-30');
DROP TABLE visits;

-- What a partition takes over from its table, as PARTITION OF would; a typed key in a domain; names that need quotes
SELECT timeshard_create_type('part_id', 'PRT-', style => 'code');
CREATE DOMAIN part_key AS part_id CHECK (VALUE::bigint >= 0);
CREATE TABLE pages (page text COLLATE "C" PRIMARY KEY);
CREATE SCHEMA "Odd ""schema""";
CREATE TABLE "Odd ""schema"""."Vi sits" (
    id part_key DEFAULT timeshard_next_id(),
    page text COLLATE "C" NOT NULL CHECK (page <> '') REFERENCES pages,
    length integer GENERATED ALWAYS AS (length(page)) STORED,
    n integer DEFAULT 7
) PARTITION BY RANGE (id);
ALTER TABLE "Odd ""schema"""."Vi sits" ADD CONSTRAINT key PRIMARY KEY (id), ALTER page SET STORAGE external;
CREATE INDEX ON "Odd ""schema"""."Vi sits" (n) WHERE n > 0;
CREATE STATISTICS "Odd ""schema""".both ON page, n FROM "Odd ""schema"""."Vi sits";
SELECT run_plan('"Odd ""schema"""."Vi sits"', '1 day', 1, '2026-12-01 12:00');
CREATE TABLE "Odd ""schema""".by_hand PARTITION OF "Odd ""schema"""."Vi sits"
    FOR VALUES FROM (timeshard_lower_bound('2026-12-03 00:00+00')::part_id) TO (timeshard_lower_bound('2026-12-04 00:00+00')::part_id);
SELECT partition, timeshard_time(first_id), timeshard_time(end_id) FROM timeshard_partitions('"Odd ""schema"""."Vi sits"');
SELECT * FROM timeshard_partition_plan('"Odd ""schema"""."Vi sits"', '1 day', ahead => 2, at => '2026-12-01 12:00');
CREATE VIEW parts AS SELECT c.oid, c.relname AS partition FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = '"Odd ""schema"""."Vi sits"'::regclass;
SELECT partition, attname, format_type(atttypid, atttypmod), attnotnull, attgenerated, attstorage, attcollation::regcollation, pg_get_expr(adbin, adrelid)
FROM parts JOIN pg_attribute ON attrelid = oid AND attnum > 0 LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE partition IN ('Vi sits_2026_12_01', 'by_hand') ORDER BY attnum, partition;
SELECT pg_get_constraintdef(c.oid), array_agg(partition ORDER BY partition) FROM parts AS p JOIN pg_constraint AS c ON conrelid = p.oid
WHERE contype <> 'n' GROUP BY 1 ORDER BY 1;
SELECT regexp_replace(pg_get_indexdef(indexrelid), ' ON .* USING', ' USING') ~ 'n > 0' AS partial, array_agg(partition ORDER BY partition)
FROM parts JOIN pg_index ON indrelid = oid GROUP BY 1 ORDER BY 1;
SELECT partition FROM parts AS p JOIN pg_statistic_ext ON stxrelid = p.oid ORDER BY 1;
DROP VIEW parts;
DROP SCHEMA "Odd ""schema""" CASCADE;
DROP DOMAIN part_key;
SELECT timeshard_drop_type('part_id');
DROP TABLE pages;

-- The table has to be partitioned by range of one column that is an ID
CREATE TABLE plain (id bigint);
CALL timeshard_maintain_partitions('plain', '1 day');
CALL timeshard_maintain_partitions('listed', '1 day');
CREATE TABLE by_list (id bigint) PARTITION BY LIST (id);
CALL timeshard_maintain_partitions('by_list', '1 day');
CREATE TABLE by_hash (id bigint) PARTITION BY HASH (id);
CALL timeshard_maintain_partitions('by_hash', '1 day');
CREATE TABLE by_two (id bigint, page text) PARTITION BY RANGE (id, page);
CALL timeshard_maintain_partitions('by_two', '1 day');
CREATE TABLE by_expression (id bigint) PARTITION BY RANGE ((id + 1));
CALL timeshard_maintain_partitions('by_expression', '1 day');
CREATE TABLE by_date (at date) PARTITION BY RANGE (at);
CALL timeshard_maintain_partitions('by_date', '1 day');
CREATE TABLE by_text (id text DEFAULT timeshard_next_id_with_prefix('V')) PARTITION BY RANGE (id);
CALL timeshard_maintain_partitions('by_text', '1 day');
CREATE TABLE visits (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), page text) PARTITION BY RANGE (id);
CREATE TABLE split PARTITION OF visits FOR VALUES FROM (0) TO (1) PARTITION BY RANGE (id);
CALL timeshard_maintain_partitions('visits', '1 day');
-- A partition can itself be maintained
CALL timeshard_maintain_partitions('split', '1 day');
SELECT count(*) >= 4 AS made FROM timeshard_partitions('split');
DROP TABLE split;
CALL timeshard_maintain_partitions(NULL, '1 day');
CALL timeshard_maintain_partitions(0::oid, '1 day');

-- Other arguments
CALL timeshard_maintain_partitions('visits', NULL);
CALL timeshard_maintain_partitions('visits', '1 month 1 day');
CALL timeshard_maintain_partitions('visits', '90 minutes');
CALL timeshard_maintain_partitions('visits', '-1 day');
CALL timeshard_maintain_partitions('visits', '1 day', ahead => 0);
CALL timeshard_maintain_partitions('visits', '1 day', ahead => NULL);
CALL timeshard_maintain_partitions('visits', '1 day', keep => '59 minutes');
CALL timeshard_maintain_partitions('visits', '1 day', keep => '-1 day');
CALL timeshard_maintain_partitions('visits', '1 day', keep => '-12 months 361 days');
CALL timeshard_maintain_partitions('visits', '1 day', keep => '101 years');
CALL timeshard_maintain_partitions('visits', '101 years');
CALL timeshard_maintain_partitions('visits', '1 day', lock_timeout => '0');
CALL timeshard_maintain_partitions('visits', '1 day', lock_timeout => NULL);
CALL timeshard_maintain_partitions('visits', '1 day', lock_timeout => '20 years -7199 days');
SELECT * FROM timeshard_partition_plan('visits', '1 day', at => '-infinity');
SELECT * FROM timeshard_partition_plan('visits', '1 day', at => '2093-08-19');
CREATE TABLE a_name_that_is_55_bytes_long_for_all_that_follows_in_it (id bigint) PARTITION BY RANGE (id);
SELECT partition FROM timeshard_partition_plan('a_name_that_is_55_bytes_long_for_all_that_follows_in_it', '1 month', ahead => 1, at => '2026-12-31');
SELECT partition FROM timeshard_partition_plan('a_name_that_is_55_bytes_long_for_all_that_follows_in_it', '1 day', ahead => 1, at => '2026-12-31');
-- Not where it cannot commit
BEGIN;
CALL timeshard_maintain_partitions('visits', '1 day');
ROLLBACK;
SELECT count(*) FROM timeshard_partitions('visits');

-- What cannot be made or dropped is told at the end, and keeps nothing else back
SELECT run_plan('visits', '1 month', 2, '2025-01-15');
CREATE TABLE clicks (visit bigint CONSTRAINT of_visit REFERENCES visits);
INSERT INTO visits (id) SELECT timeshard_lower_bound('2025-01-20');
INSERT INTO clicks SELECT id FROM visits;
CREATE VIEW february AS SELECT * FROM visits_2025_02;
\set VERBOSITY terse
CALL timeshard_maintain_partitions('visits', '1 month', keep => '1 month');
\set VERBOSITY default
SELECT count(*) FILTER (WHERE since < '2026-01-01'), count(*) FILTER (WHERE since > now()) AS ahead FROM listed;
SELECT count(*) FROM visits;
DROP VIEW february;
TRUNCATE clicks;
CALL timeshard_maintain_partitions('visits', '1 month', keep => '1 month');
SELECT count(*) FILTER (WHERE since < '2026-01-01'), count(*) FILTER (WHERE since > now()) AS ahead FROM listed;
DROP TABLE clicks, visits;
-- Rows in the default partition, and a table of another use with the name
CREATE TABLE visits (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), page text) PARTITION BY RANGE (id);
CREATE TABLE visits_default PARTITION OF visits DEFAULT;
INSERT INTO visits DEFAULT VALUES;
SELECT partition AS taken FROM timeshard_partition_plan('visits', '1 day') ORDER BY since DESC LIMIT 1 \gset
CREATE TABLE :taken ();
\set VERBOSITY sqlstate
CALL timeshard_maintain_partitions('visits', '1 day', ahead => 4);
\set VERBOSITY default
SELECT count(*) >= 3 AS made, (SELECT count(*) FROM visits_default) AS kept FROM listed;
DROP TABLE :taken, visits;

-- For the table's owner, who has connected
CREATE ROLE timeshard_keeper;
CREATE ROLE timeshard_reader;
CREATE SCHEMA kept AUTHORIZATION timeshard_keeper;
CREATE TABLE kept.visits (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), page text) PARTITION BY RANGE (id);
ALTER TABLE kept.visits OWNER TO timeshard_keeper;
GRANT USAGE ON SCHEMA kept TO timeshard_reader;
GRANT ALL ON kept.visits TO timeshard_reader;
SET SESSION AUTHORIZATION timeshard_reader;
CALL timeshard_maintain_partitions('kept.visits', '1 day');
RESET SESSION AUTHORIZATION;
\set VERBOSITY sqlstate
CALL timeshard_maintain_partitions('kept.visits', '1 day');
SET ROLE timeshard_keeper;
CALL timeshard_maintain_partitions('kept.visits', '1 day');
RESET ROLE;
SET SESSION AUTHORIZATION timeshard_keeper;
CALL timeshard_maintain_partitions('kept.visits', '1 day');
RESET SESSION AUTHORIZATION;
\set VERBOSITY default
SELECT count(*) AS made FROM timeshard_partitions('kept.visits');
-- A superuser's own table gives no rights away
CREATE ROLE timeshard_boss SUPERUSER;
ALTER TABLE kept.visits OWNER TO timeshard_boss;
CALL timeshard_maintain_partitions('kept.visits', '1 day', ahead => 7);
SELECT string_agg(DISTINCT relowner::regrole::text, ' ') AS owners FROM timeshard_partitions('kept.visits') JOIN pg_class ON oid = partition;
-- Nothing of the call is left in the session
SELECT current_user = session_user AS reset, current_setting('search_path'), current_setting('lock_timeout'), current_setting('timezone');
DROP TABLE kept.visits;

-- Nor does a table of another role's that is joined to it
CREATE TABLE kept.visits (id bigint PRIMARY KEY, page text) PARTITION BY RANGE (id);
CREATE TABLE kept.clicks (visit bigint REFERENCES kept.visits);
ALTER TABLE kept.clicks OWNER TO timeshard_keeper;
CALL timeshard_maintain_partitions('kept.visits', '1 day');
DROP TABLE kept.clicks;
CREATE TABLE kept.rest PARTITION OF kept.visits DEFAULT;
ALTER TABLE kept.rest OWNER TO timeshard_keeper;
CALL timeshard_maintain_partitions('kept.visits', '1 day');
DROP TABLE kept.rest;
CREATE FUNCTION timeshard_time(integer) RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE 'trap'; END $$;
CALL timeshard_maintain_partitions('kept.visits', '1 day');
DROP FUNCTION timeshard_time(integer);
DROP TABLE kept.visits;

-- Whatever the search_path puts before PostgreSQL's own
CREATE TABLE kept.visits (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), page text) PARTITION BY RANGE (id);
CREATE FUNCTION kept.set_config(text, text, boolean) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'trap'; END $$;
CREATE FUNCTION kept.format(text, VARIADIC "any") RETURNS text LANGUAGE internal IMMUTABLE AS 'textin';
CREATE DOMAIN kept.text AS pg_catalog.text CHECK (false);
CREATE DOMAIN kept.timestamptz AS pg_catalog.timestamptz CHECK (false);
SET search_path = kept, pg_catalog, public;
CALL timeshard_maintain_partitions('visits', '1 day');
RESET search_path;
SELECT count(*) >= 4 AS made FROM timeshard_partitions('kept.visits');
DROP SCHEMA kept CASCADE;
DROP ROLE timeshard_boss, timeshard_keeper, timeshard_reader;
DROP TABLE plain, by_list, by_hash, by_two, by_expression, by_date, by_text, a_name_that_is_55_bytes_long_for_all_that_follows_in_it;
DROP VIEW listed;
DROP FUNCTION run_plan;
