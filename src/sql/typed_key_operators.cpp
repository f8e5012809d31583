/// What compares and hashes typed keys: PostgreSQL's functions of bigint under names of
/// this library. Declared as internal functions instead, they would be looked for by a
/// walk through all of PostgreSQL's at the start of each statement and foreign-key check.

#include "../server/postgres.hpp"

namespace timeshard {

/// timeshard_key_NAME, by the function of bigint.
#define TIMESHARD_OF_BIGINT(name, of_bigint)                                                       \
    PG_FUNCTION_INFO_V1(timeshard_key_##name);                                                     \
    Datum timeshard_key_##name(PG_FUNCTION_ARGS)                                                   \
    {                                                                                              \
        return of_bigint(fcinfo);                                                                  \
    }

extern "C" {
TIMESHARD_OF_BIGINT(eq, int8eq)
TIMESHARD_OF_BIGINT(ne, int8ne)
TIMESHARD_OF_BIGINT(lt, int8lt)
TIMESHARD_OF_BIGINT(le, int8le)
TIMESHARD_OF_BIGINT(gt, int8gt)
TIMESHARD_OF_BIGINT(ge, int8ge)
TIMESHARD_OF_BIGINT(cmp, btint8cmp)
TIMESHARD_OF_BIGINT(hash, hashint8)
TIMESHARD_OF_BIGINT(hash_extended, hashint8extended)
TIMESHARD_OF_BIGINT(smaller, int8smaller)
TIMESHARD_OF_BIGINT(larger, int8larger)
TIMESHARD_OF_BIGINT(send, int8send)
}

#undef TIMESHARD_OF_BIGINT

} // namespace timeshard
