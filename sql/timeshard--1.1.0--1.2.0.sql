\echo Use "ALTER EXTENSION timeshard UPDATE TO '1.2.0'" to load this file. \quit

ALTER FUNCTION timeshard_next_id() PARALLEL RESTRICTED;
ALTER FUNCTION timeshard_next_id_with_prefix(text) PARALLEL RESTRICTED;
ALTER FUNCTION timeshard_prefix_at(text, integer) PARALLEL RESTRICTED;
ALTER FUNCTION timeshard_next_ids(integer) PARALLEL RESTRICTED;
