\echo Use "ALTER EXTENSION timeshard UPDATE TO '1.0.0'" to load this file. \quit

-- 1.0.0 brings the manual's part on many servers; nothing in the database changes.
