#pragma once

#include "generator.hpp"

#include <algorithm>
#include <cstdint>

namespace timeshard {

/// Decides, for the length of one call, whether to wait for the clock or to
/// refuse.
///
/// - A gap below 1 ms is waited out: two processors' clocks can show one at a
///   tick.
/// - A larger gap is waited out if it is within the maximum, else refused. Behind
///   a floor the maximum is larger by the window that the last run of the server may
///   have reserved ahead of the clock.
/// - Waiting for one millisecond ends when it has lasted longer than a sound
///   clock can need, so that a clock that is set back again and again, or
///   stands still, cannot hold a call for ever.
///
/// The last bound is 9/8 of the maximum, because chrony slews a clock by up to
/// 1/12 (its default maxslewrate of 83333 ppm) and a gap then takes that much
/// longer to close, and 10 ms more for a clock that has just begun to move.
/// Readings of a monotonic clock on both sides of each attempt judge it so that
/// a process that was stopped at the wrong moment never blames the clock: a wait
/// begins after the attempt that called for it, and has lasted until before the
/// attempt that shows the clock still behind.
class Patience
{
public:
    /// `max_wait_ms`: the setting timeshard.max_clock_wait, 0 to 60,000.
    /// `window_ms`: the last run's window.
    constexpr explicit Patience(std::int64_t max_wait_ms, std::int64_t window_ms)
        : max_wait_ns_(max_wait_ms * kNanosecondsPerMillisecond),
          window_ns_(window_ms * kNanosecondsPerMillisecond)
    {}

    /// True if the call should wait after `step`, which is kExhausted or
    /// kBehind; false if it should refuse. `before_ns` and `after_ns` are the
    /// monotonic times read before and after the attempt that gave the step.
    constexpr bool ShouldWait(const Step &step, std::int64_t before_ns, std::int64_t after_ns)
    {
        const std::int64_t max_wait_ns = MaxWaitBehind(step.word);
        const std::int64_t max_gap_ns = std::max(max_wait_ns, kNanosecondsPerMillisecond - 1);
        if (step.status == Status::kBehind && step.gap_ns > max_gap_ns)
            return false;
        if (!waiting_ || OffsetOf(step.word) != awaited_offset_) {
            waiting_ = true;
            awaited_offset_ = OffsetOf(step.word);
            since_ns_ = after_ns;
            return true;
        }
        return before_ns - since_ns_ <= max_wait_ns / 8 * 9 + 10 * kNanosecondsPerMillisecond;
    }

    /// How long this call has waited for the present millisecond, in ns.
    constexpr std::int64_t Waited(std::int64_t now_ns) const
    {
        return waiting_ ? now_ns - since_ns_ : 0;
    }

private:
    constexpr std::int64_t MaxWaitBehind(std::uint64_t word) const
    {
        return IsFloor(word) ? max_wait_ns_ + window_ns_ : max_wait_ns_;
    }

    std::int64_t max_wait_ns_;
    std::int64_t window_ns_;
    std::int64_t awaited_offset_ = 0;
    std::int64_t since_ns_ = 0;
    bool waiting_ = false;
};

} // namespace timeshard
