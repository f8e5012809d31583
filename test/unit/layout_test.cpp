#include "generator.hpp"
#include "layout.hpp"

#include <chrono>
#include <cstdint>

#include <gtest/gtest.h>

namespace {

using namespace timeshard;

class LayoutTest : public testing::TestWithParam<int>
{
protected:
    const Layout layout_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(EveryNodeIdBits, LayoutTest,
                         testing::Range(kMinNodeIdBits, kMaxNodeIdBits + 1));

/// The ID as the server composes it.
std::int64_t Compose(const Layout &layout, const Parts &parts)
{
    return static_cast<std::int64_t>(WordAt(parts.offset) | layout.NodeField(parts.node_id) |
                                     static_cast<std::uint64_t>(parts.sequence));
}

TEST_P(LayoutTest, SharesTwentyTwoBits)
{
    const int bits = GetParam();

    EXPECT_EQ(layout_.NodeIdBits(), bits);
    EXPECT_EQ(layout_.NodeIdBits() + layout_.SequenceBits(), 22);
    EXPECT_EQ(std::int64_t{layout_.MaxNodeId()} + 1, std::int64_t{1} << bits);
    EXPECT_EQ(layout_.IdsPerMillisecond(), std::int64_t{1} << (22 - bits));
    EXPECT_EQ(layout_.MaxSequence(), layout_.IdsPerMillisecond() - 1);
    EXPECT_EQ((std::int64_t{layout_.MaxNodeId()} + 1) * layout_.IdsPerMillisecond(), 1 << 22);
}

TEST_P(LayoutTest, ComposedCornersSplitBack)
{
    const std::int64_t offsets[] = {0, 1, 2, std::int64_t{1} << 40, kMaxOffset - 1, kMaxOffset};
    const std::int32_t nodes[] = {0, 1, layout_.MaxNodeId() / 2, layout_.MaxNodeId()};
    const std::int32_t sequences[] = {0, 1, layout_.MaxSequence() / 2, layout_.MaxSequence() - 1,
                                      layout_.MaxSequence()};

    for (const std::int64_t offset : offsets)
        for (const std::int32_t node : nodes)
            for (const std::int32_t sequence : sequences) {
                const std::int64_t id = Compose(layout_, {offset, node, sequence});
                const Parts parts = layout_.Split(id);

                EXPECT_GE(id, 0);
                EXPECT_EQ(parts.offset, offset);
                EXPECT_EQ(parts.node_id, node);
                EXPECT_EQ(parts.sequence, sequence);
                // The time half and the whole of the lower half do not depend
                // on the layout.
                EXPECT_EQ(id / (1 << 22), offset);
                EXPECT_EQ(id % (1 << 22), node * layout_.IdsPerMillisecond() + sequence);
            }
}

TEST_P(LayoutTest, EachPartHasItsOwnBits)
{
    const std::uint64_t time = WordAt(kMaxOffset);
    const std::uint64_t node = layout_.NodeField(layout_.MaxNodeId());
    const std::uint64_t sequence = static_cast<std::uint64_t>(layout_.MaxSequence());

    EXPECT_EQ(time & node, 0u);
    EXPECT_EQ(time & sequence, 0u);
    EXPECT_EQ(node & sequence, 0u);
    // Together they are all bits but the sign.
    EXPECT_EQ(time | node | sequence, static_cast<std::uint64_t>(INT64_MAX));
    EXPECT_EQ(layout_.Split(INT64_MAX).offset, kMaxOffset);
}

TEST_P(LayoutTest, NodeFieldStaysInItsPlace)
{
    for (std::int32_t node = 0; node <= layout_.MaxNodeId(); node++) {
        const std::uint64_t field = layout_.NodeField(node);

        ASSERT_LT(field, std::uint64_t{1} << 22);
        ASSERT_EQ(field & static_cast<std::uint64_t>(layout_.MaxSequence()), 0u);
        ASSERT_EQ(layout_.Split(static_cast<std::int64_t>(field)).node_id, node);
    }
}

TEST_P(LayoutTest, IdsOfOneMillisecondLieBetweenItsNeighbours)
{
    const std::int64_t offset = 123456789012;
    const std::int64_t last_before =
        Compose(layout_, {offset - 1, layout_.MaxNodeId(), layout_.MaxSequence()});
    const std::int64_t first = Compose(layout_, {offset, 0, 0});
    const std::int64_t last =
        Compose(layout_, {offset, layout_.MaxNodeId(), layout_.MaxSequence()});

    EXPECT_EQ(first, last_before + 1);
    EXPECT_EQ(Compose(layout_, {offset + 1, 0, 0}), last + 1);
}

TEST(LayoutConstants, DefaultIsTwitters)
{
    const Layout layout{kDefaultNodeIdBits};

    EXPECT_EQ(layout.SequenceBits(), 12);
    EXPECT_EQ(layout.MaxNodeId(), 1023);
    EXPECT_EQ(layout.IdsPerMillisecond(), 4096);
    EXPECT_EQ(kMaxNodeIdOfAnyLayout, Layout{kMaxNodeIdBits}.MaxNodeId());
}

/// The tweet of Twitter's own documentation, whose layout is the default one
/// with five bits of data centre and five of worker.
TEST(LayoutConstants, ReadsASnowflakeFromElsewhere)
{
    const Parts parts = Layout{kDefaultNodeIdBits}.Split(1541815603606036480);

    EXPECT_EQ(parts.offset, 367597485448);
    EXPECT_EQ(parts.node_id, 378);
    EXPECT_EQ(parts.sequence, 0);
}

TEST(LayoutConstants, EpochsAreTheDatesTheyAreSaidToBe)
{
    using namespace std::chrono;
    const auto in_ms = [](auto time) {
        return duration_cast<milliseconds>(time.time_since_epoch()).count();
    };

    EXPECT_EQ(kDefaultEpoch, in_ms(sys_days{2023y / December / 12} + 12h + 52min + 13s));
    EXPECT_EQ(kMinEpoch, 0);
    EXPECT_EQ(kMaxEpoch, in_ms(sys_days{10000y / January / 1}) - 1);
    // 69 whole years after the default epoch IDs can still be made.
    EXPECT_GT(kDefaultEpoch + kMaxOffset, in_ms(sys_days{2092y / December / 12}));
}

} // namespace
