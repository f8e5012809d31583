\echo Use "ALTER EXTENSION timeshard UPDATE TO '0.7.0'" to load this file. \quit

-- 0.7.0 brings packages and more versions of PostgreSQL. In the database, two
-- comments say more, long ones are broken into lines, and rights are dumped.

-- The script that brought 0.5.0 granted again what had been granted on
-- timeshard_stats(). To PostgreSQL these are the extension's own rights since then,
-- which no dump contains: make them the administrator's again, as they were.
-- (Names and operators are qualified: see there.)
DELETE FROM pg_catalog.pg_init_privs
WHERE classoid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid
  AND objoid OPERATOR(pg_catalog.=) 'timeshard_stats()'::pg_catalog.regprocedure::pg_catalog.oid;
-- From 17, the roles in them are depended on.
DELETE FROM pg_catalog.pg_shdepend
WHERE classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid
  AND objid OPERATOR(pg_catalog.=) 'timeshard_stats()'::pg_catalog.regprocedure::pg_catalog.oid
  AND deptype OPERATOR(pg_catalog.=) 'i'::pg_catalog."char"
  AND dbid OPERATOR(pg_catalog.=) (SELECT oid FROM pg_catalog.pg_database
      WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database());

COMMENT ON FUNCTION timeshard_next_id_with_prefix(text) IS
'a new ID as 19 zero-padded digits behind the prefix, which may be any text; else as timeshard_next_id()';
COMMENT ON FUNCTION timeshard_prefix_at(text, integer) IS
'a new ID as 19 zero-padded digits with the prefix inserted after at_position of them (0 to 19); else as timeshard_next_id()';
COMMENT ON FUNCTION timeshard_config() IS
'what is in force since the server started, and where the node ID came from: configuration, environment, address (which members of pg_monitor see) or none;
pending_restart if the settings now say otherwise';
COMMENT ON FUNCTION timeshard_horizon() IS
'an ID below which nothing of this server can appear any more:
every ID below it is committed, aborted or will never be used by the transaction that took it;
never less than an answer before;
read up to it in a later statement, under READ COMMITTED;
an error while a transaction is open that was prepared before the server''s start or promotion;
else as timeshard_next_id()';
COMMENT ON FUNCTION timeshard_raise_floor(bigint) IS
'makes every later ID of this server larger than the given one, durably;
for data restored from elsewhere, or a damaged mark;
an error for an ID more than a day ahead of the clock';
COMMENT ON FUNCTION timeshard_stats() IS
'counters of the whole server since started_at, its start or Timeshard''s first use after it:
IDs; calls that waited for the next millisecond;
calls that waited for a clock set back, and that were refused;
the largest step back in ms; writes of the mark and the slowest; the last ID;
until when IDs may be issued without another write;
how far the horizon is behind the clock (null if it cannot be told, as on a standby),
and the process ID of the session that holds it back (null if it is none, a prepared transaction, or not yours to see)';
COMMENT ON FUNCTION timeshard_layout_change() IS
'the last change of this server''s layout: IDs below since_id parse by the previous one, with timeshard_parse(id, previous_node_id_bits, previous_custom_epoch);
nulls if there was none';
COMMENT ON FUNCTION timeshard_last_before(timestamptz) IS
'the largest ID that can carry an earlier time, by the epoch in force: -1 if there is none, the largest of all past the end of time;
timeshard_between() is made of it';
