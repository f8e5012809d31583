#pragma once

#include <cstdint>

namespace timeshard::pg {

/// Takes an ID off the server's generator, waiting where the contract says so.
/// `caller`, the SQL function, is named in the error during recovery. Raises an
/// error if the clock is behind by more than timeshard.max_clock_wait, before
/// the epoch or past the end of 41 bits; answers a cancel while it waits.
std::int64_t NextId(const char *caller);

} // namespace timeshard::pg
