\echo Use "ALTER EXTENSION timeshard UPDATE TO '0.4.0'" to load this file. \quit

-- 0.4.0 brings time ranges, short codes and batches.

CREATE FUNCTION timeshard_next_ids_support(internal) RETURNS internal
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_next_ids_support';
COMMENT ON FUNCTION timeshard_next_ids_support(internal) IS
'tells the planner how many rows timeshard_next_ids() returns';

CREATE FUNCTION timeshard_next_ids(count integer) RETURNS SETOF bigint
LANGUAGE C VOLATILE STRICT PARALLEL SAFE SUPPORT timeshard_next_ids_support AS 'MODULE_PATHNAME', 'timeshard_next_ids';
COMMENT ON FUNCTION timeshard_next_ids(integer) IS
'so many new IDs, 0 or more, rising; else as timeshard_next_id()';

-- Time

CREATE FUNCTION timeshard_time(id bigint) RETURNS timestamptz
LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_time';
COMMENT ON FUNCTION timeshard_time(bigint) IS
'when an ID, 0 or more, was made, to the millisecond, by the epoch in force';

CREATE FUNCTION timeshard_time(id bigint, custom_epoch bigint) RETURNS timestamptz
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_time_epoch';
COMMENT ON FUNCTION timeshard_time(bigint, bigint) IS
'when an ID, 0 or more, was made, to the millisecond, by the given epoch in ms since 1970';

CREATE FUNCTION timeshard_lower_bound(at timestamptz) RETURNS bigint
LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_lower_bound';
COMMENT ON FUNCTION timeshard_lower_bound(timestamptz) IS
'the smallest ID that can carry that time or later, by the epoch in force; an error for a time that no ID can carry';

CREATE FUNCTION timeshard_lower_bound(at timestamptz, custom_epoch bigint) RETURNS bigint
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_lower_bound_epoch';
COMMENT ON FUNCTION timeshard_lower_bound(timestamptz, bigint) IS
'the smallest ID that can carry that time or later, by the given epoch in ms since 1970; an error for a time that no ID can carry';

CREATE FUNCTION timeshard_last_before(at timestamptz) RETURNS bigint
LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_last_before';
COMMENT ON FUNCTION timeshard_last_before(timestamptz) IS
'the largest ID that can carry an earlier time, by the epoch in force: -1 if there is none, the largest of all past the end of time; timeshard_between() is made of it';

-- A RETURN body that the planner inlines, so that an index on the ID serves it:
-- neither strict nor with a SET clause. Each argument stands once, or one that is
-- a subquery would not be inlined. Both ends are the last ID before a time: the
-- first ID since a time does not always exist, the last one before it does, as -1.
CREATE FUNCTION timeshard_between(id bigint, since timestamptz, until timestamptz) RETURNS boolean
LANGUAGE SQL STABLE PARALLEL SAFE
RETURN id > timeshard_last_before(since) AND id <= timeshard_last_before(until);
COMMENT ON FUNCTION timeshard_between(bigint, timestamptz, timestamptz) IS
'whether an ID was made at since or later and before until; served by an index on the ID; infinities and times outside the epoch reach to its ends';

-- Short codes

CREATE FUNCTION timeshard_encode(id bigint) RETURNS text
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_encode';
COMMENT ON FUNCTION timeshard_encode(bigint) IS
'an ID, 0 or more, as 13 characters of Crockford base32, in ID order under COLLATE "C"';

CREATE FUNCTION timeshard_decode(code text) RETURNS bigint
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'timeshard_decode';
COMMENT ON FUNCTION timeshard_decode(text) IS
'the ID of a code of 13 characters in either case, I and L read as 1 and O as 0';
