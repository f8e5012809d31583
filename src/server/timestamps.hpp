#pragma once

#include <cstdint>

#include "postgres.hpp"

namespace timeshard {

inline constexpr std::int64_t kMsFrom1970To2000 =
    std::int64_t{POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE} * SECS_PER_DAY * 1000;

/// A timestamptz from ms since 1970; every epoch plus every offset fits.
inline TimestampTz ToTimestamp(std::int64_t milliseconds)
{
    return (milliseconds - kMsFrom1970To2000) * 1000;
}

/// The millisecond since 1970 in which a finite time lies.
inline std::int64_t ToMilliseconds(TimestampTz time)
{
    return time / 1000 - (time % 1000 < 0 ? 1 : 0) + kMsFrom1970To2000;
}

/// A time as the session shows it, in memory of its own (timestamptz_to_str
/// has one buffer for all).
inline const char *TimeText(std::int64_t milliseconds)
{
    return pstrdup(timestamptz_to_str(ToTimestamp(milliseconds)));
}

} // namespace timeshard
