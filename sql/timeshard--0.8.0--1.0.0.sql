\echo Use "ALTER EXTENSION timeshard UPDATE TO '1.0.0'" to load this file. \quit

ALTER FUNCTION timeshard_raise_floor(bigint) CALLED ON NULL INPUT;
COMMENT ON FUNCTION timeshard_raise_floor(bigint) IS
'makes every later ID of this server larger than the given one, durably;
for data restored from elsewhere, or a damaged mark;
an error for an ID more than a day ahead of the clock;
a null raises nothing, with a warning';

COMMENT ON FUNCTION timeshard_layout_change() IS
'the last change of this server''s layout: IDs below since_id parse by the previous one, with timeshard_parse(id, previous_node_id_bits, previous_custom_epoch);
nulls if none is known: before the first ID after it, and where the mark was removed or replaced since;
an error while the mark is damaged';
