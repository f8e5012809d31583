-- An existing ID in text: always 19 digits
SELECT timeshard_format(0, 'ORD_'), timeshard_format(9223372036854775807, 'ORD_');
SELECT timeshard_format(173000000000000001, '-TAX-', 4);
SELECT timeshard_format(id => 42, prefix => '', at_position => 19);
SELECT at, timeshard_format(1234567890123456789, '~', at) FROM generate_series(0, 19) AS at;
SELECT timeshard_format(5, 'größe·注文-', 18);
SELECT timeshard_format(NULL, 'x') IS NULL AND timeshard_format(1, NULL) IS NULL
       AND timeshard_format(1, 'x', NULL) IS NULL AS nulls;

-- Immutable: an index can be built on it
CREATE TABLE orders (id bigint PRIMARY KEY);
INSERT INTO orders VALUES (5), (42);
CREATE INDEX ON orders (timeshard_format(id, 'ORD_'));
SELECT id FROM orders WHERE timeshard_format(id, 'ORD_') = 'ORD_0000000000000000042';
DROP TABLE orders;

-- Text order is ID order, under any collation
CREATE FUNCTION disorder(collation_name text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE found bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM (SELECT id, lag(id) OVER (ORDER BY timeshard_format(id, ''ORD_'') COLLATE pg_catalog.%I) AS before
        FROM unnest(ARRAY[0, 9, 10, 99, 999999999999999999, 1000000000000000000, 1099999999999999999, 9223372036854775807]::bigint[]) AS id) AS i
        WHERE before > id', collation_name) INTO found;
    RETURN found;
END
$$;
SELECT coalesce(sum(disorder(collname)), 0) AS out_of_order, count(*) > 0 AS some
FROM pg_collation WHERE collnamespace = 'pg_catalog'::regnamespace AND collisdeterministic AND collprovider <> 'd'
  AND collencoding IN (-1, (SELECT encoding FROM pg_database WHERE datname = current_database()));
DROP FUNCTION disorder(text);

-- Errors
\set SHOW_CONTEXT never
SELECT timeshard_format(-1, 'x');
SELECT timeshard_format(-9223372036854775808, 'x');
SELECT timeshard_format(1, 'x', -1);
SELECT timeshard_format(1, 'x', 20);

-- Their SQLSTATEs
CREATE FUNCTION sqlstate_of(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE command;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END
$$;
SELECT command, sqlstate_of(command) FROM (VALUES
    ('SELECT timeshard_format(-1, $q$x$q$)'),
    ('SELECT timeshard_format(1, $q$x$q$, 20)'),
    ('SELECT timeshard_prefix_at($q$x$q$, -1)'),
    ('SELECT timeshard_parse(-1)'),
    ('SELECT timeshard_parse($q$$q$::text)'),
    ('SELECT timeshard_parse($q$ORD_$q$)'),
    ('SELECT timeshard_parse($q$ORD_1$q$, $q$TXN_$q$)')
) AS commands (command);
DROP FUNCTION sqlstate_of(text);
