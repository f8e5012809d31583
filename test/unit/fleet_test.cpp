/// A fleet of servers, each with a state word of its own and a node ID of its
/// own, at full rate: no two IDs alike.

#include "clock.hpp"
#include "generator.hpp"
#include "layout.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace {

using namespace timeshard;

constexpr int kMilliseconds = SCALE > 1 ? 2 : 12;
constexpr std::int64_t kBegin = 60000000000; // ms since the epoch: two years in

struct SimulatedClock
{
    std::int64_t offset;

    ClockReading Now() const { return {kDefaultEpoch + offset, 0}; }
};

/// All IDs of some milliseconds from kBegin, a bit for each.
class IdSet
{
public:
    explicit IdSet(int milliseconds) : taken_(static_cast<std::size_t>(milliseconds) << kLowerBits)
    {}

    /// False if the ID was there already, or is of no millisecond of ours.
    bool Insert(std::int64_t id)
    {
        const std::uint64_t place = static_cast<std::uint64_t>(id - (kBegin << kLowerBits));
        if (place >= taken_.size() || taken_[place])
            return false;
        taken_[place] = true;
        size_++;
        return true;
    }

    std::size_t Size() const { return size_; }

private:
    std::vector<bool> taken_;
    std::size_t size_ = 0;
};

class Node
{
public:
    explicit Node(Layout layout, std::int32_t id) : layout_(layout), id_(id) {}

    /// Takes up to `count` IDs by a clock at `offset`, fewer if there are no
    /// more; false if an ID was there already.
    bool Take(std::int64_t offset, int count, IdSet *ids)
    {
        const SimulatedClock clock{offset};
        for (; count > 0; count--) {
            const Step step =
                TakeNext(word_, clock, kDefaultEpoch, layout_.MaxSequence(), kMaxOffset + 1);
            if (step.status != Status::kIssued)
                return true;
            if (!ids->Insert(static_cast<std::int64_t>(step.word | layout_.NodeField(id_))))
                return false;
        }
        return true;
    }

private:
    Layout layout_;
    std::int32_t id_;
    std::atomic<std::uint64_t> word_{0};
};

/// All the nodes that a layout has room for.
std::deque<Node> Fleet(Layout layout)
{
    std::deque<Node> nodes;
    for (std::int32_t id = 0; id <= layout.MaxNodeId(); id++)
        nodes.emplace_back(layout, id);
    return nodes;
}

/// In rounds, each node takes some; and at the end of each millisecond all try
/// for more than there is. Every bit pattern of these milliseconds is then
/// issued exactly once.
TEST(Fleet, OfTheDefaultLayoutAtFullRate)
{
    const Layout layout(kDefaultNodeIdBits);
    std::deque<Node> nodes = Fleet(layout);
    IdSet ids(kMilliseconds);

    ASSERT_EQ(nodes.size(), 1024u);
    for (int millisecond = 0; millisecond < kMilliseconds; millisecond++)
        for (int round = 0; round < 5; round++)
            for (Node &node : nodes)
                ASSERT_TRUE(node.Take(kBegin + millisecond, 1000, &ids));
    EXPECT_EQ(ids.Size(), std::size_t{1024} * 4096 * kMilliseconds);
}

TEST(Fleet, OfEveryLayoutFillsAMillisecond)
{
    for (int bits = kMinNodeIdBits; bits <= kMaxNodeIdBits; bits += SCALE > 1 ? 5 : 1) {
        const Layout layout(bits);
        IdSet ids(1);

        for (Node &node : Fleet(layout))
            ASSERT_TRUE(node.Take(kBegin, layout.IdsPerMillisecond() + 1, &ids)) << bits;
        EXPECT_EQ(ids.Size(), std::size_t{1} << kLowerBits) << bits;
    }
}

/// Uniqueness rests on no clock: each node's is some milliseconds off, and is
/// set forward and back at random.
TEST(Fleet, WithClocksThatAreWrong)
{
    std::deque<Node> nodes = Fleet(Layout(kDefaultNodeIdBits));
    std::mt19937_64 random(1024);
    IdSet ids(kMilliseconds);

    for (int round = 0; round < 20; round++)
        for (Node &node : nodes) {
            const auto millisecond = static_cast<std::int64_t>(random() % kMilliseconds);
            ASSERT_TRUE(node.Take(kBegin + millisecond, static_cast<int>(random() % 3000), &ids));
        }
    EXPECT_GT(ids.Size(), std::size_t{1024} * 1000);
}

} // namespace
