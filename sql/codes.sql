-- Short codes
SELECT id, timeshard_encode(id) FROM (VALUES (0), (31), (32), (388400145978465528), (9223372036854775807)) AS ids (id);
SELECT code, timeshard_decode(code)
FROM (VALUES ('0000000000000'), ('0ARYZVZXW377R'), ('0aryzvzxw377r'), ('oOiIlL0000000'), ('7ZZZZZZZZZZZZ')) AS codes (code);
SELECT timeshard_decode(timeshard_encode(id)) = id AS back, timeshard_decode(lower(timeshard_encode(id))) = id AS in_lower_case
FROM timeshard_next_id() AS id;
SELECT string_agg(id::text, ' ' ORDER BY timeshard_encode(id) COLLATE "C") AS in_order
FROM (VALUES (9223372036854775807), (9), (10), (4194304), (388400145978465528)) AS ids (id);
SELECT timeshard_encode(NULL) IS NULL AS id, timeshard_decode(NULL) IS NULL AS code;

-- A key that people type, held to its form, and one that follows the number
CREATE TABLE coupons (
    code text COLLATE "C" PRIMARY KEY DEFAULT timeshard_encode(timeshard_next_id()) CHECK (code = timeshard_encode(timeshard_decode(code)))
);
INSERT INTO coupons DEFAULT VALUES RETURNING length(code);
\set SHOW_CONTEXT never
INSERT INTO coupons VALUES ('0aryzvzxw377r');
CREATE TABLE links (
    id bigint PRIMARY KEY DEFAULT timeshard_next_id(),
    code text GENERATED ALWAYS AS (timeshard_encode(id)) STORED
);
INSERT INTO links VALUES (388400145978465528) RETURNING code;
DROP TABLE coupons, links;

-- Errors
SELECT timeshard_encode(-1);
SELECT timeshard_decode('');
SELECT timeshard_decode('0ARYZVZXW377');
SELECT timeshard_decode('0ARYZVZXW377RR');
SELECT timeshard_decode('0ARYZVZXW377U');
SELECT timeshard_decode('0ARYZ-ZXW377R');
SELECT timeshard_decode('注文');
SELECT timeshard_decode('8000000000000');
\echo :LAST_ERROR_SQLSTATE
SELECT timeshard_decode(repeat('x', 1000));
