/// The SQL function that writes an existing ID with a prefix.

#include "../server/postgres.hpp"

#include "arguments.hpp"
#include "formatted.hpp"

namespace timeshard {

extern "C" {

PG_FUNCTION_INFO_V1(timeshard_format);

/// timeshard_format(id bigint, prefix text, at_position integer) → text
Datum timeshard_format(PG_FUNCTION_ARGS)
{
    const std::int64_t id = PG_GETARG_INT64(0);
    const int position = PG_GETARG_INT32(2);
    CheckId(id);
    CheckPosition(position);
    const text *prefix = PG_GETARG_TEXT_PP(1);
    return Formatted(AllocateFormatted(prefix), id, prefix, position);
}
}

} // namespace timeshard
