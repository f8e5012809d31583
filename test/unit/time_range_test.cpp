/// Bounds of time, at both ends of a millisecond and of the layout.

#include "generator.hpp"
#include "layout.hpp"
#include "time_range.hpp"

#include <cstdint>
#include <initializer_list>
#include <limits>

#include <gtest/gtest.h>

namespace {

using namespace timeshard;

constexpr std::int64_t kEpoch = 1000;

/// Where an ID's time stands, in us from the origin.
constexpr std::int64_t TimeOf(std::int64_t id)
{
    return (kEpoch + OffsetOf(static_cast<std::uint64_t>(id))) * 1000;
}

TEST(TimeRange, AMillisecondStartsAtItsTime)
{
    EXPECT_EQ(OffsetAtOrAfter(1'005'000, kEpoch), 5);
    EXPECT_EQ(OffsetAtOrAfter(1'005'001, kEpoch), 6);
    EXPECT_EQ(OffsetAtOrAfter(1'005'999, kEpoch), 6);
    EXPECT_EQ(OffsetAtOrAfter(1'006'000, kEpoch), 6);
}

TEST(TimeRange, BeforeTheOriginToo)
{
    EXPECT_EQ(OffsetAtOrAfter(-1000, -10), 9);
    EXPECT_EQ(OffsetAtOrAfter(-1001, -10), 9);
    EXPECT_EQ(OffsetAtOrAfter(-1999, -10), 9);
    EXPECT_EQ(OffsetAtOrAfter(-2000, -10), 8);
    EXPECT_EQ(OffsetAtOrAfter(-1, -10), 10);
    EXPECT_EQ(OffsetAtOrAfter(1, -10), 11);
}

/// id >= lower bound of t exactly when the ID's time is t or later.
TEST(TimeRange, SplitsTheIdsExactly)
{
    for (std::int64_t time = 1'000'000; time <= 1'003'000; time += 250) {
        const std::int64_t offset = OffsetAtOrAfter(time, kEpoch);
        const std::int64_t bound = static_cast<std::int64_t>(WordAt(offset));
        for (const std::int64_t id : {bound, bound + 1, bound + 4194303, bound + 4194304})
            EXPECT_GE(TimeOf(id), time);
        if (offset > 0) {
            EXPECT_LT(TimeOf(bound - 1), time);
            EXPECT_EQ(LargestIdBefore(offset), bound - 1);
        }
    }
}

TEST(TimeRange, ReachesToTheEndsOfTheLayout)
{
    constexpr std::int64_t kLargestId = std::numeric_limits<std::int64_t>::max();
    EXPECT_EQ(LargestIdBefore(std::numeric_limits<std::int64_t>::min()), -1);
    EXPECT_EQ(LargestIdBefore(0), -1);
    EXPECT_EQ(LargestIdBefore(1), 4194303);
    EXPECT_EQ(LargestIdBefore(kMaxOffset), kLargestId - 4194304);
    EXPECT_EQ(LargestIdBefore(kMaxOffset + 1), kLargestId);
    EXPECT_EQ(LargestIdBefore(kLargestId), kLargestId);
}

TEST(TimeRange, HoldsForAllOfPostgresqlsTimes)
{
    // -4713-11-24 and 294276-12-31, in us since 2000, and the largest epoch.
    constexpr std::int64_t kFirst = -211813488000000000, kLast = 9223371331199999999;
    EXPECT_LT(OffsetAtOrAfter(kFirst, kMaxEpoch), 0);
    EXPECT_GT(OffsetAtOrAfter(kLast, kMinEpoch - 946684800000), kMaxOffset);
}

} // namespace
