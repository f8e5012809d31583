#pragma once

#include "layout.hpp"

#include <algorithm>
#include <cstdint>

/// The time reserved ahead, durably: a server that has lost its memory still
/// knows where to go on. All values are offsets, ms since the configured epoch,
/// so one comparison catches a moved epoch and a clock set back.
namespace timeshard {

/// How far ahead of the clock a reservation reaches: 1 s. It must be short,
/// because the first call after a restart waits for the rest of it, and long
/// enough that a sync of half its length makes no session wait.
inline constexpr std::int64_t kWindowMs = 1000;

/// IDs are issued in milliseconds below `end`. The session that finds the clock
/// at or past `renew_at` extends the reservation while the others go on.
struct Reservation
{
    std::int64_t renew_at;
    std::int64_t end;
};

/// What to reserve when the clock reads `now` (0 to kMaxOffset). At the end of
/// the 41 bits there is nothing left to renew.
constexpr Reservation ReserveFrom(std::int64_t now)
{
    const std::int64_t end = std::min(now + kWindowMs, kMaxOffset + 1);
    return {end > kMaxOffset ? end : end - kWindowMs / 2, end};
}

/// The floor for the next run when IDs may have been issued below `end`: IDs go
/// on in the millisecond after it.
constexpr std::int64_t FloorOfEnd(std::int64_t end)
{
    return std::min(end, kMaxOffset);
}

} // namespace timeshard
