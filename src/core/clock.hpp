#pragma once

#include "core_only.hpp"

#include <cstdint>
#include <ctime>

namespace timeshard {

/// A reading of a wall clock: whole ms since 1970 (UTC, leap seconds not
/// counted) and the ns that have passed within that millisecond. Kept apart
/// because ns since 1970 in one 64-bit number end in the year 2262.
struct ClockReading
{
    std::int64_t milliseconds;
    std::int32_t nanoseconds;
};

/// The computer's wall clock. A template parameter of the generator, so that
/// tests can put a clock of their own in its place.
///
/// The vDSO answers clock_gettime without a system call and orders its reading
/// after earlier loads (in Linux by rdtsc_ordered on x86, by an ISB behind the load of
/// its sequence counter on ARM). The generator relies on that: it judges a word ahead of
/// the clock by a reading that comes after the word's load. Where a system reads too
/// early, a call waits a few ns or counts a clock wait for nothing; no ID repeats.
struct SystemClock
{
    static ClockReading Now()
    {
        std::timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        return {std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1000000,
                static_cast<std::int32_t>(now.tv_nsec % 1000000)};
    }
};

/// Where the wall clock stands, in ms since `epoch` (ms since 1970).
inline std::int64_t OffsetNow(std::int64_t epoch)
{
    return SystemClock::Now().milliseconds - epoch;
}

/// Nanoseconds on a clock that no one sets, for measuring how long a wait has
/// lasted while the wall clock is in doubt.
inline std::int64_t MonotonicNanoseconds()
{
    std::timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return std::int64_t{now.tv_sec} * 1000000000 + now.tv_nsec;
}

/// Milliseconds on a clock that no one sets and that goes on while the machine is
/// suspended, to tell a step of the wall clock from time that has passed. On macOS the
/// monotonic clock does so. On a system where no clock does, time in suspension counts as
/// a step.
inline std::int64_t BootMilliseconds()
{
#ifdef CLOCK_BOOTTIME
    constexpr clockid_t kClock = CLOCK_BOOTTIME;
#else
    constexpr clockid_t kClock = CLOCK_MONOTONIC;
#endif
    std::timespec now;
    clock_gettime(kClock, &now);
    return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1000000;
}

} // namespace timeshard
