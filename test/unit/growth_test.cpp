/// What doc/growth.md says of many nodes, on the core: its table of layouts, and
/// fleets whose clocks are a little off.

#include "clock.hpp"
#include "generator.hpp"
#include "manual_page.hpp"
#include "layout.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace {

using namespace timeshard;
using test::Number;
using test::TableOfThePage;

constexpr std::int64_t kBegin = 60000000000; // ms since the epoch: two years in

/// A wall clock, in ns since kBegin, that is wrong by a fixed amount.
struct WrongClock
{
    std::int64_t now_ns;
    std::int64_t error_ns;

    ClockReading Now() const
    {
        const std::int64_t ns = now_ns + error_ns;
        const std::int64_t ms =
            (ns >= 0 ? ns : ns - kNanosecondsPerMillisecond + 1) / kNanosecondsPerMillisecond;
        return {kDefaultEpoch + kBegin + ms,
                static_cast<std::int32_t>(ns - ms * kNanosecondsPerMillisecond)};
    }
};

/// How many IDs a node issues in `milliseconds` that it asks for until nothing is left.
std::int64_t IdsOfOneNode(Layout layout, int milliseconds)
{
    std::atomic<std::uint64_t> word{0};
    std::int64_t issued = 0;
    for (int ms = 0; ms < milliseconds; ms++) {
        const WrongClock clock{ms * kNanosecondsPerMillisecond, 0};
        while (TakeNext(word, clock, kDefaultEpoch, layout.MaxSequence(), kMaxOffset + 1).status ==
               Status::kIssued)
            issued++;
    }
    return issued;
}

TEST(Growth, TheLayoutsAreThoseOfThePage)
{
    const auto rows = TableOfThePage("node bits");
    std::vector<int> shown;
    for (const auto &row : rows) {
        ASSERT_GE(row.size(), 5u);
        const int bits = std::stoi(row[0]);
        const Layout layout(bits);
        const std::int64_t nodes = layout.MaxNodeId() + 1;
        const std::int64_t per_second = IdsOfOneNode(layout, 2) * 500;

        shown.push_back(bits);
        EXPECT_EQ(Number(row[1]), nodes) << bits;
        EXPECT_EQ(Number(row[2]) * 1000, per_second) << bits;
        EXPECT_EQ(Number(row[3]), per_second) << bits;
        EXPECT_EQ(Number(row[4]), per_second * nodes) << bits;
    }
    EXPECT_EQ(shown, (std::vector<int>{1, 8, 10, 12, 14, 16}));
}

/// An ID and the true time at which it was made.
struct Made
{
    std::int64_t at_ns;
    std::int64_t id;
};

struct FleetOf
{
    const char *name;
    int node_id_bits;
    std::int64_t error_ns; ///< the most that a clock is wrong, either way
};

void PrintTo(const FleetOf &fleet, std::ostream *out)
{
    *out << fleet.name;
}

/// All nodes of a layout, each with a clock that is wrong by an amount of its
/// own. Every node calls now and then, and one in 64 so fast that its
/// milliseconds are used up and it has to wait, like a session, for the next.
class GrowthTest : public testing::TestWithParam<FleetOf>
{
protected:
    const FleetOf fleet_ = GetParam();
    const Layout layout_{fleet_.node_id_bits};
    std::vector<Made> made_;
    std::int64_t waits_ = 0;
    std::int64_t least_error_ns_ = 0;
    std::int64_t greatest_error_ns_ = 0;

    void Run()
    {
        std::mt19937_64 random(static_cast<std::uint64_t>(fleet_.node_id_bits));
        for (std::int32_t node = 0; node <= layout_.MaxNodeId(); node++) {
            // The first two are the extremes, or a small fleet might have none.
            std::int64_t error_ns = node == 0 ? -fleet_.error_ns : fleet_.error_ns;
            if (node > 1)
                error_ns = Below(random, 2 * fleet_.error_ns + 1) - fleet_.error_ns;
            least_error_ns_ = std::min(least_error_ns_, error_ns);
            greatest_error_ns_ = std::max(greatest_error_ns_, error_ns);
            RunNode(node, error_ns, random);
        }
        std::sort(made_.begin(), made_.end(),
                  [](const Made &a, const Made &b) { return a.at_ns < b.at_ns; });
    }

    /// The longest time by which an ID came after a larger one.
    std::int64_t LongestDisorder() const
    {
        std::vector<Made> records; // IDs larger than all before them
        std::int64_t longest_ns = -1;
        for (const Made &made : made_) {
            const auto larger = std::upper_bound(
                records.begin(), records.end(), made.id,
                [](std::int64_t id, const Made &record) { return id < record.id; });
            if (larger != records.end())
                longest_ns = std::max(longest_ns, made.at_ns - larger->at_ns);
            else
                records.push_back(made);
        }
        return longest_ns;
    }

private:
    static std::int64_t Below(std::mt19937_64 &random, std::int64_t end)
    {
        return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(end));
    }

    void RunNode(std::int32_t node, std::int64_t error_ns, std::mt19937_64 &random)
    {
        constexpr std::int64_t kLength = 120 * kNanosecondsPerMillisecond;
        const bool busy = node % 64 == 5;
        const std::int64_t pause_ns = kNanosecondsPerMillisecond / layout_.IdsPerMillisecond() / 2;
        const int calls = std::min(200, 2000000 / (layout_.MaxNodeId() + 1)) / SCALE;
        const int ids = busy ? 3 * layout_.IdsPerMillisecond() : calls;
        std::atomic<std::uint64_t> word{0};
        std::int64_t now_ns = Below(random, kLength);

        for (int left = ids; left > 0;) {
            const Step step = TakeNext(word, WrongClock{now_ns, error_ns}, kDefaultEpoch,
                                       layout_.MaxSequence(), kMaxOffset + 1);
            if (step.status == Status::kIssued) {
                made_.push_back(
                    {now_ns, static_cast<std::int64_t>(step.word | layout_.NodeField(node))});
                left--;
                now_ns += 1 + (busy ? pause_ns : Below(random, 2 * kLength * SCALE / 200));
            } else {
                ASSERT_EQ(step.status, Status::kExhausted);
                waits_++;
                now_ns += step.gap_ns;
            }
        }
    }
};

constexpr std::int64_t kMs = kNanosecondsPerMillisecond;
INSTANTIATE_TEST_SUITE_P(Fleets, GrowthTest,
                         testing::Values(FleetOf{"Of1024InStep", 10, 0},
                                         FleetOf{"Of1024OffBy5ms", 10, 5 * kMs},
                                         FleetOf{"Of65536OffBy300us", 16, 300000},
                                         FleetOf{"Of65536OffBy30ms", 16, 30 * kMs}),
                         [](const auto &info) { return info.param.name; });

/// No two IDs are alike, and an ID that was made later than another is smaller
/// only if it was made sooner after it than the two clocks differ: less than that
/// and the millisecond to which an ID is rounded down. The simulation comes near
/// that bound, or it would show nothing.
TEST_P(GrowthTest, IdsAreDistinctAndInOrderButForTheClocksError)
{
    Run();
    ASSERT_GT(made_.size(), static_cast<std::size_t>(layout_.MaxNodeId()));
    ASSERT_GT(waits_, layout_.MaxNodeId() / 64);
    const std::int64_t apart_ns = greatest_error_ns_ - least_error_ns_;
    ASSERT_EQ(apart_ns, 2 * fleet_.error_ns);

    const std::int64_t disorder_ns = LongestDisorder();
    EXPECT_LT(disorder_ns, apart_ns + kMs);
    EXPECT_GT(disorder_ns, apart_ns * 3 / 4 + kMs / 4);

    std::vector<std::int64_t> ids;
    for (const Made &made : made_)
        ids.push_back(made.id);
    std::sort(ids.begin(), ids.end());
    EXPECT_EQ(std::adjacent_find(ids.begin(), ids.end()), ids.end());
}

} // namespace
