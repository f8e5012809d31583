\echo Use "ALTER EXTENSION timeshard UPDATE TO '1.5.0'" to load this file. \quit

-- Typed keys

CREATE FUNCTION timeshard_create_type(name text, prefix text, style text DEFAULT 'digits') RETURNS regtype
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'timeshard_create_type';
REVOKE ALL ON FUNCTION timeshard_create_type(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION timeshard_create_type(text, text, text) IS
'creates a type of keys, and returns it: an ID in 8 bytes, shown as the prefix and 19 digits, or with the style "code" as the prefix and 13 characters;
the name may have a schema, in which the caller must have the right to create;
the prefix has 1 to 32 ASCII letters, digits or _-.: and starts with a letter and does not end with a digit;
the type belongs to the caller, its functions and operators to the superuser';

CREATE FUNCTION timeshard_drop_type(type regtype) RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'timeshard_drop_type';
COMMENT ON FUNCTION timeshard_drop_type(regtype) IS
'drops a type that timeshard_create_type() has created, with its functions, operators and casts, for its owner;
an error while anything else, such as a column, depends on it';

CREATE VIEW timeshard_types AS
SELECT t.oid::pg_catalog.regtype AS type,
    i.proargnames[1] AS prefix,
    CASE o.prosrc WHEN 'timeshard_key_out_code' THEN 'code' ELSE 'digits' END AS style
FROM pg_catalog.pg_type AS t
JOIN pg_catalog.pg_proc AS i ON i.oid = t.typinput
JOIN pg_catalog.pg_proc AS o ON o.oid = t.typoutput
JOIN pg_catalog.pg_language AS l ON l.oid = i.prolang
WHERE i.prosrc = 'timeshard_key_in' AND l.lanname = 'c';
GRANT SELECT ON timeshard_types TO PUBLIC;
COMMENT ON VIEW timeshard_types IS 'the types of keys that timeshard_create_type() has created in this database';
COMMENT ON COLUMN timeshard_types.type IS 'the type';
COMMENT ON COLUMN timeshard_types.prefix IS 'what its keys begin with';
COMMENT ON COLUMN timeshard_types.style IS 'how it shows them: digits or code';
