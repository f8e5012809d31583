\echo Use "ALTER EXTENSION timeshard UPDATE TO '1.6.0'" to load this file. \quit

-- Public codes

-- Not for PUBLIC: the key is the server's, so a role of any database could seal and open
-- the IDs of all others.
CREATE FUNCTION timeshard_seal(id bigint, purpose text DEFAULT '') RETURNS text
LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_seal';
REVOKE ALL ON FUNCTION timeshard_seal(bigint, text) FROM PUBLIC;
COMMENT ON FUNCTION timeshard_seal(bigint, text) IS
'an ID, 0 or more, as a public code: 13 characters that tell nothing about the ID without the key;
each purpose, such as the name of a table, has other codes;
sealed with the first key of the file that timeshard.seal_key_file names';

CREATE FUNCTION timeshard_open(code text, purpose text DEFAULT '') RETURNS bigint
LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_open';
REVOKE ALL ON FUNCTION timeshard_open(text, text) FROM PUBLIC;
COMMENT ON FUNCTION timeshard_open(text, text) IS
'the ID of a public code, in either case, that was sealed for the same purpose with a key still in the file;
an error if it is not 13 such characters or its key is not in the file;
any other code, and another purpose, gives some ID: look whether the row exists';
