/// The pure step, and the clocks.

#include "clock.hpp"
#include "generator.hpp"
#include "layout.hpp"
#include "stage.hpp"

#include <chrono>
#include <cstdint>
#include <initializer_list>

#include <gtest/gtest.h>

namespace {

using namespace timeshard;
using timeshard::test::kAllReserved;
using timeshard::test::Word;

constexpr std::int32_t kMax = 4095;

struct AdvanceCase
{
    const char *name;
    std::uint64_t last;
    Moment now;
    Step expected;
};

class AdvanceTest : public testing::TestWithParam<AdvanceCase>
{};

TEST_P(AdvanceTest, Gives)
{
    EXPECT_EQ(Advance(GetParam().last, GetParam().now, kMax, kAllReserved), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Table, AdvanceTest,
    testing::ValuesIn(std::initializer_list<AdvanceCase>{
        {"FirstEver", 0, {700, 5}, {Status::kIssued, Word(700, 0), 0}},
        {"FirstEverInTheEpochsOwnMs", 0, {0, 0}, {Status::kIssued, Word(0, 1), 0}},
        {"Forward", Word(100, 17), {101, 0}, {Status::kIssued, Word(101, 0), 0}},
        {"ForwardFromExhausted", Word(100, kMax), {101, 0}, {Status::kIssued, Word(101, 0), 0}},
        {"FarForward", Word(100, 1), {900, 3}, {Status::kIssued, Word(900, 0), 0}},
        {"SameMs", Word(100, 17), {100, 999999}, {Status::kIssued, Word(100, 18), 0}},
        {"LastOfTheMs", Word(100, kMax - 1), {100, 1}, {Status::kIssued, Word(100, kMax), 0}},
        {"ExhaustedAtTick",
         Word(100, kMax),
         {100, 0},
         {Status::kExhausted, Word(100, kMax), 1000000}},
        {"ExhaustedBeforeTick",
         Word(100, kMax),
         {100, 999999},
         {Status::kExhausted, Word(100, kMax), 1}},
        {"BehindByOneNs", Word(100, 0), {99, 999999}, {Status::kBehind, Word(100, 0), 1}},
        {"BehindExhausted", Word(100, kMax), {99, 999999}, {Status::kBehind, Word(100, kMax), 1}},
        {"BehindByOneMs", Word(100, 9), {99, 0}, {Status::kBehind, Word(100, 9), 1000000}},
        {"BehindByMore", Word(100, 9), {90, 1}, {Status::kBehind, Word(100, 9), 9999999}},
        {"BehindByAnHour",
         Word(3600000, 9),
         {0, 0},
         {Status::kBehind, Word(3600000, 9), 3600000000000}},
        {"BackBeforeTheEpoch", Word(5, 9), {-5, 0}, {Status::kBehind, Word(5, 9), 10000000}},
        {"BackByAllOf41Bits",
         Word(kMaxOffset, 0),
         {0, 0},
         {Status::kBehind, Word(kMaxOffset, 0), kMaxOffset * 1000000}},
        {"BeforeEpochByOneNs", 0, {-1, 999999}, {Status::kBeforeEpoch, 0, 0}},
        {"LongBeforeEpoch", 0, {-kMaxEpoch, 0}, {Status::kBeforeEpoch, 0, 0}},
        {"EnterLastMs",
         Word(kMaxOffset - 1, 5),
         {kMaxOffset, 0},
         {Status::kIssued, Word(kMaxOffset, 0), 0}},
        {"InLastMs",
         Word(kMaxOffset, 5),
         {kMaxOffset, 0},
         {Status::kIssued, Word(kMaxOffset, 6), 0}},
        {"LastMsExhausted",
         Word(kMaxOffset, kMax),
         {kMaxOffset, 999999},
         {Status::kExhausted, Word(kMaxOffset, kMax), 1}},
        {"PastEnd",
         Word(kMaxOffset, 5),
         {kMaxOffset + 1, 0},
         {Status::kPastEnd, Word(kMaxOffset, 5), 0}},
        {"PastEndAtFirst", 0, {kMaxOffset + 1, 0}, {Status::kPastEnd, 0, 0}},
        {"LongPastEnd", Word(1, 1), {kMaxEpoch, 0}, {Status::kPastEnd, Word(1, 1), 0}},
    }),
    [](const auto &info) { return info.param.name; });

/// Every layout issues exactly its sequence numbers in a millisecond, in order,
/// and none of them touches the bits of the node ID.
TEST(Advance, FillsAMillisecondOfEveryLayout)
{
    for (int bits = kMinNodeIdBits; bits <= kMaxNodeIdBits; bits++) {
        const Layout layout(bits);
        const std::uint64_t node_bits = layout.NodeField(layout.MaxNodeId());
        Step step = Advance(Word(41, 3), {42, 0}, layout.MaxSequence(), 43);

        for (std::int32_t sequence = 0; sequence <= layout.MaxSequence(); sequence++) {
            ASSERT_EQ(step.status, Status::kIssued);
            ASSERT_EQ(step.word, Word(42, sequence));
            ASSERT_EQ(step.word & node_bits, 0u);
            step = Advance(step.word, {42, 0}, layout.MaxSequence(), 43);
        }
        EXPECT_EQ(step.status, Status::kExhausted);
    }
}

TEST(SystemClock, AgreesWithTheStandardLibrary)
{
    using namespace std::chrono;
    const auto in_ns = [] {
        return duration_cast<nanoseconds>(system_clock::now().time_since_epoch()).count();
    };
    const std::int64_t before = in_ns();
    const ClockReading reading = SystemClock::Now();
    const std::int64_t after = in_ns();

    EXPECT_GE(reading.nanoseconds, 0);
    EXPECT_LT(reading.nanoseconds, 1000000);
    EXPECT_LE(before, reading.milliseconds * 1000000 + reading.nanoseconds);
    EXPECT_GE(after, reading.milliseconds * 1000000 + reading.nanoseconds);
}

TEST(MonotonicNanoseconds, AgreesWithTheStandardLibrary)
{
    using namespace std::chrono;
    const auto in_ns = [] {
        return duration_cast<nanoseconds>(steady_clock::now().time_since_epoch()).count();
    };
    const std::int64_t before = in_ns();
    const std::int64_t reading = MonotonicNanoseconds();

    EXPECT_LE(before, reading);
    EXPECT_GE(in_ns(), reading);
}

} // namespace
