-- The ten uses of doc/uses.md, one after the other. On a server with Timeshard installed:
--
--     psql -v ON_ERROR_STOP=1 -f doc/examples.sql
--
-- All is made in the schema timeshard_examples, which is dropped first and left for you to look at:
-- DROP SCHEMA timeshard_examples CASCADE removes it.

CREATE EXTENSION IF NOT EXISTS timeshard;
DROP SCHEMA IF EXISTS timeshard_examples CASCADE;
CREATE SCHEMA timeshard_examples;
SET search_path = timeshard_examples, public;


-- 1. Readable operations
-- ----------------------
\echo '1. Readable operations'

-- A ticket that says TXN_0390233979859673088 needs no question "which table is that from?". Keep the number as
-- the key, and let a generated column carry the text:
CREATE TABLE transactions (
    id        bigint PRIMARY KEY DEFAULT timeshard_next_id(),
    reference text GENERATED ALWAYS AS (timeshard_format(id, 'TXN_')) STORED UNIQUE,
    amount    numeric NOT NULL
);
INSERT INTO transactions (amount) VALUES (19.90) RETURNING reference, amount;

-- Where the text is enough as a key, make it the default, and let a check keep strangers out:
CREATE TABLE orders (
    id   text COLLATE "C" PRIMARY KEY DEFAULT timeshard_next_id_with_prefix('ORD_') CHECK (id LIKE 'ORD\_%'),
    item text NOT NULL
);
CREATE TABLE payments (
    id       text COLLATE "C" PRIMARY KEY DEFAULT timeshard_next_id_with_prefix('PMT_') CHECK (id LIKE 'PMT\_%'),
    order_id text COLLATE "C" NOT NULL REFERENCES orders
);
WITH o AS (INSERT INTO orders (item) VALUES ('lamp') RETURNING id)
INSERT INTO payments (order_id) SELECT id FROM o RETURNING id, order_id;


-- 2. Namespaces for services
-- --------------------------
\echo '2. Namespaces for services'

-- Each service has a database server of its own, with a node ID of its own. Their events come together in one
-- table, and nothing collides: the node IDs differ. The prefix tells the service, and the node ID tells the
-- server.
CREATE TABLE events (
    id   text COLLATE "C" PRIMARY KEY,
    body text
);
-- As they arrive from the order service (node 1) and the payment service (node 2).
INSERT INTO events VALUES
    ('ORD_0390233979854262272', 'order placed'),
    ('PMT_0390233979858460672', 'payment taken'),
    ('ORD_0390233980462436352', 'order shipped');

SELECT left(id, 4) AS service, (timeshard_parse(id)).node_id, count(*) FROM events GROUP BY 1, 2 ORDER BY 1;

-- A namespace is a prefix search. In LIKE, _ stands for any character, so escape it. With COLLATE "C" on the
-- column, the primary key's index serves the search and its order:
INSERT INTO events SELECT timeshard_next_id_with_prefix('USR_') FROM generate_series(1, 10000);
INSERT INTO events SELECT timeshard_next_id_with_prefix('ORD_') FROM generate_series(1, 1000);
VACUUM ANALYZE events;

EXPLAIN (COSTS OFF) SELECT * FROM events WHERE id LIKE 'ORD\_%' ORDER BY id LIMIT 20;

-- ^@ (starts with) needs no escape and takes the same index:
EXPLAIN (COSTS OFF) SELECT count(*) FROM events WHERE id ^@ 'ORD_';

-- A column with another collation needs a second index for it. Without, the whole table is read:
CREATE TABLE events_other (id text COLLATE "en-x-icu" PRIMARY KEY, body text);
INSERT INTO events_other SELECT * FROM events;
VACUUM ANALYZE events_other;
EXPLAIN (COSTS OFF) SELECT * FROM events_other WHERE id LIKE 'ORD\_%';

CREATE INDEX events_other_prefix ON events_other (id text_pattern_ops);
EXPLAIN (COSTS OFF) SELECT * FROM events_other WHERE id LIKE 'ORD\_%';

-- The planner must see the pattern. In a prepared statement with a generic plan, LIKE $1 reads the whole table;
-- write the prefix into the statement.

-- 3. Correlation IDs
-- ------------------
\echo '3. Correlation IDs'

-- One ID follows a request through every service. The first service takes it, and gives it on in a header:
SELECT timeshard_next_id_with_prefix('REQ_') AS request \gset
\echo X-Request-ID: :request

-- As application_name, it is in pg_stat_activity and, with %a in log_line_prefix, in every line that PostgreSQL
-- logs for the request. It has room for 63 bytes.
SELECT set_config('application_name', :'request', false);
SELECT application_name, state FROM pg_stat_activity WHERE pid = pg_backend_pid();

-- In a table of log lines, a line's own ID gives the order, and the correlation ID gives the request:
CREATE TABLE log_lines (
    id         bigint PRIMARY KEY DEFAULT timeshard_next_id(),
    request_id text COLLATE "C" NOT NULL,
    service    text NOT NULL,
    line       text NOT NULL
);
CREATE INDEX ON log_lines (request_id, id);
INSERT INTO log_lines (request_id, service, line) VALUES
    (:'request', 'gateway', 'POST /orders'),
    (:'request', 'orders', 'order placed'),
    (:'request', 'payments', 'payment taken');

SELECT service, line FROM log_lines WHERE request_id = :'request' ORDER BY id;

RESET application_name;


-- 4. Third-party formats
-- ----------------------
\echo '4. Third-party formats'

-- A partner wants references of its own form: ACME- in front, or groups, or at most so many characters. The key
-- that you have is enough; nothing new has to be stored. timeshard_format is immutable, so an index on it finds
-- the row again, and so does the number that timeshard_parse gets out of it:
CREATE INDEX ON transactions (timeshard_format(id, 'ACME-'));

SELECT timeshard_format(390233979859673088, 'ACME-')   AS prefixed,
       timeshard_format(390233979859673088, '/', 10)   AS in_two_groups,
       length(timeshard_format(390233979859673088, 'ACME-')) AS characters;

-- A prefix that ends in a digit must be given on the way back, because the text does not tell where it ends:
SELECT id FROM timeshard_parse('ACME20390233979859673088', 'ACME2');

-- With the prefix, the partner's own texts without the zero parse too:
SELECT id FROM timeshard_parse('ACME2390233979859673088', 'ACME2');

-- To JavaScript and many JSON readers give the ID as text: their numbers hold 53 bits.
SELECT jsonb_build_object('id', 390233979859673089::text, 'as_a_double', 390233979859673089::float8) AS message;


-- 5. Compliance formats
-- ---------------------
\echo '5. Compliance formats'

-- A marker in front, or at a given position:
SELECT timeshard_next_id_with_prefix('TAX-')  AS tax,
       timeshard_prefix_at('-SWIFT-', 8)      AS swift,
       timeshard_next_id_with_prefix('AUD_')  AS audit;

-- An audit trail whose entries are numbered by the server, whatever the one who writes them gives (the table's
-- owner can still take the trigger away):
CREATE TABLE audit (
    id     text COLLATE "C" PRIMARY KEY GENERATED ALWAYS AS (timeshard_format(number, 'AUD_')) STORED,
    number bigint NOT NULL UNIQUE DEFAULT timeshard_next_id(),
    who    name NOT NULL DEFAULT current_user,
    what   text NOT NULL
);
CREATE FUNCTION number_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.number := timeshard_next_id();
    RETURN NEW;
END
$$;
CREATE TRIGGER number_audit BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION number_audit();

INSERT INTO audit (number, what) VALUES (1, 'read the file');
SELECT number > 1 AS numbered_by_the_server, what FROM audit;

-- IDs have gaps. A rule that wants invoice numbers without gaps wants a counter in a table.

-- 6. Indexing instead of UUIDs
-- ----------------------------
\echo '6. Indexing instead of UUIDs'

-- New keys go to the end of the index, where the last page is in memory. A UUIDv4 goes anywhere.
CREATE TABLE by_id   (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), n integer);
CREATE TABLE by_uuid (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), n integer);
INSERT INTO by_id (n)   SELECT generate_series(1, 50000);
INSERT INTO by_uuid (n) SELECT generate_series(1, 50000);
VACUUM ANALYZE by_id, by_uuid;

SELECT pg_relation_size('by_uuid_pkey') > 1.5 * pg_relation_size('by_id_pkey') AS uuid_index_is_half_as_large_again;
SELECT tablename, round(abs(correlation)::numeric, 1) AS correlation
FROM pg_stats WHERE attname = 'id' AND tablename IN ('by_id', 'by_uuid') ORDER BY 1;

-- A correlation of 1 says that index order is table order: reading the rows of an hour reads neighbouring pages.
-- A range of time is a range of IDs: the lowest ID of a moment is its milliseconds since the epoch, shifted by
-- 22 bits.
EXPLAIN (COSTS OFF) SELECT * FROM by_id WHERE id >= timeshard_lower_bound('2026-11-23 09:00:00+00', 1702385533000)
                                          AND id < timeshard_lower_bound('2026-11-23 10:00:00+00', 1702385533000);
SELECT count(*) FROM by_id WHERE timeshard_between(id, now() - interval '1 hour', 'infinity');

-- With the epoch given, the bound is a constant already when the query is planned.

-- 7. Many regions
-- ---------------
\echo '7. Many regions'

-- Cut the node IDs into ranges, and an ID tells its region. At ten bits, four regions of 256 servers:
CREATE TABLE regions (nodes int4range PRIMARY KEY, region text NOT NULL, EXCLUDE USING gist (nodes WITH &&));
INSERT INTO regions VALUES ('[0,255]', 'us-east'), ('[256,511]', 'eu-west'),
                           ('[512,767]', 'ap-south'), ('[768,1023]', 'spare');

CREATE TABLE logins (id bigint PRIMARY KEY);
-- Replicated from three regions: nodes 7, 298 and 513.
INSERT INTO logins VALUES (390233979858481152), (390233979859673088), (390233979860553728);

SELECT l.id, p.node_id, r.region
FROM logins AS l CROSS JOIN timeshard_parse(l.id) AS p JOIN regions AS r ON p.node_id <@ r.nodes
ORDER BY l.id;

-- No server asks another. Order between regions is as good as their clocks agree.

-- 8. Forensics
-- ------------
\echo '8. Forensics'

-- A transaction looks wrong. Its ID says when, on which server and as which of its millisecond it was made, also
-- when the row is gone:
SELECT datetime, node_id, sequence FROM timeshard_parse('TXN_0390233979859673091');

-- What else did that server do in the second around it, in any table with such a key:
INSERT INTO transactions (id, amount) VALUES (390233979859673088, 9.99), (390233979859673091, 9999);

SELECT t.reference, t.amount, p.datetime, p.sequence
FROM transactions AS t CROSS JOIN timeshard_parse(t.id) AS p
WHERE t.id BETWEEN 390233979859673091 - (500::bigint << 22) AND 390233979859673091 + (500::bigint << 22)
  AND p.node_id = 298
ORDER BY t.id;

-- Rows that were not made as they should have been: by a server that does not exist, or in the future.
INSERT INTO transactions (id, amount) VALUES (390233979862548480, 5), (9000000000000000000, 5);

SELECT t.id, p.node_id, p.datetime > now() AS in_the_future
FROM transactions AS t CROSS JOIN timeshard_parse(t.id) AS p
WHERE p.node_id NOT IN (298, (SELECT node_id FROM timeshard_config())) OR p.datetime > now()
ORDER BY t.id;

-- An ID is evidence, not proof: anyone who may write the column can make up a plausible one. To prove more, take
-- the right to write the column away, as in the audit trail.

-- 9. Event sourcing
-- -----------------
\echo '9. Event sourcing'

-- The ID orders events of all kinds, and the prefix tells the kind:
CREATE TABLE stream (
    id         bigint PRIMARY KEY DEFAULT timeshard_next_id(),
    kind       text NOT NULL,
    body       jsonb NOT NULL,
    written_by xid8 NOT NULL DEFAULT pg_current_xact_id()
);
INSERT INTO stream (kind, body) VALUES
    ('EVT_USER_', '{"user": 1}'), ('EVT_PAY_', '{"amount": 20}'), ('EVT_SHIP_', '{"order": 5}');

SELECT kind, body FROM stream ORDER BY id;

-- Replaying what is committed, in order of ID, is exact: if one call returned before another began, its event
-- comes first.
-- The limit: ID order is not commit order.
-- So a consumer must not go by the ID alone. It asks for the horizon, an ID below which nothing more can appear,
-- and in a later statement reads up to it; the horizon is its next cursor.
SELECT pg_sleep(0.01) \g /dev/null
SELECT timeshard_horizon() AS horizon \gset
SELECT kind FROM stream WHERE id >= 0 AND id < :horizon ORDER BY id;

-- Where IDs are inserted by another transaction than the one that took them: read by the writing transaction, only
-- those that are older than every running one, and keep both as the cursor.
CREATE INDEX ON stream (written_by, id);

SELECT kind FROM stream
WHERE (written_by, id) > ('0'::xid8, 0)
  AND written_by < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY written_by, id;

-- A long transaction that writes, in any database of the server, holds this consumer back until it ends. Logical
-- decoding, which delivers in commit order, is the third way.

-- 10. Shareable URLs
-- ------------------
\echo '10. Shareable URLs'

-- Nineteen digits are short enough for an address, hold no character that needs escaping, and come in any table:
SELECT 'https://example.com/orders/' || timeshard_format(390233979859673088, '') AS url;

-- They can be guessed, and they tell: when, on which server, and two of them how much time was between. Check
-- the right to see the page at every request, or share a random token in place of the ID:
CREATE TABLE invitations (
    id    bigint PRIMARY KEY DEFAULT timeshard_next_id(),
    token uuid NOT NULL UNIQUE DEFAULT gen_random_uuid()
);
INSERT INTO invitations DEFAULT VALUES;
SELECT length('https://example.com/join/' || token) AS characters FROM invitations;

-- Shorter, where the URL need not be secret: 13 characters for the ID itself.
SELECT timeshard_encode(390233979859673088) AS code, timeshard_decode('0ATK3QJTD5800') AS id;
-- As a column, with a prefix; what comes back in either case is found by the key.
CREATE TABLE shared_invoices (
    id   bigint PRIMARY KEY DEFAULT timeshard_next_id(),
    slug text GENERATED ALWAYS AS ('inv-' || lower(timeshard_encode(id))) STORED
);
INSERT INTO shared_invoices VALUES (390233979859673088) RETURNING slug;
SELECT id FROM shared_invoices WHERE id = timeshard_decode(substr('INV-0ATK3QJTD5800', 5));

-- Sharding by hash
-- ----------------
\echo 'Sharding by hash'

-- The lowest bits of an ID are the sequence, which starts at 0 in every millisecond. On a server that makes
-- fewer than one ID a millisecond, it nearly always *is* 0. So id % n puts everything on one shard:
CREATE TABLE quiet AS SELECT timeshard_next_id() AS id, pg_sleep(0.002)::text AS pause FROM generate_series(1, 200);

SELECT id % 4 AS shard, count(*) FROM quiet GROUP BY 1 ORDER BY 1;

-- Use a hash. PostgreSQL's own spreads the same IDs evenly:
SELECT count(*) AS shards, min(n) > 20 AS none_is_poor, max(n) < 80 AS none_is_rich
FROM (SELECT hashint8(id) & 3 AS shard, count(*) AS n FROM quiet GROUP BY 1) AS s;

-- and a table that is partitioned by hash does it by itself:
CREATE TABLE accounts (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), name text) PARTITION BY HASH (id);
CREATE TABLE accounts_0 PARTITION OF accounts FOR VALUES WITH (MODULUS 4, REMAINDER 0);
CREATE TABLE accounts_1 PARTITION OF accounts FOR VALUES WITH (MODULUS 4, REMAINDER 1);
CREATE TABLE accounts_2 PARTITION OF accounts FOR VALUES WITH (MODULUS 4, REMAINDER 2);
CREATE TABLE accounts_3 PARTITION OF accounts FOR VALUES WITH (MODULUS 4, REMAINDER 3);
INSERT INTO accounts (id) SELECT id FROM quiet;

SELECT tableoid::regclass AS partition, count(*) BETWEEN 20 AND 80 AS fair_share FROM accounts GROUP BY 1 ORDER BY 1;
