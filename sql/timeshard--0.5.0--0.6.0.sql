\echo Use "ALTER EXTENSION timeshard UPDATE TO '0.6.0'" to load this file. \quit

-- 0.6.0 brings speed and the benchmark that shows it; nothing in the database changes.
