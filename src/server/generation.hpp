#pragma once

#include <cstdint>

namespace timeshard {

/// Takes an ID off the server's generator, waiting where the contract says so.
/// `caller`, the SQL function, is named in the error during recovery. Raises an
/// error if the clock is behind by more than timeshard.max_clock_wait, before
/// the epoch or past the end of 41 bits; answers a cancel while it waits.
std::int64_t NextId(const char *caller);

/// IDs in a row: `first` to `first + count - 1`, all of one millisecond.
struct Run
{
    std::int64_t first;
    std::int32_t count;
};

/// Takes `wanted` (1 or more) IDs in a row, or fewer: as many as the millisecond
/// has left for runs. Else as NextId.
Run NextRun(const char *caller, std::int32_t wanted);

/// Takes an ID that nobody will use, without a position for it, and returns its
/// word: all later IDs are above it. Else as NextId.
std::uint64_t NextUnusedWord(const char *caller);

} // namespace timeshard
