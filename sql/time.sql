-- Times of IDs, exact to the millisecond at both ends, whatever the epoch in force
SELECT custom_epoch AS e, epoch, exhausted_at FROM timeshard_config() \gset
SELECT timeshard_time(0) = :'epoch' AS first, timeshard_time(9223372036854775807) = :'exhausted_at'::timestamptz - interval '1 ms' AS last,
       timeshard_time(id) = (timeshard_parse(id)).datetime AS as_parsed, timeshard_time(id) = timeshard_time(id, :e) AS by_epoch
FROM timeshard_next_id() AS id;
SELECT timeshard_time(1541815603606036480, 1288834974657) AT TIME ZONE 'UTC' AS tweet;
SELECT timeshard_lower_bound(:'epoch') AS first, timeshard_lower_bound(:'exhausted_at'::timestamptz - interval '1 ms') AS last_ms,
       timeshard_lower_bound(:'epoch'::timestamptz + interval '1 us') AS next_ms, timeshard_lower_bound(now()) = timeshard_lower_bound(now(), :e) AS by_epoch;
-- id >= timeshard_lower_bound(t) exactly when timeshard_time(id) >= t
SELECT count(*) AS tried, count(*) FILTER (WHERE (id >= timeshard_lower_bound(t)) <> (timeshard_time(id) >= t)) AS wrong
FROM (SELECT timeshard_lower_bound(:'epoch'::timestamptz + interval '7 ms') + d AS id FROM unnest(ARRAY[-4194305, -4194304, -1, 0, 1, 4194303, 4194304]) AS d) AS ids,
     (SELECT :'epoch'::timestamptz + us * interval '1 us' AS t FROM unnest(ARRAY[5999, 6000, 6001, 6999, 7000, 7001, 7999, 8000, 8001]) AS us) AS times;
SELECT timeshard_last_before('-infinity') AS minus_infinity, timeshard_last_before(:'epoch') AS epoch,
       timeshard_last_before('4714-11-24 BC') AS first_time, timeshard_last_before('294276-12-31') AS last_time, timeshard_last_before('infinity') AS infinity,
       timeshard_last_before(now()) = timeshard_lower_bound(now()) - 1 AS now;
SELECT timeshard_last_before(:'exhausted_at'::timestamptz - interval '1 ms') AS last_ms,
       timeshard_last_before(:'exhausted_at'::timestamptz - interval '1 ms' + interval '1 us') AS past_it, timeshard_last_before(:'exhausted_at') AS past;

-- Ranges are half open and reach to the ends
CREATE TABLE moments AS
SELECT ms, timeshard_lower_bound(:'epoch'::timestamptz + ms * interval '1 ms') + 5 AS id FROM generate_series(0, 9) AS ms;
INSERT INTO moments VALUES (-1, 9223372036854775807);
CREATE FUNCTION ms_between(since text, until text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(ms::text, ' ' ORDER BY id) FROM moments, timeshard_config() AS c
    WHERE timeshard_between(id, CASE WHEN since ~ 'ms$' THEN c.epoch + since::interval ELSE since::timestamptz END,
                                CASE WHEN until ~ 'ms$' THEN c.epoch + until::interval ELSE until::timestamptz END)
$$;
SELECT since, until, ms_between(since, until)
FROM (VALUES ('2 ms', '5 ms'), ('2.001 ms', '5.001 ms'), ('1.999 ms', '4.999 ms'), ('2 ms', '2 ms'), ('5 ms', '2 ms'), ('-infinity', '3 ms'),
             ('7 ms', 'infinity'), ('-infinity', 'infinity'), ('infinity', '-infinity'), ('1900-01-01', '3 ms'),
             ('7 ms', '200000-01-01'), ('-infinity', '-infinity'), ('infinity', 'infinity'), (NULL, '3 ms'), ('3 ms', NULL)) AS ranges (since, until);
-- True or false for each ID and each pair of times, as by timeshard_time, so that NOT gives the other rows; negative numbers are no IDs
CREATE TABLE edges AS
SELECT id FROM (VALUES (-1), (0), (4194303), (4194304), (9223372036850581503), (9223372036850581504), (9223372036854775807)) AS ids (id);
CREATE TABLE times AS
SELECT at FROM unnest(ARRAY['-infinity', :'epoch'::timestamptz - interval '1 us', :'epoch', :'epoch'::timestamptz + interval '1 us',
                            :'exhausted_at'::timestamptz - interval '2 ms', :'exhausted_at'::timestamptz - interval '1 ms',
                            :'exhausted_at'::timestamptz - interval '1 ms' + interval '1 us', :'exhausted_at', 'infinity']) AS at;
SELECT count(*) AS tried, count(*) FILTER (WHERE timeshard_between(id, since, until)) AS inside,
       count(*) FILTER (WHERE NOT timeshard_between(id, since, until)) AS outside,
       count(*) FILTER (WHERE timeshard_between(id, since, until) IS DISTINCT FROM
                              (id >= 0 AND timeshard_time(greatest(id, 0)) >= since AND timeshard_time(greatest(id, 0)) < until)) AS wrong
FROM edges, (SELECT s.at AS since, u.at AS until FROM times AS s, times AS u) AS pairs;
SELECT count(*) AS all_rows FROM edges WHERE NOT timeshard_between(id, 'infinity', 'infinity');
SELECT id FROM edges WHERE timeshard_between(id, :'exhausted_at'::timestamptz - interval '1 ms', 'infinity') ORDER BY id;
SELECT id FROM edges WHERE NOT timeshard_between(id, '-infinity', :'exhausted_at') ORDER BY id;
-- What is not known is null
SELECT timeshard_between(NULL, '-infinity', 'infinity') IS NULL AS id, timeshard_between(1, NULL, 'infinity') IS NULL AS since,
       timeshard_between(1, '-infinity', NULL) IS NULL AS until;
DROP TABLE edges, times;
DROP FUNCTION ms_between;
DROP TABLE moments;

-- Errors
\set SHOW_CONTEXT never
\set VERBOSITY terse
SELECT timeshard_time(-1);
SELECT timeshard_time(1, -1);
SELECT timeshard_lower_bound(now(), 253402300800000);
SELECT timeshard_lower_bound('infinity');
SELECT timeshard_lower_bound('-infinity');
EXPLAIN SELECT FROM timeshard_next_id() AS id WHERE id >= timeshard_lower_bound('infinity');
SELECT timeshard_lower_bound(:'epoch'::timestamptz - interval '1 us');
SELECT timeshard_lower_bound(:'exhausted_at'::timestamptz - interval '1 ms' + interval '1 us');
SELECT timeshard_lower_bound('294276-12-31', 0);
\set VERBOSITY default
SELECT timeshard_lower_bound('1970-01-01 00:00:01+00', 2000);
SELECT timeshard_time(NULL) IS NULL AS id, timeshard_time(1, NULL) IS NULL AS epoch, timeshard_lower_bound(NULL) IS NULL AS at;
