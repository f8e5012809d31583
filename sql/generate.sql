-- Rising, distinct, positive; of this server and of now
CREATE TABLE ids (n serial, id bigint);
INSERT INTO ids (id) SELECT timeshard_next_id() FROM generate_series(1, 100000);
SELECT count(DISTINCT id), min(id) > 0 AS positive FROM ids;
SELECT count(*) AS out_of_order
FROM (SELECT id, lag(id) OVER (ORDER BY n) AS previous FROM ids) AS pairs
WHERE id <= previous;
SELECT DISTINCT node_id = (SELECT node_id FROM timeshard_config()) AS ours
FROM ids, timeshard_parse(id);
SELECT count(*) AS wrong_time
FROM (SELECT clock_timestamp() AS before, timeshard_next_id() AS id, clock_timestamp() AS after
      FROM generate_series(1, 10000)) AS calls, timeshard_parse(id) AS parts
WHERE parts.datetime < date_trunc('milliseconds', before) OR parts.datetime > after;

-- Called anew for every row, never folded into a constant
SELECT count(DISTINCT id) FROM (SELECT timeshard_next_id() AS id FROM generate_series(1, 100)) AS s;
CREATE TABLE executed (id bigint PRIMARY KEY);
DO $$
BEGIN
    FOR i IN 1..20 LOOP
        INSERT INTO executed VALUES (timeshard_next_id());
    END LOOP;
END
$$;
SELECT count(*) FROM executed;

-- Prefixes: 19 digits and the prefix where it belongs
SELECT timeshard_next_id_with_prefix('ORD_') ~ '^ORD_\d{19}$' AS leading,
       timeshard_next_id_with_prefix('') ~ '^\d{19}$' AS empty,
       timeshard_next_id_with_prefix('42') ~ '^42\d{19}$' AS digits,
       timeshard_next_id_with_prefix('größe·注文-') ~ '^größe·注文-\d{19}$' AS multibyte;
SELECT at, timeshard_prefix_at('-TAX-', at) ~ format('^\d{%s}-TAX-\d{%s}$', at, 19 - at) AS placed
FROM generate_series(0, 19) AS at;
SELECT length(timeshard_next_id_with_prefix(repeat('x', 10000000))) AS long_prefix;

-- Text order is ID order
CREATE TABLE texts (n serial, id text);
INSERT INTO texts (id) SELECT timeshard_next_id_with_prefix('TXN_') FROM generate_series(1, 10000);
SELECT count(*) AS out_of_order
FROM (SELECT id, lag(id) OVER (ORDER BY n) AS previous FROM texts) AS pairs
WHERE id <= previous;

-- NULL in, NULL out, and no ID taken for it
SELECT timeshard_next_id_with_prefix(NULL) IS NULL AS prefix,
       timeshard_prefix_at(NULL, 4) IS NULL AS inserted,
       timeshard_prefix_at('x', NULL) IS NULL AS position;

-- Bad input: a clear error, and the session goes on
\set SHOW_CONTEXT never
SELECT timeshard_prefix_at('x', -1);
SELECT timeshard_prefix_at('x', 20);
SELECT timeshard_prefix_at('x', 2147483647);
SELECT timeshard_prefix_at('x', -2147483648);
SELECT timeshard_next_id() > 0 AS goes_on;

DROP TABLE ids, executed, texts;
