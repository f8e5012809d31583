\echo Use "ALTER EXTENSION timeshard UPDATE TO '0.8.0'" to load this file. \quit

-- 0.8.0 brings the ways to move in, and clients; nothing in the database changes.
