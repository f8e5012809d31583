-- Types of keys: eight bytes that show a prefix
\set VERBOSITY default
\set SHOW_CONTEXT never
SET timezone = 'UTC';
-- Where no node ID is configured, the first ID warns.
SET client_min_messages = error;
DO 'BEGIN PERFORM timeshard_next_id(); END';
RESET client_min_messages;
CREATE SCHEMA shop;
SET search_path = shop, public;
SELECT timeshard_create_type('order_id', 'ORD_') AS digits, timeshard_create_type('customer_id', 'CUS_', style => 'code') AS code;
SELECT * FROM timeshard_types WHERE type::text LIKE '%r_id' ORDER BY prefix;

-- Text: the type's own prefix, with digits or a code; the style is how it is shown
SELECT 'ORD_0390236751975849984'::order_id AS digits, 'ORD_0ARYZVZXW377R'::order_id AS from_code,
    'CUS_0388400145978465528'::customer_id AS code, 'CUS_0aryzvzxw377r'::customer_id AS lower_case;
SELECT '{ORD_0390236751975849984,NULL}'::order_id[] AS array;
SELECT text::order_id, text::order_id::bigint
FROM (VALUES ('ORD_0000000000000000000'), ('ORD_9223372036854775807'), ('ORD_7ZZZZZZZZZZZZ'),
    ('ORD_-0000000000000000001'), ('ORD_-9223372036854775808'), ('ORD_-8000000000000')) AS texts (text);
SELECT (-1)::bigint::customer_id AS below_zero, (-1)::bigint::customer_id::text::customer_id::bigint AS back;
SELECT order_id_in('ORD_0390236751975849984') AS input, order_id_out('ORD_0390236751975849984') AS output,
    order_id_send('ORD_0390236751975849984') AS send, order_id_from_text('ORD_0390236751975849984') AS from_text;

-- Everything else is refused
SELECT 'CUS_0390236751975849984'::order_id;
SELECT 'ORD_390236751975849984'::order_id;
SELECT '0390236751975849984'::order_id;
SELECT 'ord_0390236751975849984'::order_id;
SELECT ' ORD_0390236751975849984'::order_id;
SELECT 'ORD_9223372036854775808'::order_id;
SELECT 'ORD_-0000000000000000000'::order_id;
SELECT ''::order_id;
SELECT repeat('注', 100)::order_id;
\echo :LAST_ERROR_SQLSTATE
SELECT 390236751975849984::order_id AS from_bigint, 5::bigint::order_id AS small, 'ORD_0000000000000000005'::order_id::bigint AS to_bigint;
SELECT 5::order_id;
SELECT 'ORD_0000000000000000005'::order_id::integer;

-- A table
CREATE TABLE customers (id customer_id PRIMARY KEY DEFAULT timeshard_next_id(), name text);
CREATE TABLE orders (id order_id PRIMARY KEY DEFAULT timeshard_next_id(), customer customer_id REFERENCES customers, item text);
WITH made AS (INSERT INTO customers (name) VALUES ('Ada') RETURNING id)
SELECT id::text ~ '^CUS_0[0-9A-Z]{12}$' AS shown, customer_id_time(id) > now() - interval '1 hour' AS timed FROM made;
INSERT INTO customers VALUES ('CUS_0000000000000000007', 'Grace');
INSERT INTO orders VALUES ('ORD_0000000000000000001', 'CUS_0000000000000000007', 'lamp'), (2::bigint, 7::bigint, 'chair') RETURNING *;
INSERT INTO orders VALUES (3, 7, 'rug');
INSERT INTO orders VALUES ('ORD_0000000000000000003', 'CUS_0000000000000000008', 'rug');
SELECT o.* FROM orders AS o JOIN customers AS c ON o.customer = c.id WHERE o.id = 'ORD_0000000000000000001';
SELECT * FROM orders WHERE id = 'CUS_0000000000000000001';
\set VERBOSITY terse
SELECT * FROM orders JOIN customers ON orders.id = customers.id;
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM orders WHERE id = 1::bigint;
\set VERBOSITY default
SELECT * FROM orders WHERE id = 'ORD_0000000000000000001'::text OR id = ANY ('{ORD_0000000000000000002}'::varchar[]) ORDER BY id DESC;
SELECT min(id), max(id), count(DISTINCT id) FROM orders;
SELECT id FROM orders WHERE id BETWEEN 'ORD_0000000000000000002' AND 'ORD_9223372036854775807';
DELETE FROM customers WHERE id = 'CUS_0000000000000000007';

-- Time
SELECT order_id_time(id) = timeshard_time(id::bigint) AS time, to_jsonb(order_id_parse(id)) = to_jsonb(timeshard_parse(id::bigint)) AS parts
FROM (SELECT timeshard_next_id()::order_id AS id) AS made;
SELECT bool_and(order_id_between(id::bigint::order_id, since, until) IS NOT DISTINCT FROM timeshard_between(id, since, until)) AS between
FROM (SELECT 0 UNION ALL SELECT timeshard_next_id()) AS ids (id),
    (VALUES (NULL), ('-infinity'), (now() - interval '1 minute'), ('infinity')) AS sinces (since),
    (VALUES (NULL), ('-infinity'), (now() + interval '1 minute'), ('infinity')) AS untils (until);
SELECT order_id_time('ORD_-0000000000000000001');
PREPARE not_ambiguous AS SELECT timeshard_time($1);
SELECT timeshard_time('0');

-- What cannot be null, a name, a prefix or a style
SELECT timeshard_create_type(NULL, 'A');
SELECT timeshard_create_type('a', NULL);
SELECT timeshard_create_type('a', 'A', NULL);
SELECT timeshard_create_type('a', 'A', 'words');
SELECT timeshard_create_type('a', '');
SELECT timeshard_create_type('a', repeat('A', 33));
SELECT timeshard_create_type('a', '_A');
SELECT timeshard_create_type('a', '1A');
SELECT timeshard_create_type('a', 'A1');
SELECT timeshard_create_type('a', 'A"); DROP TABLE orders; --');
SELECT timeshard_create_type('a', 'A%s');
SELECT timeshard_create_type('a', E'A\\');
SELECT timeshard_create_type('a', 'Ä');
SELECT timeshard_create_type('', 'A');
SELECT timeshard_create_type('""', 'A');
SELECT timeshard_create_type('a b', 'A');
SELECT timeshard_create_type('a.b.c', 'A');
SELECT timeshard_create_type('nowhere.a', 'A');
SELECT timeshard_create_type('pg_catalog.a', 'A');
\set VERBOSITY terse
SELECT timeshard_create_type('pg_temp.a', 'A');
\set VERBOSITY default
SELECT timeshard_create_type('information_schema.a', 'A');
SELECT timeshard_create_type(repeat('a', 50), 'A');
SELECT timeshard_create_type('order_id', 'A');
SELECT timeshard_create_type('orders', 'A');
SELECT timeshard_create_type('_order_id', 'A');
SELECT count(*) FROM timeshard_types;

-- The longest name, and names and prefixes that take quotes
SELECT timeshard_create_type(repeat('a', 49), repeat('A', 32)) AS longest;
SELECT timeshard_create_type('"It''s 100%s {of} ""it"" \"', 'a.b:c-_') AS quoted;
SELECT timeshard_create_type('"select"', 'select') AS keyword, timeshard_create_type('注文', 'in') AS other_script,
    timeshard_create_type('ORDER_KEY', 'A') AS folded;
SELECT 'a.b:c-_0000000000000000001'::"It's 100%s {of} ""it"" \" AS quoted, 'select0000000000000000001'::"select" AS keyword,
    'in0000000000000000001'::注文 AS other_script;
SELECT type, prefix FROM timeshard_types ORDER BY type::text COLLATE "C";
SELECT count(timeshard_drop_type(type)) FROM timeshard_types WHERE prefix NOT IN ('ORD_', 'CUS_');

-- What a type leaves behind: nothing
SELECT timeshard_drop_type('order_id');
DROP TABLE orders, customers;
CREATE VIEW uses AS SELECT 'ORD_0000000000000000001'::order_id AS id;
SELECT timeshard_drop_type('order_id');
DROP VIEW uses;
SELECT timeshard_drop_type('order_id'), timeshard_drop_type('customer_id');
SELECT count(*) FROM timeshard_types;
SELECT relname, count(*) FROM (
    SELECT 'pg_type' AS relname FROM pg_type WHERE typnamespace = 'shop'::regnamespace
    UNION ALL SELECT 'pg_proc' FROM pg_proc WHERE pronamespace = 'shop'::regnamespace
    UNION ALL SELECT 'pg_operator' FROM pg_operator WHERE oprnamespace = 'shop'::regnamespace
    UNION ALL SELECT 'pg_opclass' FROM pg_opclass WHERE opcnamespace = 'shop'::regnamespace
    UNION ALL SELECT 'pg_opfamily' FROM pg_opfamily WHERE opfnamespace = 'shop'::regnamespace) AS objects GROUP BY relname;
SELECT timeshard_drop_type('bigint');
SELECT timeshard_drop_type('timeshard_parts');
SELECT timeshard_drop_type(NULL);
SELECT timeshard_drop_type(1::oid);

-- Dropped by DROP TYPE, it can be created again; renamed and moved, it is dropped whole
SELECT timeshard_create_type('order_id', 'ORD_');
SET client_min_messages = error;
DROP TYPE order_id CASCADE;
RESET client_min_messages;
SELECT timeshard_create_type('order_id', 'ORD_');
ALTER TYPE order_id RENAME TO "Order ID";
ALTER TYPE "Order ID" SET SCHEMA public;
SELECT type, prefix FROM timeshard_types;
SELECT timeshard_drop_type('"Order ID"');
SET client_min_messages = error;
DROP SCHEMA shop CASCADE;
RESET client_min_messages;
SELECT opfname FROM pg_opfamily WHERE opfname = 'order_id_ops';
