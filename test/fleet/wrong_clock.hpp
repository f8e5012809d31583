#pragma once

#include "clock.hpp"
#include "generator.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <random>

/// The fleet's time: true time counts in ns since kBegin, and each node has a clock
/// of its own that is wrong.
namespace timeshard::fleet {

inline constexpr std::int64_t kMs = kNanosecondsPerMillisecond;
inline constexpr std::int64_t kSecond = 1000 * kMs;

/// Where true time starts, in ms since the epoch: two years in.
inline constexpr std::int64_t kBegin = 60000000000;

/// The same numbers on every machine: the standard fixes the engine, but not what
/// its distributions make of it.
class Dice
{
public:
    explicit Dice(std::uint64_t seed) : engine_(seed) {}

    /// 0 to `end` - 1.
    std::int64_t Below(std::int64_t end)
    {
        return static_cast<std::int64_t>(engine_() % static_cast<std::uint64_t>(end));
    }

    /// -`most` to `most`.
    std::int64_t Within(std::int64_t most) { return Below(2 * most + 1) - most; }

    bool OneIn(std::int64_t n) { return Below(n) == 0; }

private:
    std::mt19937_64 engine_;
};

/// How a clock goes wrong.
struct Pace
{
    std::int64_t between_steps_ns = 5 * kSecond; ///< on average
    std::int64_t ordinary_ppb = 200000;          ///< a bad quartz
    std::int64_t slew_ppb = 83333000;            ///< chrony's fastest
};

/// A wall clock that drifts, is slewed and is stepped, forth and back, and is never
/// wrong by more than its bound. It moves when it is told the true time.
class WrongClock
{
public:
    WrongClock(std::int64_t bound_ns, Dice &dice, Pace pace = {}) : bound_ns_(bound_ns), pace_(pace)
    {
        Set(dice.Within(bound_ns), dice);
        step_at_ns_ = dice.Below(2 * pace_.between_steps_ns);
    }

    /// What it shows. The generator asks.
    ClockReading Now() const
    {
        const std::int64_t shown = kBegin * kMs + now_ns_ + Error();
        return {kDefaultEpoch + shown / kMs, static_cast<std::int32_t>(shown % kMs)};
    }

    /// The millisecond that it shows, since the epoch.
    std::int64_t Offset() const { return Now().milliseconds - kDefaultEpoch; }

    std::int64_t Error() const { return error_ns_ + (now_ns_ - since_ns_) * drift_ppb_ / kSecond; }

    /// Lets true time go on to `now_ns`; steps and turns that are due happen.
    void MoveTo(std::int64_t now_ns, Dice &dice)
    {
        now_ns_ = now_ns;
        if (now_ns < turn_at_ns_ && now_ns < step_at_ns_) [[likely]]
            return;
        const std::int64_t before = std::clamp(Error(), -bound_ns_, bound_ns_);
        if (now_ns < step_at_ns_) {
            Set(before, dice); // its daemon finds the drift, and turns it
            return;
        }
        // As a daemon corrects a little, or somebody sets it anew.
        const std::int64_t wanted =
            dice.OneIn(2) ? before + dice.Within(40 * kMs) : dice.Within(bound_ns_);
        Set(std::clamp(wanted, -bound_ns_, bound_ns_), dice);
        (error_ns_ < before ? steps_back : steps_forth)++;
        step_at_ns_ = now_ns + 1 + dice.Below(2 * pace_.between_steps_ns);
    }

    /// As MoveTo(), and the clock is set anew, as after a battery was changed.
    void Restart(std::int64_t now_ns, Dice &dice)
    {
        MoveTo(now_ns, dice);
        if (dice.OneIn(2))
            Set(dice.Within(bound_ns_), dice);
    }

    /// Wrong by more than the fleet was promised, from now on.
    void Break(std::int64_t error_ns)
    {
        error_ns_ = error_ns;
        since_ns_ = now_ns_;
        drift_ppb_ = 0;
        turn_at_ns_ = step_at_ns_ = std::numeric_limits<std::int64_t>::max();
    }

    /// Within the bound again.
    void Mend(std::int64_t now_ns, Dice &dice)
    {
        now_ns_ = now_ns;
        Set(dice.Within(bound_ns_), dice);
        step_at_ns_ = now_ns + 1 + dice.Below(2 * pace_.between_steps_ns);
    }

    std::int64_t steps_forth = 0;
    std::int64_t steps_back = 0;

private:
    void Set(std::int64_t error_ns, Dice &dice)
    {
        error_ns_ = error_ns;
        since_ns_ = now_ns_;
        drift_ppb_ = dice.Within(dice.OneIn(8) ? pace_.slew_ppb : pace_.ordinary_ppb);
        if (error_ns == bound_ns_ || error_ns == -bound_ns_)
            drift_ppb_ = error_ns > 0 ? -std::abs(drift_ppb_) : std::abs(drift_ppb_);
        const std::int64_t left = bound_ns_ - (drift_ppb_ < 0 ? -error_ns : error_ns);
        turn_at_ns_ = now_ns_ + pace_.between_steps_ns;
        if (drift_ppb_ != 0)
            turn_at_ns_ =
                now_ns_ + std::min(left * kSecond / std::abs(drift_ppb_), pace_.between_steps_ns);
    }

    std::int64_t bound_ns_;
    Pace pace_;
    std::int64_t now_ns_ = 0;
    std::int64_t error_ns_ = 0; ///< at since_ns_
    std::int64_t since_ns_ = 0;
    std::int64_t drift_ppb_ = 0;
    std::int64_t turn_at_ns_ = 0; ///< before it has drifted to the bound
    std::int64_t step_at_ns_ = 0;
};

} // namespace timeshard::fleet
