-- The ten uses of doc/uses.md, one after the other, with more SQL than the page shows. On a server with Timeshard installed:
--
--     psql -v ON_ERROR_STOP=1 -f doc/examples.sql
--
-- Everything is created in the schema timeshard_examples, which is dropped first and left for you to look at.
-- DROP SCHEMA timeshard_examples CASCADE removes it.

CREATE EXTENSION IF NOT EXISTS timeshard;
DROP SCHEMA IF EXISTS timeshard_examples CASCADE;
CREATE SCHEMA timeshard_examples;
SET search_path = timeshard_examples, public;


-- 1. Readable operations
-- ----------------------
\echo '1. Readable operations'

-- With TXN_0390233979859673088 in a ticket, nobody asks which table it is from. Keep the number as the key,
-- and generate the text:
CREATE TABLE transactions (
    id        bigint PRIMARY KEY DEFAULT timeshard_next_id(),
    reference text GENERATED ALWAYS AS (timeshard_format(id, 'TXN_')) STORED UNIQUE,
    amount    numeric NOT NULL
);
INSERT INTO transactions (amount) VALUES (19.90) RETURNING reference, amount;

-- Or make the text the key, and let a check reject other prefixes:
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

-- Each service has its own database server with its own node ID. Their events meet in one table without
-- collisions: the prefix names the service, the node ID the server.
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

-- Search by prefix with LIKE, and escape the _, or with ^@ (id ^@ 'ORD_'). With COLLATE "C", the primary key
-- serves the search and the order. With another collation, add an index: CREATE INDEX ON events (id
-- text_pattern_ops). Write the prefix into the statement: a generic plan of LIKE $1 reads the whole table.
INSERT INTO events SELECT timeshard_next_id_with_prefix('USR_') FROM generate_series(1, 10000);
INSERT INTO events SELECT timeshard_next_id_with_prefix('ORD_') FROM generate_series(1, 1000);
VACUUM ANALYZE events;

EXPLAIN (COSTS OFF) SELECT * FROM events WHERE id LIKE 'ORD\_%' ORDER BY id LIMIT 20;


-- 3. Correlation IDs
-- ------------------
\echo '3. Correlation IDs'

-- One ID follows a request through all services. The first one takes it, and passes it on in a header:
SELECT timeshard_next_id_with_prefix('REQ_') AS request \gset
\echo X-Request-ID: :request

-- As application_name (63 bytes at most) it is in pg_stat_activity and, with %a in log_line_prefix, in every
-- line that PostgreSQL logs:
SELECT set_config('application_name', :'request', false) AS request;
RESET application_name;

-- In a table of log lines, the line's own ID gives the order, and the correlation ID the request:
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


-- 4. Third-party formats
-- ----------------------
\echo '4. Third-party formats'

-- A partner wants references of another form. Nothing new has to be stored: timeshard_format is immutable, so
-- an index on it finds the row, as does the number that timeshard_parse extracts:
CREATE INDEX ON transactions (timeshard_format(id, 'ACME-'));

SELECT timeshard_format(390233979859673088, 'ACME-')   AS prefixed,
       timeshard_format(390233979859673088, '/', 10)   AS in_two_groups,
       length(timeshard_format(390233979859673088, 'ACME-')) AS characters;

-- If a prefix ends in a digit, pass it to timeshard_parse, because the text does not show where it ends. With
-- the prefix, texts without the leading zero parse too:
SELECT (timeshard_parse('ACME20390233979859673088', 'ACME2')).id AS padded,
       (timeshard_parse('ACME2390233979859673088', 'ACME2')).id  AS unpadded;


-- 5. Compliance formats
-- ---------------------
\echo '5. Compliance formats'

-- A marker in front, or at a given position:
SELECT timeshard_next_id_with_prefix('TAX-')  AS tax,
       timeshard_prefix_at('-SWIFT-', 8)      AS swift,
       timeshard_next_id_with_prefix('AUD_')  AS audit;

-- An audit trail whose entries the server numbers, whatever the writer gives. (The table's owner can still
-- drop the trigger.)
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


-- 6. Indexing instead of UUIDs
-- ----------------------------
\echo '6. Indexing instead of UUIDs'

-- New keys go to the end of the index, whose last page is in memory. A UUIDv4 goes anywhere.
CREATE TABLE by_id   (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), n integer);
CREATE TABLE by_uuid (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), n integer);
INSERT INTO by_id (n)   SELECT generate_series(1, 50000);
INSERT INTO by_uuid (n) SELECT generate_series(1, 50000);
VACUUM ANALYZE by_id, by_uuid;

SELECT pg_relation_size('by_uuid_pkey') > 1.5 * pg_relation_size('by_id_pkey') AS uuid_index_is_half_as_large_again;
SELECT tablename, round(abs(correlation)::numeric, 1) AS correlation
FROM pg_stats WHERE attname = 'id' AND tablename IN ('by_id', 'by_uuid') ORDER BY 1;


-- 7. Many regions
-- ---------------
\echo '7. Many regions'

-- Divide the node IDs into ranges, and each ID shows its region. With ten bits, four regions of 256 servers:
CREATE TABLE regions (nodes int4range PRIMARY KEY, region text NOT NULL, EXCLUDE USING gist (nodes WITH &&));
INSERT INTO regions VALUES ('[0,255]', 'us-east'), ('[256,511]', 'eu-west'),
                           ('[512,767]', 'ap-south'), ('[768,1023]', 'spare');

CREATE TABLE logins (id bigint PRIMARY KEY);
-- Replicated from three regions: nodes 7, 298 and 513.
INSERT INTO logins VALUES (390233979858481152), (390233979859673088), (390233979860553728);

SELECT l.id, p.node_id, r.region
FROM logins AS l CROSS JOIN timeshard_parse(l.id) AS p JOIN regions AS r ON p.node_id <@ r.nodes
ORDER BY l.id;


-- 8. Forensics
-- ------------
\echo '8. Forensics'

-- An ID shows when, on which server and in which place of its millisecond it was made, even if the row is
-- gone:
SELECT datetime, node_id, sequence FROM timeshard_parse('TXN_0390233979859673091');


-- 9. Event sourcing
-- -----------------
\echo '9. Event sourcing'

-- The ID orders events of all kinds, and the prefix tells the kind:
CREATE TABLE stream (
    id   bigint PRIMARY KEY DEFAULT timeshard_next_id(),
    kind text NOT NULL,
    body jsonb NOT NULL
);
INSERT INTO stream (kind, body) VALUES
    ('EVT_USER_', '{"user": 1}'), ('EVT_PAY_', '{"amount": 20}'), ('EVT_SHIP_', '{"order": 5}');

SELECT kind, body FROM stream ORDER BY id;


-- 10. Shareable URLs
-- ------------------
\echo '10. Shareable URLs'

-- 19 digits are short, and need no escaping. Shorter still: timeshard_encode gives 13 characters in the same
-- order. As a column, with a prefix:
CREATE TABLE shared_invoices (
    id   bigint PRIMARY KEY DEFAULT timeshard_next_id(),
    slug text GENERATED ALWAYS AS ('inv-' || lower(timeshard_encode(id))) STORED
);
INSERT INTO shared_invoices VALUES (390233979859673088) RETURNING slug;
SELECT id FROM shared_invoices WHERE id = timeshard_decode(substr('INV-0ATK3QJTD5800', 5));

-- IDs can be guessed, and they tell when and where they were made. Check the right to see a page on every
-- request, or share a random token instead:
CREATE TABLE invitations (
    id    bigint PRIMARY KEY DEFAULT timeshard_next_id(),
    token uuid NOT NULL UNIQUE DEFAULT gen_random_uuid()
);
INSERT INTO invitations DEFAULT VALUES;
SELECT length('https://example.com/join/' || token) AS characters FROM invitations;


-- Sharding by hash
-- ----------------
\echo 'Sharding by hash'

-- Do not shard by id % n. The lowest bits are the sequence, which starts at 0 in every millisecond, so on a
-- quiet server everything lands on one shard:
CREATE TABLE quiet AS SELECT timeshard_next_id() AS id, pg_sleep(0.002)::text AS pause FROM generate_series(1, 200);

SELECT id % 4 AS shard, count(*) FROM quiet GROUP BY 1 ORDER BY 1;

-- Use a hash, such as hashint8(id), or a table partitioned by hash (also over several servers):
CREATE TABLE accounts (id bigint PRIMARY KEY DEFAULT timeshard_next_id(), name text) PARTITION BY HASH (id);
CREATE TABLE accounts_0 PARTITION OF accounts FOR VALUES WITH (MODULUS 4, REMAINDER 0);
CREATE TABLE accounts_1 PARTITION OF accounts FOR VALUES WITH (MODULUS 4, REMAINDER 1);
CREATE TABLE accounts_2 PARTITION OF accounts FOR VALUES WITH (MODULUS 4, REMAINDER 2);
CREATE TABLE accounts_3 PARTITION OF accounts FOR VALUES WITH (MODULUS 4, REMAINDER 3);
INSERT INTO accounts (id) SELECT id FROM quiet;

SELECT tableoid::regclass AS partition, count(*) BETWEEN 20 AND 80 AS fair_share FROM accounts GROUP BY 1 ORDER BY 1;
