#pragma once

#include "../core/generator.hpp"

#include <cstdint>

/// The errors of a clock that gives no ID.
namespace timeshard::pg {

/// The clock is behind the last ID or the floor (kBehind), or stands still
/// (kExhausted), and the call has waited long enough.
[[noreturn]] void RefuseClock(const Step &step, std::int64_t epoch, std::int64_t waited_ns);

/// The clock is before the epoch.
[[noreturn]] void RefuseBeforeEpoch(std::int64_t epoch);

/// The clock is past what 41 bits can count from the epoch.
[[noreturn]] void RefusePastEnd(std::int64_t epoch);

} // namespace timeshard::pg
