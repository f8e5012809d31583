-- Runs on any server that has the extension installed, whatever its node ID,
-- layout and load mode. First, so that it creates what the others use, and takes the
-- first ID: where no node ID is configured, both warn.
SET client_min_messages = error;
CREATE EXTENSION timeshard;
DO 'BEGIN PERFORM timeshard_next_id(); END';
RESET client_min_messages;

-- Functions, with volatility, strictness and parallel safety as promised
SELECT p.oid::regprocedure AS function, pg_get_function_result(p.oid) AS returns,
       p.provolatile AS vol, p.proisstrict AS strict, p.proparallel AS par, p.prosecdef AS definer
FROM pg_proc p
JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'timeshard'
ORDER BY p.oid::regprocedure::text COLLATE "C";

-- Every object of the extension has a comment, every column of its type and view too
SELECT pg_describe_object(d.classid, d.objid, 0) AS without_comment
FROM pg_depend d
JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'timeshard'
WHERE d.deptype = 'e' AND obj_description(d.objid, d.classid::regclass::name) IS NULL
-- from 17 the types of arrays and relations, which the server makes by itself, are members too
AND NOT EXISTS (SELECT FROM pg_type t WHERE d.classid = 'pg_type'::regclass AND t.oid = d.objid
    AND (t.typarray = 0 AND t.typelem <> 0 OR EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind <> 'c')));
SELECT attrelid::regclass, attname AS without_comment
FROM pg_attribute
WHERE attrelid IN ('timeshard_parts'::regclass, 'timeshard_types'::regclass) AND attnum > 0 AND col_description(attrelid, attnum) IS NULL;

-- Anyone may use all of it but what moves the floor, accepts the clock, creates types, seals
-- and claims; what is behind the registry's functions is for nobody
SELECT string_agg(p.proname, ' ' ORDER BY p.proname) FILTER (WHERE NOT has_function_privilege('public', p.oid, 'EXECUTE')
        AND p.proname !~ '^timeshard_registry_|_as_owner$') AS not_for_public,
    bool_and(NOT has_function_privilege('public', p.oid, 'EXECUTE')) FILTER (WHERE p.proname ~ '^timeshard_registry_|_as_owner$') AS behind
FROM pg_proc p
JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'timeshard';

-- Dropped and created again it goes on above the last ID; no data is lost
CREATE TABLE kept (id bigint PRIMARY KEY);
INSERT INTO kept SELECT timeshard_next_id() FROM generate_series(1, 1000);
DROP EXTENSION timeshard;
SELECT count(*) FROM kept;
CREATE SCHEMA elsewhere;
SET client_min_messages = error;
CREATE EXTENSION timeshard SCHEMA elsewhere;
RESET client_min_messages;
SELECT elsewhere.timeshard_next_id() > max(id) AS above FROM kept;

-- In any schema, under any search path
ALTER EXTENSION timeshard SET SCHEMA public;
SELECT timeshard_next_id() > max(id) AS above FROM kept;
CREATE FUNCTION elsewhere.format(text, VARIADIC "any") RETURNS text LANGUAGE internal IMMUTABLE AS 'text_format_nv';
CREATE FUNCTION elsewhere.timeshard_config() RETURNS integer LANGUAGE sql RETURN 1;
SET search_path = elsewhere, pg_catalog, public;
SELECT public.timeshard_config_info() LIKE 'allocation     41-%' AS informed;
RESET search_path;
DROP FUNCTION elsewhere.format(text, VARIADIC "any");
DROP FUNCTION elsewhere.timeshard_config();

-- A default holds the extension
CREATE TABLE keyed (id bigint PRIMARY KEY DEFAULT timeshard_next_id());
DROP EXTENSION timeshard;
DROP TABLE keyed, kept;
DROP SCHEMA elsewhere;
