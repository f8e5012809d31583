-- Taking IDs apart, whatever layout and epoch are in force
CREATE FUNCTION holds(p timeshard_parts) RETURNS boolean LANGUAGE sql AS $$
    SELECT p.timestamp_offset = p.id >> 22
       AND p."timestamp" = p.timestamp_offset + c.custom_epoch
       AND p.datetime = to_timestamp(0) + p."timestamp" * interval '1 millisecond'
       AND p.node_id = (p.id >> c.sequence_bits) & c.max_node_id
       AND p.sequence = p.id & (c.ids_per_millisecond - 1)
    FROM timeshard_config() AS c
$$;
SELECT id, holds(timeshard_parse(id))
FROM (VALUES (0), (1), (4095), (4096), (4194303), (4194304), (173000000000000001),
             (9223372036854775806), (9223372036854775807)) AS ids (id);
SELECT holds(timeshard_parse(timeshard_next_id())) AS made_here;
SELECT timeshard_parse(NULL::bigint) IS NULL AS id, timeshard_parse(NULL::text) IS NULL AS formatted,
       timeshard_parse('ORD_1', NULL) IS NULL AS prefix, timeshard_parse(NULL, 'ORD_') IS NULL AS both;

-- Other layouts: the same ID under them; Twitter's epoch, and both ends of all
SELECT * FROM timeshard_parse(1541815603606036480, 10, 1288834974657) \gx
SELECT bits, epoch, p.timestamp_offset, p."timestamp", p.node_id, p.sequence
FROM (VALUES (1, 0), (16, 0), (16, 253402300799999)) AS layouts (bits, epoch),
     timeshard_parse(9223372036854775807, bits, epoch) AS p;
SELECT timeshard_parse(id, c.node_id_bits, c.custom_epoch) = timeshard_parse(id) AS the_one_in_force
FROM timeshard_config() AS c, timeshard_next_id() AS id;
SELECT timeshard_parse(NULL, 10, 0) IS NULL AS id, timeshard_parse(1, NULL, 0) IS NULL AS bits, timeshard_parse(1, 10, NULL) IS NULL AS epoch;

-- Text: what is read, prefix unknown
SELECT formatted, (timeshard_parse(formatted)).id
FROM (VALUES ('0'), ('0000000000000000042'), ('42'), ('9223372036854775807'),
             ('ORD_0390230888448794625'), ('TXN_173000000000000001'), ('A1B2_390230888448794625'),
             ('ORD_7_0390230888448794625'), ('X0390230888448794625'),
             ('0390-TAX-230888448794626'), ('0390230888448794626_X'), ('0注文390230888448794626'),
             ('größe·注文-0000000000000000005'), ('--5'), ('-x-5')) AS texts (formatted);
-- and known
SELECT formatted, prefix, (timeshard_parse(formatted, prefix)).id
FROM (VALUES ('ORD_42', 'ORD_'), ('0390-T4X-230888448794626', '-T4X-'), ('99' || '0000000000000000005', '99'),
             ('-5', '-'), ('-0000000000000000005', '-'), ('42', ''), ('5_X', '_X'),
             ('1' || '1111111111111111111', '1'), ('A1' || '7', 'A1'),
             ('390233979859673088.0', '.0'), ('REG7390233979859673088', 'REG7')) AS texts (formatted, prefix);

-- Every formatted ID comes back with its prefix, and without it if it starts with a 0 and the prefix has no digits
SELECT count(*) AS lost
FROM (VALUES (0), (42), (390230888448794625), (9223372036854775807)) AS ids (id),
     (VALUES ('ORD_'), ('-TAX-'), ('注'), ('A1B-')) AS prefixes (prefix),
     generate_series(0, 19) AS at
WHERE (timeshard_parse(timeshard_format(id, prefix, at), prefix)).id IS DISTINCT FROM id
   OR (prefix !~ '\d' AND id < 1e18 AND (timeshard_parse(timeshard_format(id, prefix, at))).id IS DISTINCT FROM id);

-- Errors
\set SHOW_CONTEXT never
SELECT timeshard_parse(-1, 10, 0);
SELECT timeshard_parse(1, 0, 0);
SELECT timeshard_parse(1, 17, 0);
SELECT timeshard_parse(1, 10, -1);
SELECT timeshard_parse(1, 10, 253402300800000);
SELECT timeshard_parse(-1);
SELECT timeshard_parse(-9223372036854775808);
SELECT timeshard_parse(''::text);
SELECT timeshard_parse('ORD_');
SELECT timeshard_parse('ORD_42x');
SELECT timeshard_parse('-5'::text);
SELECT timeshard_parse(' 42'::text), timeshard_parse('42 '::text);
SELECT timeshard_parse('00000000000000000042'::text);
SELECT timeshard_parse('9223372036854775808'::text);
SELECT timeshard_parse('ORD_9999999999999999999');
SELECT timeshard_parse('REG7390233979859673088');
SELECT timeshard_parse('1730-TAX-42');
SELECT timeshard_parse('0390-T4X-230888448794626');
SELECT timeshard_parse('03-90-230888448794626111');
SELECT timeshard_parse('ORD_42', 'TXN_');
SELECT timeshard_parse('ORD_', 'ORD_');
SELECT timeshard_parse('ORD_4x2', 'ORD_');
SELECT (timeshard_parse('10390230888448794625', '1')).id AS unambiguous;
SELECT timeshard_parse('1210390230888448794', '1');
SELECT timeshard_parse(repeat('注文', 1000));
SELECT timeshard_parse(repeat('1', 100000000));
SELECT (timeshard_parse('42')).id AS goes_on;

-- An ID with something beside it is read as no other
CREATE FUNCTION id_or_error(formatted text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN (timeshard_parse(formatted)).id;
EXCEPTION WHEN invalid_text_representation THEN
    RETURN 'error';
END
$$;
SELECT formatted, id_or_error(formatted)
FROM unnest(ARRAY['390233979859673088.0', '390233979859673088-1', '7-390233979859673088', '2FA_390233979859673088',
                  'REG7390233979859673088', 'REG70390233979859673088', 'TXN_390233979859673088.0',
                  'TXN_390233979859673088-1', 'TXN_0390233979859673088-1', 'TXN_5.0', '1767225600000-123456',
                  '$390,233,979,859,673,088', 'TXN_1390233979859673088', '0-390233979859673088',
                  'REG0390233979859673088']) AS formatted;
SELECT DISTINCT id_or_error(l || timeshard_format(id, '') || r) IN (id::text, 'error') AND
                (id < 1e17 OR id_or_error(l || id || r) IN (id::text, 'error')) AS that_id_or_an_error
FROM (VALUES (5), (390233979859673088), (309023397985967308), (100000000000000000), (1039023397985967308),
             (9223372036854775807)) AS ids (id),
     unnest(ARRAY['', 'X', '7-', '2FA_', 'REG7', '0', 'A10', '3.']) AS l,
     unnest(ARRAY['', 'X', '.0', '-1', 'e0', '7X', '_07', '12']) AS r
WHERE l || r ~ '\D';
DROP FUNCTION id_or_error(text);

DROP FUNCTION holds(timeshard_parts);
