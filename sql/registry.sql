-- A registry of node IDs, with the layout and epoch of this server
SELECT node_id_bits AS bits, custom_epoch AS epoch FROM timeshard_config() \gset

\set SHOW_CONTEXT never
\set VERBOSITY terse
-- A database without a registry
SELECT timeshard_claim('a', 0, :bits, :epoch);
SELECT timeshard_extend_claim('a', 0, 'proof', 'a new tag');
SELECT timeshard_is_claimed(1) IS NULL AS not_known, count(*) AS fleet FROM timeshard_fleet;

-- Creating one
\set VERBOSITY sqlstate
SELECT timeshard_create_registry('[0,65536]');
SELECT timeshard_create_registry('[-1,7]');
SELECT timeshard_create_registry('empty');
SELECT timeshard_create_registry('[5,)');
SELECT timeshard_create_registry(NULL);
\set VERBOSITY terse
SELECT timeshard_create_registry('[0,7]', '1 minute');
SELECT timeshard_create_registry('[0,7]', NULL);
SELECT timeshard_create_registry('[0,7]', '400 days');
\set VERBOSITY default
SELECT timeshard_create_registry('[5,7]');
SELECT timeshard_create_registry('[0,7]');
SELECT number, state, claimant, role, address, claimed_at, extended_at, ends_at < clock_timestamp() AS ended FROM timeshard_fleet ORDER BY number;

-- Claiming
CREATE FUNCTION clock() RETURNS bigint LANGUAGE sql RETURN (extract(epoch FROM clock_timestamp()) * 1000)::bigint;
SELECT timeshard_claim(NULL, clock(), :bits, :epoch);
SELECT timeshard_claim('', clock(), :bits, :epoch);
SELECT timeshard_claim('a', NULL, :bits, :epoch);
SELECT timeshard_claim('a', clock(), :bits, :epoch, '[8,9]');
SELECT outcome FROM timeshard_claim('a', clock(), :bits + 1, :epoch);
SELECT outcome, message ~ '^the registry is for \d+ node ID bits and epoch \d+, not for \d+ and \d+$' AS told FROM timeshard_claim('a', clock(), :bits, :epoch + 1);
SELECT outcome, message ~ '^clock is (199|200)[.]\d{3} s ahead of the registry''s$' AS told FROM timeshard_claim('a', clock() + 200000, :bits, :epoch);
SELECT outcome, node_id, first_offset < end_offset - 600000 AS floor, end_offset - (registry_clock - :epoch) BETWEEN 599000 AND 600000 AS ten_minutes,
    length(proof) BETWEEN 100 AND 250 AS proof, abs(registry_clock - clock()) < 60000 AS clock, free_at, message, proof AS first
FROM timeshard_claim('a', clock(), :bits, :epoch, '[6,6]') \gset a_
\echo :a_outcome :a_node_id :a_floor :a_ten_minutes :a_proof :a_clock
SELECT outcome, free_at - registry_clock BETWEEN 590000 AND 600000 AS in_ten_minutes, regexp_replace(message, '\d\d\d\d.*UTC', '...')
FROM timeshard_claim('b', clock(), :bits, :epoch, '[6,6]');
SELECT outcome, node_id FROM timeshard_claim('b', clock(), :bits, :epoch, '[6,7]', 6);
SELECT timeshard_is_claimed(5), timeshard_is_claimed(6), timeshard_is_claimed(7), timeshard_is_claimed(8);
SELECT number, state, claimant, role = session_user AS role, ends_at - extended_at AS lasts FROM timeshard_fleet ORDER BY number;

-- Extending
SELECT timeshard_extend_claim('a', clock(), :'a_first', NULL);
SELECT timeshard_extend_claim('a', clock(), :'a_first', 'short');
SELECT timeshard_extend_claim('a', clock(), 'x' || :'a_first', 'a new tag');
SELECT timeshard_extend_claim('a', clock(), overlay(:'a_first' PLACING '8' FROM 3 FOR 1), 'a new tag');
SELECT outcome, node_id, end_offset, proof FROM timeshard_extend_claim('a', clock(), :'a_first', 'tag number 1') \gset b_
SELECT outcome, node_id, end_offset <= :b_end_offset AS no_later, proof <> :'b_proof' OR end_offset = :b_end_offset AS other_proof, message
FROM timeshard_extend_claim('a', clock(), :'a_first', 'tag number 1');
SELECT outcome, node_id, end_offset, proof, message FROM timeshard_extend_claim('a', clock(), :'a_first', 'tag number 2');
SELECT outcome, node_id, end_offset >= :b_end_offset AS later FROM timeshard_extend_claim('a', clock(), :'b_proof', 'tag number 3');

-- Giving back, with the tag of an answer that was lost
SELECT timeshard_end_claim(:'b_proof', NULL, NULL);
SELECT outcome, message FROM timeshard_end_claim(:'b_proof', NULL, 0);
SELECT outcome, message FROM timeshard_end_claim(:'b_proof', 'tag number 3', 0);
SELECT number, state, claimant FROM timeshard_fleet ORDER BY number;

-- Who had it
SELECT number, claimant, end_offset > first_offset AS ends, latest FROM timeshard_claims ORDER BY number;
SELECT c.number, w.claimant FROM timeshard_claims AS c, timeshard_claimant((c.first_offset << 22) | (c.number::bigint << (22 - :bits))) AS w WHERE c.number = 7;

-- Inside a transaction nobody claims
BEGIN;
SELECT timeshard_claim('a', clock(), :bits, :epoch);
ROLLBACK;

-- What the extension's owner can do to its parts crashes nothing
ALTER FUNCTION timeshard_hmac(bytea, bytea) CALLED ON NULL INPUT;
SELECT timeshard_hmac(NULL, NULL) IS NULL AS null_for_null;
ALTER FUNCTION timeshard_hmac(bytea, bytea) STRICT;
ALTER FUNCTION timeshard_is_claimed_as_owner(integer) RENAME TO put_aside;
CREATE FUNCTION timeshard_is_claimed_as_owner(integer) RETURNS text LANGUAGE sql AS 'SELECT ''t''';
SELECT timeshard_is_claimed(7);
DROP FUNCTION timeshard_is_claimed_as_owner(integer);
ALTER FUNCTION put_aside(integer) RENAME TO timeshard_is_claimed_as_owner;
DROP FUNCTION clock();
SET client_min_messages = error;
DROP EXTENSION timeshard;
-- Default privileges show nobody the key
CREATE ROLE timeshard_regress_reader;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO timeshard_regress_reader;
ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO timeshard_regress_reader;
CREATE EXTENSION timeshard;
SELECT count(*) AS fleet FROM timeshard_fleet;
SELECT has_table_privilege('timeshard_regress_reader', 'timeshard_registry', 'SELECT') AS sees_key,
    has_function_privilege('timeshard_regress_reader', 'timeshard_hmac(bytea, bytea)', 'EXECUTE') AS signs;
DROP OWNED BY timeshard_regress_reader;
DROP ROLE timeshard_regress_reader;
