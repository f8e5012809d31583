/// The SQL functions that make IDs, and the one that formats them.

#include "../core/text.hpp"

#include "arguments.hpp"
#include "generate.hpp"
#include "postgres.hpp"

namespace {

using timeshard::kIdDigits;

void CheckPosition(int position)
{
    if (position < 0 || position > static_cast<int>(kIdDigits))
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("position must be between 0 and %d", static_cast<int>(kIdDigits)),
                        errdetail("The position is %d.", position)));
}

/// Makes room for an ID with `prefix`. Called before an ID is taken, so that a
/// prefix that is too long costs none.
text *AllocateFormatted(const text *prefix)
{
    const Size size = VARSIZE_ANY_EXHDR(prefix) + kIdDigits + VARHDRSZ;
    if (size > MaxAllocSize)
        ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("prefix is too long"),
                        errdetail("It has %zu bytes, and a text value holds %zu with the ID.",
                                  static_cast<size_t>(VARSIZE_ANY_EXHDR(prefix)),
                                  static_cast<size_t>(MaxAllocSize - VARHDRSZ))));
    text *result = static_cast<text *>(palloc(size));
    SET_VARSIZE(result, size);
    return result;
}

Datum Formatted(text *result, std::int64_t id, const text *prefix, int position)
{
    timeshard::WriteFormatted(id, {VARDATA_ANY(prefix), VARSIZE_ANY_EXHDR(prefix)}, position,
                              VARDATA(result));
    PG_RETURN_TEXT_P(result);
}

} // namespace

extern "C" {

PG_FUNCTION_INFO_V1(timeshard_next_id);
PG_FUNCTION_INFO_V1(timeshard_next_id_with_prefix);
PG_FUNCTION_INFO_V1(timeshard_prefix_at);
PG_FUNCTION_INFO_V1(timeshard_format);

/// timeshard_next_id() → bigint
Datum timeshard_next_id(PG_FUNCTION_ARGS)
{
    (void)fcinfo;
    PG_RETURN_INT64(timeshard::pg::NextId("timeshard_next_id()"));
}

/// timeshard_next_id_with_prefix(prefix text) → text
Datum timeshard_next_id_with_prefix(PG_FUNCTION_ARGS)
{
    const text *prefix = PG_GETARG_TEXT_PP(0);
    text *result = AllocateFormatted(prefix);
    return Formatted(result, timeshard::pg::NextId("timeshard_next_id_with_prefix()"), prefix, 0);
}

/// timeshard_prefix_at(prefix text, at_position integer) → text
Datum timeshard_prefix_at(PG_FUNCTION_ARGS)
{
    const int position = PG_GETARG_INT32(1);
    CheckPosition(position);
    const text *prefix = PG_GETARG_TEXT_PP(0);
    text *result = AllocateFormatted(prefix);
    return Formatted(result, timeshard::pg::NextId("timeshard_prefix_at()"), prefix, position);
}

/// timeshard_format(id bigint, prefix text, at_position integer) → text
Datum timeshard_format(PG_FUNCTION_ARGS)
{
    const std::int64_t id = PG_GETARG_INT64(0);
    const int position = PG_GETARG_INT32(2);
    timeshard::pg::CheckId(id);
    CheckPosition(position);
    const text *prefix = PG_GETARG_TEXT_PP(1);
    return Formatted(AllocateFormatted(prefix), id, prefix, position);
}
}
