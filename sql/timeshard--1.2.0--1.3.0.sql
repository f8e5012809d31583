\echo Use "ALTER EXTENSION timeshard UPDATE TO '1.3.0'" to load this file. \quit

-- COPY

COMMENT ON FUNCTION timeshard_next_ids_support(internal) IS
'tells the planner how many rows timeshard_next_ids() returns, and lets COPY insert rows in batches when it leaves a key to a function that makes an ID';

CREATE FUNCTION timeshard_in_copy_support(internal) RETURNS internal
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_in_copy_support';
COMMENT ON FUNCTION timeshard_in_copy_support(internal) IS
'keeps the planner from evaluating a call twice for one row of COPY';

CREATE FUNCTION timeshard_next_id_in_copy(internal) RETURNS bigint
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED SUPPORT timeshard_in_copy_support AS 'MODULE_PATHNAME', 'timeshard_next_id';
COMMENT ON FUNCTION timeshard_next_id_in_copy(internal) IS
'stands for timeshard_next_id() in a default that COPY FROM evaluates';

CREATE FUNCTION timeshard_next_id_with_prefix_in_copy(text, internal) RETURNS text
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED SUPPORT timeshard_in_copy_support AS 'MODULE_PATHNAME', 'timeshard_next_id_with_prefix';
COMMENT ON FUNCTION timeshard_next_id_with_prefix_in_copy(text, internal) IS
'stands for timeshard_next_id_with_prefix() in a default that COPY FROM evaluates';

CREATE FUNCTION timeshard_prefix_at_in_copy(text, integer, internal) RETURNS text
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED SUPPORT timeshard_in_copy_support AS 'MODULE_PATHNAME', 'timeshard_prefix_at';
COMMENT ON FUNCTION timeshard_prefix_at_in_copy(text, integer, internal) IS
'stands for timeshard_prefix_at() in a default that COPY FROM evaluates';

ALTER FUNCTION timeshard_next_id() SUPPORT timeshard_next_ids_support;
ALTER FUNCTION timeshard_next_id_with_prefix(text) SUPPORT timeshard_next_ids_support;
ALTER FUNCTION timeshard_prefix_at(text, integer) SUPPORT timeshard_next_ids_support;
