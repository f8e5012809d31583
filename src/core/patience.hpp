#pragma once

#include "generator.hpp"
#include "reservation.hpp"

#include <algorithm>
#include <cstdint>

namespace timeshard {

/// Decides, for the length of one call, whether to wait for the clock or to
/// refuse.
///
/// - A gap below 1 ms is waited out: two processors' clocks can show one at a
///   tick.
/// - A larger gap is waited out if it is within the limit, else refused. Behind
///   a floor the limit is larger by the window: the last run of the server may
///   have reserved that much ahead of the clock.
/// - Waiting for one millisecond ends when it has lasted longer than a sound
///   clock can need, so that a clock that is set back again and again, or
///   stands still, cannot hold a call for ever.
///
/// The last bound is 9/8 of the limit, because chrony slews a clock by up to
/// 1/12 (its default maxslewrate of 83333 ppm) and a gap then takes that much
/// longer to close, and 10 ms more for a clock that has just begun to move.
/// Readings of a monotonic clock on both sides of each attempt judge it so that
/// a process that was stopped at the wrong moment never blames the clock: a wait
/// begins after the attempt that called for it, and has lasted until before the
/// attempt that shows the clock still behind.
class Patience
{
public:
    /// `limit_ms`: the setting timeshard.max_clock_wait, 0 to 60,000.
    constexpr explicit Patience(std::int64_t limit_ms)
        : limit_ns_(limit_ms * kNanosecondsPerMillisecond)
    {}

    /// True if the call should wait after `step`, which is kExhausted or
    /// kBehind; false if it should refuse. `before_ns` and `after_ns` are the
    /// monotonic times read before and after the attempt that gave the step.
    constexpr bool ShouldWait(const Step &step, std::int64_t before_ns, std::int64_t after_ns)
    {
        const std::int64_t limit_ns = LimitBehind(step.word);
        const std::int64_t gap_limit_ns = std::max(limit_ns, kNanosecondsPerMillisecond - 1);
        if (step.status == Status::kBehind && step.gap_ns > gap_limit_ns)
            return false;
        if (!waiting_ || OffsetOf(step.word) != awaited_offset_) {
            waiting_ = true;
            awaited_offset_ = OffsetOf(step.word);
            since_ns_ = after_ns;
            return true;
        }
        return before_ns - since_ns_ <= limit_ns / 8 * 9 + 10 * kNanosecondsPerMillisecond;
    }

    /// How long this call has waited for the present millisecond, in ns.
    constexpr std::int64_t Waited(std::int64_t now_ns) const
    {
        return waiting_ ? now_ns - since_ns_ : 0;
    }

private:
    constexpr std::int64_t LimitBehind(std::uint64_t word) const
    {
        return IsFloor(word) ? limit_ns_ + kWindowMs * kNanosecondsPerMillisecond : limit_ns_;
    }

    std::int64_t limit_ns_;
    std::int64_t awaited_offset_ = 0;
    std::int64_t since_ns_ = 0;
    bool waiting_ = false;
};

} // namespace timeshard
