/// What compares and hashes typed keys, as PostgreSQL does for bigint. Its own functions,
/// declared as internal ones, would be looked for by a walk through all of PostgreSQL's at
/// the start of each statement and foreign-key check.

#include "../server/postgres.hpp"

namespace timeshard {

/// timeshard_key_NAME(key, key) → boolean
#define TIMESHARD_COMPARISON(name, operation)                                                      \
    PG_FUNCTION_INFO_V1(timeshard_key_##name);                                                     \
    Datum timeshard_key_##name(PG_FUNCTION_ARGS)                                                   \
    {                                                                                              \
        PG_RETURN_BOOL(PG_GETARG_INT64(0) operation PG_GETARG_INT64(1));                           \
    }

/// timeshard_key_NAME, by the function of bigint
#define TIMESHARD_OF_BIGINT(name, of_bigint)                                                       \
    PG_FUNCTION_INFO_V1(timeshard_key_##name);                                                     \
    Datum timeshard_key_##name(PG_FUNCTION_ARGS)                                                   \
    {                                                                                              \
        return of_bigint(fcinfo);                                                                  \
    }

extern "C" {
TIMESHARD_COMPARISON(eq, ==)
TIMESHARD_COMPARISON(ne, !=)
TIMESHARD_COMPARISON(lt, <)
TIMESHARD_COMPARISON(le, <=)
TIMESHARD_COMPARISON(gt, >)
TIMESHARD_COMPARISON(ge, >=)
TIMESHARD_OF_BIGINT(hash, hashint8)
TIMESHARD_OF_BIGINT(hash_extended, hashint8extended)
TIMESHARD_OF_BIGINT(smaller, int8smaller)
TIMESHARD_OF_BIGINT(larger, int8larger)
TIMESHARD_OF_BIGINT(send, int8send)

PG_FUNCTION_INFO_V1(timeshard_key_cmp);

/// timeshard_key_cmp(key, key) → integer: below 0, 0 or above
Datum timeshard_key_cmp(PG_FUNCTION_ARGS)
{
    const auto left = PG_GETARG_INT64(0);
    const auto right = PG_GETARG_INT64(1);
    PG_RETURN_INT32((left > right) - (left < right));
}
}

#undef TIMESHARD_COMPARISON
#undef TIMESHARD_OF_BIGINT

} // namespace timeshard
