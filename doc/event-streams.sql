-- A complete outbox with its consumer and projection, as in doc/event-streams.md. On a server with Timeshard installed:
--
--     psql -v ON_ERROR_STOP=1 -f doc/event-streams.sql
--
-- Everything is created in the schema timeshard_streams, which is dropped first, and left for you and for
-- event_consumer.py. DROP SCHEMA timeshard_streams CASCADE removes it. dblink opens the second session; it needs a
-- superuser if connections need no password.

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS timeshard;
CREATE EXTENSION IF NOT EXISTS dblink;
DROP SCHEMA IF EXISTS timeshard_streams CASCADE;
CREATE SCHEMA timeshard_streams;
SET search_path = timeshard_streams, public;


-- The tables
-- ----------

CREATE TABLE consumers (
    name    text PRIMARY KEY,
    next_id bigint NOT NULL DEFAULT 0
);

CREATE TABLE payments (
    id      bigint PRIMARY KEY DEFAULT timeshard_next_id(),
    account integer NOT NULL,
    amount  numeric NOT NULL
);
CREATE TABLE outbox (
    id      bigint PRIMARY KEY DEFAULT timeshard_next_id(),
    account integer NOT NULL,
    amount  numeric NOT NULL
);
CREATE TABLE balances (
    account integer PRIMARY KEY,
    total   numeric NOT NULL,
    last_id bigint NOT NULL
);
INSERT INTO consumers (name) VALUES ('balances');

CREATE FUNCTION wake_consumers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('outbox', '');
    RETURN NULL;
END $$;

CREATE TRIGGER wake_consumers AFTER INSERT ON outbox
FOR EACH STATEMENT EXECUTE FUNCTION wake_consumers();


-- The worker
-- ----------

CREATE FUNCTION project_balances(batch integer DEFAULT 1000) RETURNS integer VOLATILE LANGUAGE plpgsql AS $$
DECLARE
    since   bigint;
    horizon bigint;
    event   outbox;
    events  integer := 0;
BEGIN
    SELECT next_id INTO STRICT since FROM consumers WHERE name = 'balances' FOR UPDATE;
    horizon := timeshard_horizon();                              -- ask in one statement
    FOR event IN SELECT * FROM outbox                            -- read in a later one
                 WHERE id >= since AND id < horizon ORDER BY id LIMIT batch
    LOOP
        INSERT INTO balances (account, total, last_id) VALUES (event.account, event.amount, event.id)
        ON CONFLICT (account) DO UPDATE
        SET total = balances.total + excluded.total, last_id = excluded.last_id;
        events := events + 1;
        since := event.id + 1;
    END LOOP;
    IF events < batch THEN
        since := greatest(since, horizon);
    END IF;
    UPDATE consumers SET next_id = since WHERE name = 'balances';
    RETURN events;
END $$;


-- A transaction that writes
-- -------------------------
\echo 'A payment and its event, in one transaction:'

BEGIN;
INSERT INTO payments (account, amount) VALUES (1, 20);
INSERT INTO outbox   (account, amount) VALUES (1, 20);
COMMIT;

-- The current millisecond is above the horizon. A real worker polls again; this script waits for the next one.
SELECT pg_sleep(0.002) \g /dev/null
SELECT project_balances() AS events;
SELECT account, total FROM balances ORDER BY account;


-- An event that commits late
-- --------------------------
\echo 'Another session takes an ID and stays open; this one takes a later ID and commits:'

SELECT dblink_connect('other', concat_ws(' ', 'host=' || :'HOST', 'port=' || :'PORT', 'dbname=' || :'DBNAME',
                                         'user=' || :'USER')) \g /dev/null
SELECT dblink_exec('other', 'SET search_path = timeshard_streams, public') \g /dev/null
SELECT dblink_exec('other', 'BEGIN') \g /dev/null
SELECT dblink_exec('other', 'INSERT INTO outbox (account, amount) VALUES (2, 300)') \g /dev/null
INSERT INTO outbox (account, amount) VALUES (2, 4000);

\echo 'A consumer that remembers the last ID sees the later event, and will never see the earlier one:'
SELECT max(id) AS last_seen FROM outbox \gset
SELECT amount FROM outbox ORDER BY id;

\echo 'The worker waits, and timeshard_stats() shows for which session:'
SELECT pg_sleep(0.002) \g /dev/null
SELECT project_balances() AS events;
SELECT a.state, a.query FROM timeshard_stats() AS s JOIN pg_stat_activity AS a ON a.pid = s.horizon_holder;

\echo 'The other session commits:'
SELECT dblink_exec('other', 'COMMIT') \g /dev/null
SELECT amount AS seen_by_the_last_id FROM outbox WHERE id > :last_seen;
SELECT pg_sleep(0.002) \g /dev/null
SELECT project_balances() AS events;
SELECT account, total FROM balances ORDER BY account;
SELECT dblink_disconnect('other') \g /dev/null


-- In batches
-- ----------
\echo 'A thousand events, four hundred at a time:'

INSERT INTO outbox (account, amount) SELECT 3, n FROM generate_series(1, 1000) AS n;
SELECT pg_sleep(0.002) \g /dev/null
SELECT project_balances(400) AS first, project_balances(400) AS second, project_balances(400) AS third;
SELECT account, total FROM balances ORDER BY account;

-- Call such a worker again and again: from a client that LISTENs (see event_consumer.py), with \watch, or from a
-- scheduler.
