\echo Use "ALTER EXTENSION timeshard UPDATE TO '1.4.0'" to load this file. \quit

-- Only comments have changed. (The hint of timeshard_largest_between() changes with 1.5.0,
-- which replaces that function in any case.)

COMMENT ON COLUMN timeshard_parts."timestamp" IS 'the millisecond in which it was made, counted from 1970';

COMMENT ON COLUMN timeshard_parts.timestamp_offset IS 'the same counted from the epoch, 0 to 2199023255551';

COMMENT ON COLUMN timeshard_parts.datetime IS 'the same as a timestamp, exact to the millisecond';

COMMENT ON FUNCTION timeshard_next_id() IS
'returns a new ID, larger than every ID that this server has returned before;
waits or fails if the clock is behind the last ID (timeshard.max_clock_wait)';

COMMENT ON FUNCTION timeshard_next_id_with_prefix(text) IS
'returns a new ID as text: the prefix, which may be any text, and 19 zero-padded digits; see timeshard_next_id()';

COMMENT ON FUNCTION timeshard_prefix_at(text, integer) IS
'returns a new ID as 19 zero-padded digits with the prefix inserted after at_position of them (0 to 19); see timeshard_next_id()';

COMMENT ON FUNCTION timeshard_next_ids(integer) IS
'returns count new IDs (0 or more) in ascending order; see timeshard_next_id()';

COMMENT ON FUNCTION timeshard_format(bigint, text, integer) IS
'returns an ID (0 or more) as 19 zero-padded digits with the prefix inserted after at_position of them (0 to 19)';

COMMENT ON FUNCTION timeshard_parse(bigint) IS
'takes an ID (0 or more) apart, by the layout and epoch in force';

COMMENT ON FUNCTION timeshard_parse(bigint, integer, bigint) IS
'takes an ID (0 or more) of another layout apart: 41 bits of time since custom_epoch (ms since 1970), node_id_bits (1 to 16) of node ID, and the rest of 22 bits as the sequence';

COMMENT ON FUNCTION timeshard_parse(text) IS
'takes an ID in text apart; recognises its prefix if the text can be no other ID, otherwise fails and asks for the prefix';

COMMENT ON FUNCTION timeshard_parse(text, text) IS
'takes an ID in text apart, given its prefix, wherever in the text the prefix is';

COMMENT ON FUNCTION timeshard_config() IS
'what is in force since the server started;
node_id_source is configuration, environment, address (members of pg_monitor see which one) or none (node_id is null);
pending_restart is true if the settings have changed since';

COMMENT ON FUNCTION timeshard_config_info() IS
'timeshard_config() as text for people';

COMMENT ON FUNCTION timeshard_horizon_support(internal) IS
'lets the planner warn of a statement that asks for timeshard_horizon() and also reads a table';

COMMENT ON FUNCTION timeshard_horizon() IS
'returns an ID below which no new row of this server appears, provided each ID is inserted by the transaction that took it;
never falls;
read up to it in a later statement, under READ COMMITTED;
fails while a transaction is open that was prepared before the server''s start or promotion; otherwise see timeshard_next_id()';

COMMENT ON FUNCTION timeshard_raise_floor(bigint) IS
'makes every later ID of this server larger than the given one, durably;
for data restored from elsewhere, or a damaged mark;
an error for an ID more than a day ahead of the clock;
a null raises nothing and gives a warning';

COMMENT ON FUNCTION timeshard_accept_clock() IS
'accepts the server''s clock as it is now, after IDs were refused because it jumped ahead by more than timeshard.max_clock_jump';

COMMENT ON FUNCTION timeshard_stats() IS
'counters of the whole server since started_at, which is its start or Timeshard''s first use after it:
ids_issued;
sequence_waits, calls that waited for the next millisecond;
clock_waits and clock_refusals, calls that waited for a clock that was set back, or were refused;
largest_step_ms, its largest step back;
mark_extensions and slowest_extension, writes of the mark;
last_id and last_id_at;
reserved_until, until when IDs may be issued without another write;
horizon_lag, how far the horizon is behind the clock (null if it cannot be known, as on a standby);
horizon_holder, the process ID of the session that holds it back (null if none does, if it is a prepared transaction, or if you may not see it)';

COMMENT ON FUNCTION timeshard_layout_change() IS
'the last change of this server''s layout: parse IDs below since_id with timeshard_parse(id, previous_node_id_bits, previous_custom_epoch);
null if none is known: before the first ID after the change, or if the mark was removed or replaced since;
an error while the mark is damaged';

COMMENT ON FUNCTION timeshard_time(bigint) IS
'returns when an ID (0 or more) was made, to the millisecond, by the epoch in force';

COMMENT ON FUNCTION timeshard_time(bigint, bigint) IS
'returns when an ID (0 or more) was made, to the millisecond, by the given epoch in ms since 1970';

COMMENT ON FUNCTION timeshard_lower_bound(timestamptz) IS
'returns the smallest ID that can carry that time or a later one, by the epoch in force; fails for a time that no ID can carry';

COMMENT ON FUNCTION timeshard_lower_bound(timestamptz, bigint) IS
'returns the smallest ID that can carry that time or a later one, by the given epoch in ms since 1970; fails for a time that no ID can carry';

COMMENT ON FUNCTION timeshard_last_before(timestamptz) IS
'returns the largest ID that can carry an earlier time, by the epoch in force: -1 if there is none, the largest ID of all past the end of time;
used by timeshard_between()';

COMMENT ON FUNCTION timeshard_between(bigint, timestamptz, timestamptz) IS
'tells whether an ID was made at since or later, and before until; an index on the ID serves it;
infinities and times outside the epoch extend to its ends';

COMMENT ON FUNCTION timeshard_encode(bigint) IS
'returns an ID (0 or more) as 13 characters of Crockford base32, in ID order under COLLATE "C"';

COMMENT ON FUNCTION timeshard_decode(text) IS
'returns the ID of a code of 13 characters, in either case; I and L are read as 1, and O as 0';

COMMENT ON FUNCTION timeshard_largest_between(bigint, bigint, regprocedure) IS
'returns the largest value up to latest in each column that timeshard_largest_ids() reads;
present is the last ID before now, maker is timeshard_next_id();
used by timeshard_largest_ids()';

COMMENT ON FUNCTION timeshard_largest_ids() IS
'returns the largest ID and its time in each bigint column (or domain over bigint) of this database that leads a unique index or has timeshard_next_id() as its default;
give their maximum to timeshard_raise_floor() after a restore;
values below 0 and over a day ahead of the clock are left out;
a note and a warning name tables that cannot be read and values that are ahead of the clock';
