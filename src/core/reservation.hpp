#pragma once

#include "layout.hpp"

#include <algorithm>
#include <cstdint>

/// Time reserved ahead, durably, so that a server that has lost its memory still
/// knows above what to go on. All in ID space: offsets, ms since the configured
/// epoch, so that a moved epoch and a clock set back are caught alike.
namespace timeshard {

/// How far ahead of the clock a reservation reaches: 1 s. Short, because the
/// first call after a restart waits for what is left of it; long, because half
/// of it is what a slow sync may take before anybody waits.
inline constexpr std::int64_t kWindowMs = 1000;

/// IDs are issued in milliseconds below `end`; the session that finds the clock
/// at `renew_at` or past it extends the reservation, while others go on.
struct Reservation
{
    std::int64_t renew_at;
    std::int64_t end;
};

/// What is reserved when the clock reads `now` (0 to kMaxOffset). At the end of
/// the layout's 41 bits there is nothing left to renew.
constexpr Reservation ReserveFrom(std::int64_t now)
{
    const std::int64_t end = std::min(now + kWindowMs, kMaxOffset + 1);
    return {end > kMaxOffset ? end : end - kWindowMs / 2, end};
}

/// The floor at which the next run starts when IDs may have been issued below
/// `end`: they go on in the millisecond after it.
constexpr std::int64_t FloorOfEnd(std::int64_t end)
{
    return std::min(end, kMaxOffset);
}

} // namespace timeshard
