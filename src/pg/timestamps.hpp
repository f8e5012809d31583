#pragma once

#include <cstdint>

#include "postgres.hpp"

namespace timeshard::pg {

/// A timestamptz from ms since 1970; every epoch plus every offset fits.
inline TimestampTz ToTimestamp(std::int64_t milliseconds)
{
    constexpr std::int64_t kMsFrom1970To2000 =
        std::int64_t{POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE} * SECS_PER_DAY * 1000;
    return (milliseconds - kMsFrom1970To2000) * 1000;
}

} // namespace timeshard::pg
