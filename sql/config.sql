-- What is in force agrees with itself
SELECT node_id BETWEEN 0 AND max_node_id AS node_fits,
       max_node_id = (1 << node_id_bits) - 1 AS nodes,
       node_id_bits + sequence_bits AS lower_bits,
       ids_per_millisecond = 1 << sequence_bits AS rate,
       epoch = to_timestamp(0) + custom_epoch * interval '1 millisecond' AS epoch,
       exhausted_at = epoch + 2199023255552 * interval '1 millisecond' AS end_of_life,
       node_id_source IN ('configuration', 'environment', 'address', 'none') AS source,
       (node_address IS NOT NULL) = (node_id_source = 'address') AS address,
       preloaded = (current_setting('shared_preload_libraries') ~ 'timeshard') AS preloaded,
       pending_restart IS NOT NULL AS told
FROM timeshard_config();
SELECT count(*) AS rows FROM timeshard_config();

-- The address is for those who may read the server's statistics
CREATE ROLE regress_timeshard_reader;
SET ROLE regress_timeshard_reader;
SELECT node_address IS NULL AS hidden, timeshard_config_info() !~ 'address \S' AS hidden_too
FROM timeshard_config();
SELECT timeshard_next_id() > 0 AS allowed;
RESET ROLE;
DROP ROLE regress_timeshard_reader;

-- For a person to read
SELECT line ~ ('41-' || c.node_id_bits || '-' || c.sequence_bits) AS allocation
FROM timeshard_config() AS c,
     regexp_split_to_table(timeshard_config_info(), '\n') WITH ORDINALITY AS lines (line, n)
WHERE n = 1;
SELECT rtrim(left(line, 15)) AS heading, length(line) > 15 AS filled
FROM regexp_split_to_table(timeshard_config_info(), '\n') AS line;

-- The settings
SELECT name, vartype, unit, context, min_val, max_val, boot_val = reset_val OR source <> 'default' AS sane
FROM pg_settings WHERE name LIKE 'timeshard.%' ORDER BY name;

-- No session can change them
\set SHOW_CONTEXT never
SET timeshard.node_id = 5;
SET LOCAL timeshard.node_id_bits = 5;
SELECT set_config('timeshard.custom_epoch', '0', false);
SET timeshard.max_clock_wait = '1min';
SET timeshard.no_such_setting = 1;
