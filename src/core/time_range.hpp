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

/// The smallest ID of the millisecond at `offset` (0 to kMaxOffset).
constexpr std::int64_t SmallestIdAt(std::int64_t offset)
{
    return offset << kLowerBits;
}

/// The largest ID of the milliseconds before `offset`: -1 if there is none, the
/// largest of all if `offset` is past the end.
constexpr std::int64_t LargestIdBefore(std::int64_t offset)
{
    if (offset <= 0)
        return -1;
    if (offset > kMaxOffset)
        return SmallestIdAt(kMaxOffset) + (SmallestIdAt(1) - 1);
    return SmallestIdAt(offset) - 1;
}

} // namespace timeshard
