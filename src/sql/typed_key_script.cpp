#include "typed_key_script.hpp"

#include <cstring>

#include "../server/compat.hpp"

namespace timeshard {
namespace {

// {} is the type, {_in} a part whose name ends in _in, {.} the schema of the parts.
// Functions marked LEAKPROOF are those that PostgreSQL marks so for bigint.
constexpr char kCreate[] = R"sql(
CREATE TYPE {};

-- The name of the argument is the prefix. Nobody can change it.
CREATE FUNCTION {_in}({prefix} pg_catalog.cstring) RETURNS {}
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS {library}, 'timeshard_key_in';
CREATE FUNCTION {_out}({prefix} {}) RETURNS pg_catalog.cstring
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS {library}, {output};
CREATE FUNCTION {_recv}(pg_catalog.internal) RETURNS {}
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS {library}, 'timeshard_key_recv';
CREATE FUNCTION {_send}({}) RETURNS pg_catalog.bytea
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS {library}, 'timeshard_key_send';
CREATE TYPE {} (INPUT = {_in}, OUTPUT = {_out}, RECEIVE = {_recv}, SEND = {_send}, LIKE = pg_catalog.int8);

CREATE FUNCTION {_eq}({}, {}) RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS {library}, 'timeshard_key_eq';
CREATE FUNCTION {_ne}({}, {}) RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS {library}, 'timeshard_key_ne';
CREATE FUNCTION {_lt}({}, {}) RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS {library}, 'timeshard_key_lt';
CREATE FUNCTION {_le}({}, {}) RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS {library}, 'timeshard_key_le';
CREATE FUNCTION {_gt}({}, {}) RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS {library}, 'timeshard_key_gt';
CREATE FUNCTION {_ge}({}, {}) RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS {library}, 'timeshard_key_ge';
CREATE FUNCTION {_cmp}({}, {}) RETURNS pg_catalog.int4
    LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS {library}, 'timeshard_key_cmp';
CREATE FUNCTION {_hash}({}) RETURNS pg_catalog.int4
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS {library}, 'timeshard_key_hash';
CREATE FUNCTION {_hash_extended}({}, pg_catalog.int8) RETURNS pg_catalog.int8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS {library}, 'timeshard_key_hash_extended';
CREATE FUNCTION {_smaller}({}, {}) RETURNS {}
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS {library}, 'timeshard_key_smaller';
CREATE FUNCTION {_larger}({}, {}) RETURNS {}
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS {library}, 'timeshard_key_larger';

CREATE OPERATOR {.}.= (FUNCTION = {_eq}, LEFTARG = {}, RIGHTARG = {}, COMMUTATOR = OPERATOR({.}.=),
    NEGATOR = OPERATOR({.}.<>), RESTRICT = pg_catalog.eqsel, JOIN = pg_catalog.eqjoinsel, HASHES, MERGES);
CREATE OPERATOR {.}.<> (FUNCTION = {_ne}, LEFTARG = {}, RIGHTARG = {}, COMMUTATOR = OPERATOR({.}.<>),
    NEGATOR = OPERATOR({.}.=), RESTRICT = pg_catalog.neqsel, JOIN = pg_catalog.neqjoinsel);
CREATE OPERATOR {.}.< (FUNCTION = {_lt}, LEFTARG = {}, RIGHTARG = {}, COMMUTATOR = OPERATOR({.}.>),
    NEGATOR = OPERATOR({.}.>=), RESTRICT = pg_catalog.scalarltsel, JOIN = pg_catalog.scalarltjoinsel);
CREATE OPERATOR {.}.<= (FUNCTION = {_le}, LEFTARG = {}, RIGHTARG = {}, COMMUTATOR = OPERATOR({.}.>=),
    NEGATOR = OPERATOR({.}.>), RESTRICT = pg_catalog.scalarlesel, JOIN = pg_catalog.scalarlejoinsel);
CREATE OPERATOR {.}.> (FUNCTION = {_gt}, LEFTARG = {}, RIGHTARG = {}, COMMUTATOR = OPERATOR({.}.<),
    NEGATOR = OPERATOR({.}.<=), RESTRICT = pg_catalog.scalargtsel, JOIN = pg_catalog.scalargtjoinsel);
CREATE OPERATOR {.}.>= (FUNCTION = {_ge}, LEFTARG = {}, RIGHTARG = {}, COMMUTATOR = OPERATOR({.}.<=),
    NEGATOR = OPERATOR({.}.<), RESTRICT = pg_catalog.scalargesel, JOIN = pg_catalog.scalargejoinsel);

-- A family that a DROP TYPE ... CASCADE has left behind, empty, is used again.
CREATE OPERATOR CLASS {_ops} DEFAULT FOR TYPE {} USING btree AS
    OPERATOR 1 {.}.<, OPERATOR 2 {.}.<=, OPERATOR 3 {.}.=, OPERATOR 4 {.}.>=, OPERATOR 5 {.}.>,
    FUNCTION 1 {_cmp}({}, {}), FUNCTION 2 pg_catalog.btint8sortsupport(pg_catalog.internal),
    FUNCTION 4 pg_catalog.btequalimage(pg_catalog.oid){skip};
CREATE OPERATOR CLASS {_ops} DEFAULT FOR TYPE {} USING hash AS
    OPERATOR 1 {.}.=, FUNCTION 1 {_hash}({}), FUNCTION 2 {_hash_extended}({}, pg_catalog.int8);
CREATE OPERATOR CLASS {_ops} DEFAULT FOR TYPE {} USING brin AS
    OPERATOR 1 {.}.<, OPERATOR 2 {.}.<=, OPERATOR 3 {.}.=, OPERATOR 4 {.}.>=, OPERATOR 5 {.}.>,
    FUNCTION 1 pg_catalog.brin_minmax_opcinfo(pg_catalog.internal),
    FUNCTION 2 pg_catalog.brin_minmax_add_value(pg_catalog.internal, pg_catalog.internal, pg_catalog.internal, pg_catalog.internal),
    FUNCTION 3 pg_catalog.brin_minmax_consistent(pg_catalog.internal, pg_catalog.internal, pg_catalog.internal),
    FUNCTION 4 pg_catalog.brin_minmax_union(pg_catalog.internal, pg_catalog.internal, pg_catalog.internal);

CREATE AGGREGATE {.}.min({}) (SFUNC = {_smaller}, STYPE = {}, COMBINEFUNC = {_smaller},
    SORTOP = OPERATOR({.}.<), PARALLEL = SAFE);
CREATE AGGREGATE {.}.max({}) (SFUNC = {_larger}, STYPE = {}, COMBINEFUNC = {_larger},
    SORTOP = OPERATOR({.}.>), PARALLEL = SAFE);

-- From text by a function: foreign keys fail on casts by input and output.
CREATE FUNCTION {_from_text}({prefix} pg_catalog.text) RETURNS {}
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS {library}, 'timeshard_key_from_text';
CREATE CAST (pg_catalog.int8 AS {}) WITHOUT FUNCTION AS ASSIGNMENT;
CREATE CAST ({} AS pg_catalog.int8) WITHOUT FUNCTION;
CREATE CAST (pg_catalog.text AS {}) WITH FUNCTION {_from_text}(pg_catalog.text) AS IMPLICIT;
CREATE CAST (pg_catalog.varchar AS {}) WITH FUNCTION {_from_text}(pg_catalog.text) AS IMPLICIT;

-- By the code of timeshard_time(), timeshard_parse() and timeshard_last_before(), under
-- names of their own: one more timeshard_time() would make calls of it ambiguous.
CREATE FUNCTION {_time}(id {}) RETURNS pg_catalog.timestamptz
    LANGUAGE C STABLE STRICT PARALLEL SAFE AS {library}, 'timeshard_time';
CREATE FUNCTION {_parse}(key {}, OUT id pg_catalog.int8, OUT "timestamp" pg_catalog.int8,
    OUT timestamp_offset pg_catalog.int8, OUT datetime pg_catalog.timestamptz, OUT node_id pg_catalog.int4,
    OUT sequence pg_catalog.int4)
    LANGUAGE C STABLE STRICT PARALLEL SAFE AS {library}, 'timeshard_parse';
CREATE FUNCTION {_last_before}(at pg_catalog.timestamptz) RETURNS {}
    LANGUAGE C STABLE STRICT PARALLEL SAFE AS {library}, 'timeshard_last_before';
CREATE FUNCTION {_between}(id {}, since pg_catalog.timestamptz, until pg_catalog.timestamptz) RETURNS pg_catalog.bool
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN id OPERATOR({.}.>) {_last_before}(since) AND id OPERATOR({.}.<=) {_last_before}(until);
-- The key of public codes is the server's: not for everybody, as timeshard_seal().
CREATE FUNCTION {_seal}({prefix} {}) RETURNS pg_catalog.text
    LANGUAGE C STABLE STRICT PARALLEL SAFE AS {library}, 'timeshard_key_seal';
CREATE FUNCTION {_open}({prefix} pg_catalog.text) RETURNS {}
    LANGUAGE C STABLE STRICT PARALLEL SAFE AS {library}, 'timeshard_key_open';
REVOKE ALL ON FUNCTION {_seal}({}) FROM PUBLIC;
REVOKE ALL ON FUNCTION {_open}(pg_catalog.text) FROM PUBLIC;
COMMENT ON FUNCTION {_seal}({}) IS
    'a key as a public code behind its prefix, as timeshard_seal(bigint, text) with the prefix as the purpose';
COMMENT ON FUNCTION {_open}(pg_catalog.text) IS 'the key of such a code';
COMMENT ON FUNCTION {_time}({}) IS 'when a key was made, as timeshard_time(bigint)';
COMMENT ON FUNCTION {_parse}({}) IS 'takes a key apart, as timeshard_parse(bigint)';
COMMENT ON FUNCTION {_last_before}(pg_catalog.timestamptz) IS
    'the largest key that can carry an earlier time, as timeshard_last_before(timestamptz)';
COMMENT ON FUNCTION {_between}({}, pg_catalog.timestamptz, pg_catalog.timestamptz) IS
    'whether a key was made at since or later and before until, as timeshard_between(); served by an index on the key';
)sql";

constexpr char kDrop[] = R"sql(
DROP CAST (pg_catalog.int8 AS {});
DROP CAST ({} AS pg_catalog.int8);
DROP CAST (pg_catalog.text AS {});
DROP CAST (pg_catalog.varchar AS {});
DROP OPERATOR CLASS {_ops} USING btree;
DROP OPERATOR CLASS {_ops} USING hash;
DROP OPERATOR CLASS {_ops} USING brin;
DROP OPERATOR FAMILY {_ops} USING btree;
DROP OPERATOR FAMILY {_ops} USING hash;
DROP OPERATOR FAMILY {_ops} USING brin;
DROP OPERATOR {.}.= ({}, {}), {.}.<> ({}, {}), {.}.< ({}, {}), {.}.<= ({}, {}), {.}.> ({}, {}), {.}.>= ({}, {});
DROP AGGREGATE {.}.min({}), {.}.max({});
DROP FUNCTION {_in}(pg_catalog.cstring), {_out}({}), {_recv}(pg_catalog.internal), {_send}({}),
    {_eq}({}, {}), {_ne}({}, {}), {_lt}({}, {}), {_le}({}, {}), {_gt}({}, {}), {_ge}({}, {}), {_cmp}({}, {}),
    {_hash}({}), {_hash_extended}({}, pg_catalog.int8), {_smaller}({}, {}), {_larger}({}, {}),
    {_from_text}(pg_catalog.text), {_time}({}), {_parse}({}), {_last_before}(pg_catalog.timestamptz),
    {_seal}({}), {_open}(pg_catalog.text), {_between}({}, pg_catalog.timestamptz, pg_catalog.timestamptz);
)sql";

/// What stands for a word in braces: "" and "." and "_suffix" are names of `type`, the
/// rest is in `words`, a name and a value by turns, up to a null.
const char *ValueOf(const char *word, const KeyType &type, const char *const *words)
{
    if (*word == '\0')
        return quote_qualified_identifier(type.schema, type.name);
    if (*word == '.')
        return quote_identifier(type.parts_schema);
    if (*word == '_')
        return quote_qualified_identifier(type.parts_schema,
                                          psprintf("%s%s", type.parts_name, word));
    for (; words[0] != nullptr; words += 2)
        if (std::strcmp(words[0], word) == 0)
            return words[1];
    elog(ERROR, "unexpected word: %s", word);
    pg_unreachable();
}

/// The script with each word in braces replaced.
const char *Expanded(const char *script, const KeyType &type, const char *const *words)
{
    StringInfoData sql;
    initStringInfo(&sql);
    while (const char *brace = std::strchr(script, '{')) {
        const char *end = std::strchr(brace, '}');
        appendBinaryStringInfo(&sql, script, static_cast<int>(brace - script));
        appendStringInfoString(&sql, ValueOf(pnstrdup(brace + 1, end - brace - 1), type, words));
        script = end + 1;
    }
    appendStringInfoString(&sql, script);
    return sql.data;
}

} // namespace

const char *CreateScript(const KeyType &type, const char *prefix, const char *output,
                         const char *library)
{
    const char *const words[] = {
        "prefix",  quote_identifier(prefix),    "output", quote_literal_cstr(output),
        "library", quote_literal_cstr(library), "skip",   kSkipSupportOfBigint,
        nullptr,
    };
    return Expanded(kCreate, type, words);
}

const char *DropScript(const KeyType &type)
{
    const char *const words[] = {nullptr};
    return Expanded(kDrop, type, words);
}

} // namespace timeshard
