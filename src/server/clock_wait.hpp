#pragma once

#include "../core/generator.hpp"

#include <cstdint>

#include "shared_state.hpp"

/// Waiting for the clock: the sleep, and what the statistics and the log say of it.
namespace timeshard {

/// Sleeps until `gap_ns` has passed, or less: the caller looks at the clock again.
/// Ends the process if the postmaster has died. Answers no cancel itself.
void SleepForClock(std::int64_t gap_ns);

/// Counts the start of a call's wait after `step`. The wait for a floor follows a
/// restart, and a gap below 1 ms comes of two processors' clocks: neither is counted.
void CountWait(SharedState &state, const Step &step);

/// Logs that a session waits for the clock, which is behind by 1 ms or more: one line
/// in ten seconds for the whole server.
void LogWait(SharedState &state, const Step &step);

} // namespace timeshard
