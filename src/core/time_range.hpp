#pragma once

#include "layout.hpp"

#include <cstdint>

/// IDs as bounds of time. An ID's time is the start of its millisecond.
namespace timeshard {

/// The first offset whose millisecond starts at `time_us` or later. Both times
/// count from one origin, whichever it is: `time_us` in microseconds, `epoch` in
/// milliseconds. Negative before the epoch, and above kMaxOffset where no ID can
/// carry that time.
constexpr std::int64_t OffsetAtOrAfter(std::int64_t time_us, std::int64_t epoch)
{
    return time_us / 1000 + (time_us % 1000 > 0 ? 1 : 0) - epoch;
}

/// The largest ID of the milliseconds before `offset`: -1 if there is none, the
/// largest of all if `offset` is past the end.
constexpr std::int64_t LargestIdBefore(std::int64_t offset)
{
    if (offset <= 0)
        return -1;
    if (offset > kMaxOffset)
        return static_cast<std::int64_t>(FloorAt(kMaxOffset));
    return static_cast<std::int64_t>(FloorAt(offset - 1));
}

} // namespace timeshard
