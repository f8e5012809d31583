/// The SQL functions that make one ID.

#include "../server/generation.hpp"
#include "../server/postgres.hpp"

#include "formatted.hpp"

namespace timeshard {

extern "C" {

PG_FUNCTION_INFO_V1(timeshard_next_id);
PG_FUNCTION_INFO_V1(timeshard_next_id_with_prefix);
PG_FUNCTION_INFO_V1(timeshard_prefix_at);

/// timeshard_next_id() → bigint
Datum timeshard_next_id(PG_FUNCTION_ARGS)
{
    (void)fcinfo;
    PG_RETURN_INT64(NextId("timeshard_next_id()"));
}

/// timeshard_next_id_with_prefix(prefix text) → text
Datum timeshard_next_id_with_prefix(PG_FUNCTION_ARGS)
{
    const text *prefix = PG_GETARG_TEXT_PP(0);
    text *result = AllocateFormatted(prefix);
    return Formatted(result, NextId("timeshard_next_id_with_prefix()"), prefix, 0);
}

/// timeshard_prefix_at(prefix text, at_position integer) → text
Datum timeshard_prefix_at(PG_FUNCTION_ARGS)
{
    const int position = PG_GETARG_INT32(1);
    CheckPosition(position);
    const text *prefix = PG_GETARG_TEXT_PP(0);
    text *result = AllocateFormatted(prefix);
    return Formatted(result, NextId("timeshard_prefix_at()"), prefix, position);
}
}

} // namespace timeshard
