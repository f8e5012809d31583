-- Public codes as far as they need no key, which is the server's; test/t/seal_*.pl have
-- one.
SELECT timeshard_seal(NULL) IS NULL AS id, timeshard_seal(1, NULL) IS NULL AS purpose,
       timeshard_open(NULL) IS NULL AS code, timeshard_open('0ARYZVZXW377R', NULL) IS NULL AS no_purpose;
\set SHOW_CONTEXT never
SELECT timeshard_seal(-1, 'video');
SELECT timeshard_open('');
\echo :LAST_ERROR_SQLSTATE
SELECT timeshard_open('0ARYZVZXW377');
SELECT timeshard_open('0ARYZVZXW377RR', 'video');
SELECT timeshard_open('0ARYZVZXW377U', 'video');
SELECT timeshard_open('ZZZZ-ZZZZZZZZ', 'video');
SELECT timeshard_open('注文', 'video');
SELECT timeshard_open(repeat('x', 1000));

-- No session sets the file
SET timeshard.seal_key_file = '/tmp/my.keys';

-- A role needs EXECUTE
CREATE ROLE timeshard_regress_sealer;
SET ROLE timeshard_regress_sealer;
SELECT timeshard_seal(1);
SELECT timeshard_open('0ARYZVZXW377R');
RESET ROLE;
GRANT EXECUTE ON FUNCTION timeshard_open(text, text) TO timeshard_regress_sealer;
SET ROLE timeshard_regress_sealer;
SELECT timeshard_open('x');
RESET ROLE;
DROP OWNED BY timeshard_regress_sealer;
DROP ROLE timeshard_regress_sealer;
