/// Several IDs in one step.

#include "generator.hpp"
#include "stage.hpp"

#include <cstdint>
#include <set>

#include <gtest/gtest.h>

namespace {

using namespace timeshard;
using timeshard::test::kAllReserved;
using timeshard::test::Stage;
using timeshard::test::Word;

constexpr std::int32_t kMax = 4095;

/// The last sequence that a run reaches: the last eighth is for calls for one ID.
constexpr std::int32_t kRunMax = 3583;

struct Expected
{
    std::uint64_t first, last;
};

void ExpectRun(std::uint64_t last, Moment now, std::int32_t wanted, Expected expected)
{
    const Step step = Advance(last, now, kMax, kAllReserved, wanted);
    ASSERT_EQ(step.status, Status::kIssued);
    EXPECT_EQ(FirstOf(step), expected.first);
    EXPECT_EQ(step.word, expected.last);
}

TEST(Run, TakesWhatIsWanted)
{
    ExpectRun(Word(100, 7), {101, 0}, 1, {Word(101, 0), Word(101, 0)});
    ExpectRun(Word(100, 7), {101, 0}, 5, {Word(101, 0), Word(101, 4)});
    ExpectRun(Word(100, 7), {100, 0}, 1, {Word(100, 8), Word(100, 8)});
    ExpectRun(Word(100, 7), {100, 0}, 5, {Word(100, 8), Word(100, 12)});
    ExpectRun(FloorAt(100), {101, 0}, 2, {Word(101, 0), Word(101, 1)});
}

TEST(Run, NeverLeavesItsMillisecond)
{
    ExpectRun(Word(100, 7), {101, 0}, kMax + 1, {Word(101, 0), Word(101, kRunMax)});
    ExpectRun(Word(100, 7), {101, 0}, kMax + 2, {Word(101, 0), Word(101, kRunMax)});
    ExpectRun(Word(100, 7), {101, 0}, 2147483647, {Word(101, 0), Word(101, kRunMax)});
    ExpectRun(Word(100, kRunMax - 2), {100, 0}, 2, {Word(100, kRunMax - 1), Word(100, kRunMax)});
    ExpectRun(Word(100, kRunMax - 2), {100, 0}, 3, {Word(100, kRunMax - 1), Word(100, kRunMax)});
    ExpectRun(Word(100, kRunMax - 1), {100, 0}, 2, {Word(100, kRunMax), Word(100, kRunMax)});
    EXPECT_EQ(Advance(Word(100, kMax), {100, 0}, kMax, kAllReserved, 3).status, Status::kExhausted);
}

/// What is left to calls for one ID, the last ID of a batch among them.
TEST(Run, LeavesTheLastEighthToSingleCalls)
{
    for (std::int32_t sequence = kRunMax; sequence <= kMax; sequence++) {
        const Step step = Advance(Word(100, sequence), {100, 1}, kMax, kAllReserved, 2);
        EXPECT_EQ(step, (Step{Status::kExhausted, Word(100, sequence), 999999})) << sequence;
    }
    for (std::int32_t sequence = kRunMax; sequence < kMax; sequence++)
        ExpectRun(Word(100, sequence), {100, 1}, 1,
                  {Word(100, sequence + 1), Word(100, sequence + 1)});
    EXPECT_EQ(Advance(FloorAt(100), {100, 0}, kMax, kAllReserved, 2).status, Status::kExhausted);
    ExpectRun(Word(100, kMax), {101, 0}, 2, {Word(101, 0), Word(101, 1)});
}

TEST(Run, FitsEveryLayout)
{
    for (int bits = kMinNodeIdBits; bits <= kMaxNodeIdBits; bits++) {
        const Layout layout(bits);
        const Step step =
            Advance(Word(9, 0), {10, 0}, layout.MaxSequence(), kAllReserved, 2147483647);
        EXPECT_EQ(SequenceOf(step.word) + 1, layout.IdsPerMillisecond() / 8 * 7) << bits;
        EXPECT_EQ(step.word & layout.NodeField(layout.MaxNodeId()), 0u) << bits;
    }
}

/// A rival takes a run between our load and our exchange: ours starts behind it.
TEST(Run, StartsBehindALostRace)
{
    Stage stage(Word(100, 7), {100, 0});
    stage.Before(2, [&] { stage.word = Word(100, 3500); });
    Stage::Atomic atomic{stage};
    const Step step = TakeNext(atomic, Stage::Clock{stage}, 0, kMax, kAllReserved, 100);
    EXPECT_EQ(FirstOf(step), Word(100, 3501));
    EXPECT_EQ(step.word, Word(100, kRunMax));
    EXPECT_EQ(stage.word, Word(100, kRunMax));
}

/// Rivals take what the runs of a later millisecond have: the clock is read again, so
/// that the wait ends with the millisecond, not a whole one later.
TEST(Run, ReadsTheClockAgainWhenARaceUsesUpItsShare)
{
    Stage stage(Word(100, 7), {100, 0});
    stage.Before(2, [&] {
        stage.word = Word(101, kRunMax);
        stage.now = {101, 999000};
    });
    Stage::Atomic atomic{stage};
    const Step step = TakeNext(atomic, Stage::Clock{stage}, 0, kMax, kAllReserved, 2);
    EXPECT_EQ(step, (Step{Status::kExhausted, Word(101, kRunMax), 1000}));
}

TEST(Run, IsCountedWhenTheMillisecondIsLeft)
{
    Step step = Advance(Word(100, 7), {101, 0}, kMax, kAllReserved, 10);
    EXPECT_EQ(SequenceOf(FirstOf(step)), 0);
    EXPECT_EQ(IdsInMillisecond(step.last), 8);
    step = Advance(step.word, {102, 0}, kMax, kAllReserved, 1);
    EXPECT_EQ(IdsInMillisecond(step.last), 10);
}

} // namespace
