-- A table with a partition a day, maintained by pg_partman 4.7 or 5 (Debian's
-- postgresql-15-partman, postgresql-17-partman and so on). Run it as a superuser:
--
--   psql -v ON_ERROR_STOP=1 -f doc/partman.sql
--
-- doc/time-ranges.md lists its limits.

CREATE EXTENSION IF NOT EXISTS timeshard;
CREATE SCHEMA IF NOT EXISTS partman;
CREATE EXTENSION IF NOT EXISTS pg_partman SCHEMA partman;

CREATE TABLE public.metrics (
    id    bigint PRIMARY KEY DEFAULT timeshard_next_id(),
    name  text NOT NULL,
    value double precision
) PARTITION BY RANGE (id);

-- pg_partman sees the key as a number. A day is its milliseconds, shifted past the
-- 22 bits of node and sequence. Partitions start today and reach 30 days ahead.
SELECT partman.create_parent(
    p_parent_table    := 'public.metrics',
    p_control         := 'id',
    p_type            := (SELECT CASE WHEN extversion LIKE '4.%' THEN 'native' ELSE 'range' END
                          FROM pg_extension WHERE extname = 'pg_partman'),
    p_interval        := (86400000::bigint << 22)::text,
    p_premake         := 30,
    p_start_partition := timeshard_lower_bound(now())::text);

-- Keep 90 days and drop older partitions.
UPDATE partman.part_config
SET retention = (90 * (86400000::bigint << 22))::text, retention_keep_table = false
WHERE parent_table = 'public.metrics';

-- Partition names are numbers. This view shows their times.
CREATE VIEW public.metrics_partitions AS
SELECT p.partition_tablename AS partition,
       timeshard_time(i.child_start_id) AS since,
       -- the end is the last ID in it, or, with later releases of version 5, the one after that
       timeshard_time(i.child_end_id - 1) + interval '1 ms' AS until
FROM partman.show_partitions('public.metrics') AS p,
     partman.show_partition_info(p.partition_schemaname || '.' || p.partition_tablename, p_parent_table := 'public.metrics') AS i;

-- Once a day, by cron or pg_partman's background worker:
CALL partman.run_maintenance_proc();

-- Rows in the default partition, for which there was no other: should be 0.
SELECT * FROM partman.check_default();
