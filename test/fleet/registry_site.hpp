#pragma once

#include "number_registry.hpp"
#include "wrong_clock.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>

namespace timeshard::fleet {

/// Clocks of claimants and registry stay within a minute of each other, unless they break.
inline constexpr std::int64_t kClaimBoundNs = 29 * kSecond;
inline constexpr Pace kClaimPace{1200 * kSecond, 0, 0};
inline constexpr std::int64_t kHourNs = 3600 * kSecond;
inline constexpr std::int64_t kYearNs = 365 * 24 * kHourNs;
inline constexpr std::int64_t kClaimLength = 90 * kMinute;

/// Where the registry runs: a primary and a standby, outages, failovers and its clock.
class RegistrySite
{
public:
    RegistrySite(std::int32_t numbers, ClaimFault fault, Dice &dice)
        : registry(numbers, kClaimLength, kBegin, fault),
          clock_(kClaimBoundNs, dice, kClaimPace),
          standby_(registry.tables)
    {}

    Registry registry;
    std::int64_t outages = 0;
    std::int64_t failovers = 0;
    std::int64_t clock_breaks = 0;

    /// Lets true time go on. With `may_lose` an outage can end with a failover that loses
    /// what the standby has not heard of.
    void MoveTo(std::int64_t now_ns, bool may_lose, Dice &dice)
    {
        clock_.MoveTo(now_ns, dice);
        if (is_down_ && now_ns >= up_at_ns_)
            ComeBack(now_ns, may_lose, dice);
        if (broken_ && now_ns >= mend_at_ns_) {
            broken_ = false;
            clock_.Mend(now_ns, dice);
            standby_ = registry.tables; // no failover loses what a wrong clock has granted
        }
        if (is_down_)
            return;
        if (now_ns >= copy_at_ns_) {
            standby_ = registry.tables;
            copy_at_ns_ = now_ns + dice.Below(300 * kSecond);
        }
        if (now_ns >= event_at_ns_)
            Befall(now_ns, dice);
    }

    /// Nothing else befalls it from now on.
    void GoAYearAhead()
    {
        is_down_ = broken_ = false;
        clock_.Break(kYearNs);
        event_at_ns_ = std::numeric_limits<std::int64_t>::max();
    }

    bool IsDown() const { return is_down_; }

    /// The outage is to end with a failover.
    bool FailsOver() const { return is_down_ && fails_over_; }
    std::int64_t Clock() const { return clock_.Offset(); }

private:
    static constexpr std::int64_t kBetweenEvents = 600 * kSecond;

    void Befall(std::int64_t now_ns, Dice &dice)
    {
        event_at_ns_ = now_ns + dice.Below(2 * kBetweenEvents);
        const std::int64_t kind = dice.Below(16);
        if (kind < 4 && !broken_) {
            broken_ = true;
            clock_breaks++;
            const std::int64_t error = dice.OneIn(2) ? kHourNs : kYearNs;
            clock_.Break(dice.OneIn(2) ? error : -error);
            mend_at_ns_ = now_ns + dice.Below(1800 * kSecond);
            return;
        }
        is_down_ = true;
        outages++;
        fails_over_ = kind >= 14;
        const bool is_long = kind == 4;
        up_at_ns_ = now_ns + dice.Below(is_long ? 3 * kHourNs : 300 * kSecond);
    }

    void ComeBack(std::int64_t now_ns, bool may_lose, Dice &dice)
    {
        is_down_ = false;
        event_at_ns_ = now_ns + dice.Below(2 * kBetweenEvents);
        if (!fails_over_ || !may_lose || broken_) {
            registry.Restart(Clock());
            return;
        }
        failovers++;
        registry.tables = standby_;
        registry.system++;
        clock_.Mend(now_ns, dice);
    }

    WrongClock clock_;
    Tables standby_;
    bool is_down_ = false;
    bool fails_over_ = false;
    bool broken_ = false;
    std::int64_t up_at_ns_ = 0;
    std::int64_t mend_at_ns_ = 0;
    std::int64_t copy_at_ns_ = 0;
    std::int64_t event_at_ns_ = kBetweenEvents;
};

} // namespace timeshard::fleet
