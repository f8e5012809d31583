-- timeshard_largest_ids(): what the floor has to be above. Times are relative, so that it
-- passes on any day; other tests' tables are not in the schema that is looked at.
CREATE SCHEMA restored;
SET search_path = restored, public;
SELECT timeshard_lower_bound(now() + '1 hour') + 1 AS ahead \gset

CREATE VIEW found AS
    SELECT c.relname AS relation, l.key_column,
        round(extract(epoch FROM l.at - timeshard_time(:ahead)) / 60)::bigint AS minute, l.note
    FROM timeshard_largest_ids() AS l JOIN pg_class AS c ON c.oid = l.relation
    WHERE c.relnamespace = 'restored'::regnamespace;
-- An ID so many minutes after the first
CREATE FUNCTION id(minutes integer) RETURNS bigint LANGUAGE sql
    RETURN timeshard_lower_bound(timeshard_time(:ahead) + minutes * interval '1 minute') + 7;

-- Keys by a column's default, a domain's, a domain's over a domain, a trigger, fetched before the insert
CREATE TABLE by_default (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), n integer);
INSERT INTO by_default VALUES (id(1)), (id(0));
CREATE DOMAIN key AS bigint DEFAULT timeshard_next_id();
CREATE TABLE by_domain (id key PRIMARY KEY);
INSERT INTO by_domain VALUES (id(2));
CREATE DOMAIN order_key AS key CHECK (VALUE > 0);
CREATE TABLE by_domain_of_domain (id order_key UNIQUE);
INSERT INTO by_domain_of_domain VALUES (id(3)), (NULL);
CREATE TABLE by_trigger (id bigint PRIMARY KEY);
CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.id := restored.id(4); RETURN NEW; END';
CREATE TRIGGER fill BEFORE INSERT ON by_trigger FOR EACH ROW EXECUTE FUNCTION fill();
INSERT INTO by_trigger DEFAULT VALUES;
CREATE TABLE "Fetched 'before'" ("The ""ID""" bigint PRIMARY KEY);
INSERT INTO "Fetched 'before'" VALUES (id(5)), (-1);
CREATE TABLE empty (id bigint PRIMARY KEY);

-- Indexes: led by the column, two of them, not led by it, partial, of an expression, not unique
CREATE TABLE composite (id bigint, place integer, other bigint, PRIMARY KEY (id, place), UNIQUE (place, other), UNIQUE (id, other) INCLUDE (place));
INSERT INTO composite VALUES (id(6), 1, id(50));
CREATE TABLE partial (id bigint, deleted boolean);
CREATE UNIQUE INDEX ON partial (id) WHERE NOT deleted;
INSERT INTO partial VALUES (id(6), false), (id(7), true);
CREATE TABLE descending (id bigint);
CREATE UNIQUE INDEX ON descending (id DESC NULLS LAST);
INSERT INTO descending VALUES (id(8)), (id(7));
CREATE TABLE expression (id bigint);
CREATE UNIQUE INDEX ON expression ((id + 0));
INSERT INTO expression VALUES (id(50));
CREATE TABLE not_unique (id bigint);
CREATE INDEX ON not_unique (id);
INSERT INTO not_unique VALUES (id(50));
CREATE TABLE other_types (a text UNIQUE, b integer UNIQUE, c numeric UNIQUE);
INSERT INTO other_types VALUES (timeshard_format(id(50), 'A_'), 1, id(50));
CREATE TABLE dropped (gone integer, id bigint UNIQUE);
ALTER TABLE dropped DROP COLUMN gone;
INSERT INTO dropped VALUES (id(9));

-- A default without a unique index, a column's and a domain's
CREATE TABLE only_default (id bigint DEFAULT timeshard_next_id());
INSERT INTO only_default VALUES (id(14));
CREATE TABLE only_default_of_domain (id key);
INSERT INTO only_default_of_domain VALUES (id(15));

-- Types of keys in either style, a domain over one; their owner's casts and operators are not asked
SELECT timeshard_create_type('typed', 'TYP_') IS NOT NULL AS digits, timeshard_create_type('coded', 'COD_', 'code') IS NOT NULL AS code;
CREATE TABLE by_type (id typed PRIMARY KEY);
INSERT INTO by_type VALUES (id(17)), ((-1)::bigint);
CREATE TABLE by_default_of_type (id coded DEFAULT timeshard_next_id());
INSERT INTO by_default_of_type VALUES (id(18));
CREATE DOMAIN typed_domain AS typed;
CREATE TABLE by_domain_of_type (id typed_domain UNIQUE);
INSERT INTO by_domain_of_type VALUES (id(19)::typed), (NULL);
CREATE FUNCTION trap(typed) RETURNS bigint LANGUAGE sql RETURN 1 / 0;
CREATE FUNCTION trap(typed_domain, typed) RETURNS boolean LANGUAGE sql RETURN 1 / 0 = 1;
DROP CAST (typed AS bigint);
CREATE CAST (typed AS bigint) WITH FUNCTION trap(typed) AS IMPLICIT;
CREATE OPERATOR <= (FUNCTION = trap, LEFTARG = typed_domain, RIGHTARG = typed);
CREATE OPERATOR >= (FUNCTION = trap, LEFTARG = typed_domain, RIGHTARG = typed);

-- Partitions: one row for all of them, or for each where only they have an index; inheritance
CREATE TABLE parts (id bigint PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (MINVALUE) TO (1000) PARTITION BY HASH (id);
CREATE TABLE parts_low_0 PARTITION OF parts_low FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE TABLE parts_high PARTITION OF parts FOR VALUES FROM (1000) TO (MAXVALUE);
INSERT INTO parts VALUES (1), (id(10));
CREATE TABLE loose (id bigint) PARTITION BY LIST (id);
CREATE TABLE loose_rest PARTITION OF loose DEFAULT;
CREATE UNIQUE INDEX ON loose_rest (id);
CREATE UNIQUE INDEX loose_id ON ONLY loose (id);
INSERT INTO loose VALUES (id(11));
CREATE TABLE no_index (id bigint DEFAULT timeshard_next_id()) PARTITION BY LIST (id);
CREATE TABLE no_index_rest PARTITION OF no_index DEFAULT;
INSERT INTO no_index VALUES (id(16));
CREATE TABLE parent (id bigint PRIMARY KEY);
CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent);
INSERT INTO parent VALUES (id(12));
INSERT INTO child VALUES (id(13));
SELECT * FROM found ORDER BY minute, relation;

-- The end of each index is read, not the table
CREATE TABLE long (id bigint PRIMARY KEY);
INSERT INTO long SELECT n FROM generate_series(1, 20000) AS n;
ANALYZE long;
BEGIN;
SELECT seq_scan AS before FROM pg_stat_xact_user_tables WHERE relname = 'long' \gset
SELECT count(*) FROM found WHERE relation = 'long';
SELECT seq_scan - :before AS whole, idx_scan > 0 AS by_index FROM pg_stat_xact_user_tables WHERE relname = 'long';
ROLLBACK;

CREATE TABLE long_typed (id typed_domain PRIMARY KEY);
INSERT INTO long_typed SELECT n::bigint::typed FROM generate_series(1, 20000) AS n;
ANALYZE long_typed;
BEGIN;
SELECT seq_scan AS before FROM pg_stat_xact_user_tables WHERE relname = 'long_typed' \gset
SELECT count(*) FROM found WHERE relation = 'long_typed';
SELECT seq_scan - :before AS whole, idx_scan > 0 AS by_index FROM pg_stat_xact_user_tables WHERE relname = 'long_typed';
ROLLBACK;

-- Values that cannot be IDs: a few are told of; of many, nothing counts that is ahead of the clock
INSERT INTO by_default VALUES (9223372036854775807), (id(2000));
INSERT INTO empty SELECT 9223372036854775807 - n FROM generate_series(1, 150) AS n;
SELECT * FROM found WHERE relation IN ('by_default', 'empty') ORDER BY relation;
INSERT INTO empty VALUES (id(-120));
SELECT * FROM found WHERE relation = 'empty';
INSERT INTO empty VALUES (id(14));
SELECT * FROM found WHERE relation = 'empty';
DELETE FROM empty;
DELETE FROM by_default WHERE id > id(1);

-- Nothing that the caller cannot read is missed silently: a table, a schema, rows
CREATE ROLE timeshard_regress_reader;
GRANT USAGE ON SCHEMA restored TO timeshard_regress_reader;
GRANT SELECT ON by_default, found, parts TO timeshard_regress_reader;
GRANT SELECT (id) ON by_domain TO timeshard_regress_reader;
GRANT SELECT ON by_trigger TO timeshard_regress_reader;
ALTER TABLE by_trigger ENABLE ROW LEVEL SECURITY;
CREATE SCHEMA hidden;
CREATE TABLE hidden.secret (id bigint PRIMARY KEY);
GRANT SELECT ON hidden.secret TO timeshard_regress_reader;
SET client_min_messages = error;
SET ROLE timeshard_regress_reader;
SELECT c.relname, l.largest IS NULL AS unknown, l.note
FROM timeshard_largest_ids() AS l JOIN pg_class AS c ON c.oid = l.relation
WHERE c.relname IN ('by_default', 'by_domain', 'by_trigger', 'parts', 'parts_high', 'secret') ORDER BY 1;
RESET ROLE;
RESET client_min_messages;

-- Not by what stands in the caller's search_path
CREATE FUNCTION restored.ge(bigint, integer) RETURNS boolean LANGUAGE sql RETURN 1 / 0 = 1;
CREATE OPERATOR restored.>= (FUNCTION = restored.ge, LEFTARG = bigint, RIGHTARG = integer);
CREATE FUNCTION restored.clock_timestamp() RETURNS timestamptz LANGUAGE sql RETURN '2001-01-01'::timestamptz;
CREATE FUNCTION restored.timeshard_time(bigint) RETURNS timestamptz LANGUAGE sql RETURN '2001-01-01'::timestamptz;
SET search_path = restored, pg_catalog, public;
SELECT relation, largest = restored.id(1) AS found FROM public.timeshard_largest_ids() WHERE relation = 'by_default'::regclass;
RESET search_path;

SELECT timeshard_raise_floor(max(largest)) FROM timeshard_largest_ids() WHERE false;
DROP OWNED BY timeshard_regress_reader;
DROP ROLE timeshard_regress_reader;
SET client_min_messages = error;
DROP SCHEMA restored, hidden CASCADE;
