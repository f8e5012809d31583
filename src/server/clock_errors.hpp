#pragma once

#include "../core/generator.hpp"

#include <cstdint>

/// The errors of a clock that gives no ID.
namespace timeshard {

/// Where the clock should be and is not. Times are in ms since 1970.
struct ClockGap
{
    const char *behind; ///< what the clock is behind, such as "the last ID"
    std::int64_t gap_ns;
    std::int64_t passes; ///< IDs are issued once the clock has passed this time
    std::int64_t waited_ns = 0;
    const char *advice = nullptr; ///< what else to do than to set the clock right
};

/// The clock is behind, by more than the call may wait or for longer.
[[noreturn]] void RaiseClockBehindError(const ClockGap &gap);

/// The same after `step`, which is kBehind or kExhausted: the clock is behind the
/// last ID or the floor, or stands still.
[[noreturn]] void RaiseClockError(const Step &step, std::int64_t epoch, std::int64_t waited_ns);

/// The clock has jumped ahead by so many ms, more than timeshard.max_clock_jump.
[[noreturn]] void RaiseClockJumpError(std::int64_t jump_ms);

/// The clock is before the epoch.
[[noreturn]] void RaiseBeforeEpochError(std::int64_t epoch);

/// The clock is past what 41 bits can count from the epoch.
[[noreturn]] void RaisePastEndError(std::int64_t epoch);

} // namespace timeshard
