/// The check of the simulated fleet: it finds what it is there for, to the
/// nanosecond.

#include "../fleet/check.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

namespace {

using namespace timeshard;
using namespace timeshard::fleet;

constexpr std::int64_t kBound = 5 * kMs;

/// An ID of the given millisecond after the begin.
std::int64_t Id(std::int64_t millisecond, std::int64_t lower = 0)
{
    return ((kBegin + millisecond) << kLowerBits) + lower;
}

TEST(FleetCheck, TwoAlikeAreFoundWhereverTheyStand)
{
    for (const std::int64_t lower : {0, 1, 63, 64, (1 << kLowerBits) - 1})
        for (const std::int64_t millisecond : {95, 100, 105}) {
            Check check(kBound);
            check.Add(100 * kMs, Id(millisecond, lower));
            EXPECT_TRUE(check.Holds());
            check.Add(100 * kMs + 1, Id(millisecond, lower));
            EXPECT_EQ(check.Alike(), 1) << millisecond << " " << lower;
            EXPECT_FALSE(check.Holds());
        }
}

TEST(FleetCheck, TheSameBitsOfAnotherTimeAreNotAlike)
{
    Check check(kBound);
    for (std::int64_t ms = 0; ms < 300; ms++)
        for (const std::int64_t lower : {0, 4096, (1 << kLowerBits) - 1})
            check.Add(ms * kMs, Id(ms, lower));
    EXPECT_EQ(check.Alike(), 0);
    EXPECT_EQ(check.DisorderNs(), 0);
    EXPECT_TRUE(check.Holds());
}

/// An ID's millisecond begins no later than the fastest clock, and ends no sooner
/// than the slowest.
TEST(FleetCheck, AnIdBeyondTheBoundIsFound)
{
    const auto beyond = [](std::int64_t at_ns, std::int64_t id) {
        Check check(kBound);
        check.Add(at_ns, id);
        EXPECT_EQ(check.Holds(), check.Beyond() == 0);
        return check.Beyond();
    };
    EXPECT_EQ(beyond(100 * kMs, Id(105)), 0);
    EXPECT_EQ(beyond(100 * kMs - 1, Id(105)), 1);
    EXPECT_EQ(beyond(100 * kMs - 1, Id(94)), 0);
    EXPECT_EQ(beyond(106 * kMs - 1, Id(100)), 0);
    EXPECT_EQ(beyond(106 * kMs, Id(100)), 1);
    EXPECT_EQ(beyond(100 * kMs, 0), 1);
    EXPECT_EQ(beyond(100 * kMs, Id(1000000)), 1);
}

TEST(FleetCheck, DisorderAtTheBoundIsFound)
{
    for (const std::int64_t apart : {2 * kBound + kMs - 1, 2 * kBound + kMs}) {
        Check check(kBound);
        check.Add(100 * kMs, Id(105));
        check.Add(100 * kMs + apart, Id(104, 77));
        EXPECT_EQ(check.DisorderNs(), apart);
        EXPECT_FALSE(check.Holds() && apart >= check.MostDisorderNs());
    }
}

/// As told by looking at every pair.
TEST(FleetCheck, DisorderIsThatOfTheWorstPair)
{
    struct Made
    {
        std::int64_t at_ns;
        std::int64_t id;
    };
    for (std::uint64_t seed = 1; seed <= 200; seed++) {
        Dice dice(seed);
        const std::int64_t error = dice.Below(40);
        std::vector<Made> made;
        Disorder disorder(1000);
        std::int64_t longest = 0;
        for (std::int64_t at = 0; made.size() < 100; at += dice.Below(4)) {
            const Made now{at, at + 100 + dice.Within(error)};
            for (const Made &before : made)
                if (before.id > now.id)
                    longest = std::max(longest, at - before.at_ns);
            made.push_back(now);
            disorder.Add(now.at_ns, now.id);
            ASSERT_EQ(disorder.LongestNs(), longest) << seed;
        }
    }
}

/// Clocks are wrong as much as they may be, and never by more.
TEST(FleetClock, KeepsItsBound)
{
    Dice dice(7);
    std::int64_t least = 0;
    std::int64_t greatest = 0;
    WrongClock clock(kBound, dice);
    for (std::int64_t now = 0; now < 2000 * kSecond; now += dice.Below(100 * kMs)) {
        clock.MoveTo(now, dice);
        if (dice.OneIn(1000))
            clock.Restart(now, dice);
        least = std::min(least, clock.Error());
        greatest = std::max(greatest, clock.Error());
        ASSERT_EQ(clock.Offset() - kBegin, (kBegin * kMs + now + clock.Error()) / kMs - kBegin);
    }
    EXPECT_EQ(greatest, kBound);
    EXPECT_EQ(least, -kBound);
    EXPECT_GT(clock.steps_forth, 100);
    EXPECT_GT(clock.steps_back, 100);
}

} // namespace
