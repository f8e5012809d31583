#pragma once

#include "layout.hpp"

#include <algorithm>
#include <cstdint>

/// The time reserved ahead, durably: a server that has lost its memory still
/// knows where to go on. All values are offsets, ms since the configured epoch,
/// so one comparison catches a moved epoch and a clock set back.
namespace timeshard {

/// How far ahead of the clock a reservation reaches: three times as long as the last
/// sync took, within these bounds, in ms. The first call after a restart waits for the
/// rest of it, so it must be short. It is renewed when half is used, so a sync that
/// takes no longer than the last one ends before the other half is.
inline constexpr std::int64_t kMinWindowMs = 1000;
inline constexpr std::int64_t kMaxWindowMs = 30000;

constexpr std::int64_t WindowAfterSync(std::int64_t sync_ms)
{
    return std::clamp(3 * sync_ms, kMinWindowMs, kMaxWindowMs);
}

/// IDs are issued in milliseconds below `end`. Once the clock is at or past `renew_at`,
/// the reservation is extended while IDs go on.
struct Reservation
{
    std::int64_t renew_at;
    std::int64_t end;
};

/// What to reserve when the clock reads `now` (0 to kMaxOffset) and no ID may be issued
/// at or past `limit`, which is above `now`: the end of the 41 bits, or of a claim. At
/// the limit there is nothing left to renew.
constexpr Reservation ReserveFrom(std::int64_t now, std::int64_t window_ms,
                                  std::int64_t limit = kMaxOffset + 1)
{
    const std::int64_t end = std::min(now + window_ms, limit);
    return {end == limit ? end : end - window_ms / 2, end};
}

/// The floor for the next run when IDs may have been issued below `end`: IDs go
/// on in the millisecond after it.
constexpr std::int64_t FloorOfEnd(std::int64_t end)
{
    return std::min(end, kMaxOffset);
}

} // namespace timeshard
