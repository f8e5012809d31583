\echo Use "ALTER EXTENSION timeshard UPDATE TO '0.2.0'" to load this file. \quit

-- 0.2.0 brings the manual; nothing in the database changes.
