/// Races and clock steps, played one by one.

#include "clock.hpp"
#include "generator.hpp"
#include "stage.hpp"

#include <algorithm>
#include <cstdint>
#include <random>

#include <gtest/gtest.h>

namespace {

using namespace timeshard;
using timeshard::test::kAllReserved;
using timeshard::test::Stage;
using timeshard::test::Word;

constexpr std::int32_t kMax = 4095;
constexpr std::int64_t kEpoch = kDefaultEpoch;

constexpr ClockReading Clock(std::int64_t offset, std::int32_t nanoseconds = 0)
{
    return {kEpoch + offset, nanoseconds};
}

Step Take(Stage &stage, std::int32_t max_sequence = kMax)
{
    Stage::Atomic atomic{stage};
    return TakeNext(atomic, Stage::Clock{stage}, kEpoch, max_sequence, kAllReserved);
}

TEST(TakeNext, ReadsTheClockOnceThenLoadsTheStateThenExchanges)
{
    Stage stage(Word(100, 7), Clock(100, 500));

    EXPECT_EQ(Take(stage), (Step{Status::kIssued, Word(100, 8), 0}));
    EXPECT_EQ(stage.word, Word(100, 8));
    EXPECT_EQ(stage.Log(), "CLX");
}

/// Whichever of load and clock comes first, time passes between them and a
/// rival issues. Without another reading this looks like a clock gone back.
TEST(TakeNext, ARivalBetweenClockAndLoadIsNoClockStep)
{
    Stage stage(Word(100, 7), Clock(100, 999999));
    stage.Before(1, [&] {
        stage.now = Clock(101, 10);
        stage.word = Word(101, 0);
    });

    EXPECT_EQ(Take(stage), (Step{Status::kIssued, Word(101, 1), 0}));
    EXPECT_EQ(stage.Log(), "CLCX");
}

/// Nor is it one where the rival has gone on to a later millisecond meanwhile.
TEST(TakeNext, ARivalBetweenTheReadingsAgainIsNoClockStep)
{
    Stage stage(Word(100, 7), Clock(100, 999999));
    stage.Before(1, [&] {
        stage.now = Clock(101, 10);
        stage.word = Word(101, 0);
    });
    stage.Before(2, [&] {
        stage.now = Clock(102, 3);
        stage.word = Word(102, 5);
    });

    EXPECT_EQ(Take(stage), (Step{Status::kIssued, Word(102, 6), 0}));
    EXPECT_EQ(stage.Log(), "CLCXX");
}

TEST(TakeNext, LosingToANewerMillisecondIssuesInItWithoutTheClock)
{
    Stage stage(Word(100, 7), Clock(100, 999999));
    stage.Before(2, [&] {
        stage.now = Clock(105, 0);
        stage.word = Word(105, 30);
    });

    EXPECT_EQ(Take(stage), (Step{Status::kIssued, Word(105, 31), 0}));
    EXPECT_EQ(stage.word, Word(105, 31));
    EXPECT_EQ(stage.Log(), "CLXX");
}

TEST(TakeNext, LosingInTheSameMillisecondGoesOnWithoutTheClock)
{
    Stage stage(Word(100, 7), Clock(100, 1));
    stage.Before(2, [&] { stage.word = Word(100, 20); });
    stage.Before(3, [&] { stage.word = Word(100, 21); });
    stage.Before(4, [&] { stage.word = Word(100, 50); });

    EXPECT_EQ(Take(stage), (Step{Status::kIssued, Word(100, 51), 0}));
    EXPECT_EQ(stage.Log(), "CLXXXX");
}

/// A rival whose clock reading is older than ours can still win the exchange;
/// ours stays the newer millisecond.
TEST(TakeNext, LosingToAnOlderMillisecondIssuesInOurs)
{
    Stage stage(Word(100, 7), Clock(103, 1));
    stage.Before(2, [&] { stage.word = Word(101, 0); });

    EXPECT_EQ(Take(stage), (Step{Status::kIssued, Word(103, 0), 0}));
    EXPECT_EQ(stage.Log(), "CLXX");
}

TEST(TakeNext, LosingTheLastOfAMillisecondReadsTheClockAgain)
{
    Stage stage(Word(100, kMax - 1), Clock(100, 999000));
    stage.Before(2, [&] { stage.word = Word(100, kMax); });
    stage.Before(3, [&] { stage.now = Clock(101, 3); });

    EXPECT_EQ(Take(stage), (Step{Status::kIssued, Word(101, 0), 0}));
    EXPECT_EQ(stage.Log(), "CLXCLX");
}

TEST(TakeNext, LosingTheLastOfANewerMillisecondReadsTheClockAgain)
{
    Stage stage(Word(100, 7), Clock(100, 0));
    stage.Before(2, [&] {
        stage.word = Word(101, kMax);
        stage.now = Clock(101, 400000);
    });

    // The gap is that of the new reading, not of the millisecond's start.
    EXPECT_EQ(Take(stage), (Step{Status::kExhausted, Word(101, kMax), 600000}));
    EXPECT_EQ(stage.word, Word(101, kMax));
    EXPECT_EQ(stage.Log(), "CLXCL");
}

TEST(TakeNext, AnExhaustedMillisecondIsLeftAlone)
{
    Stage stage(Word(100, kMax), Clock(100, 250000));

    EXPECT_EQ(Take(stage), (Step{Status::kExhausted, Word(100, kMax), 750000}));
    EXPECT_EQ(stage.word, Word(100, kMax));
    EXPECT_EQ(stage.Log(), "CL");
}

TEST(TakeNext, AClockSteppedBackChangesNothingAndResumesWhereItWas)
{
    Stage stage(Word(100, 7), Clock(40, 1));
    EXPECT_EQ(Take(stage), (Step{Status::kBehind, Word(100, 7), 59999999}));
    EXPECT_EQ(stage.word, Word(100, 7));
    EXPECT_EQ(stage.Log(), "CLC");

    // A sequence reset by the refused attempt would repeat 100/0 to 100/7 here.
    stage.now = Clock(100, 0);
    EXPECT_EQ(Take(stage), (Step{Status::kIssued, Word(100, 8), 0}));
}

TEST(TakeNext, AClockSteppedBackAfterALostLastIsBehind)
{
    Stage stage(Word(100, 7), Clock(100, 0));
    stage.Before(2, [&] {
        stage.word = Word(100, kMax);
        stage.now = Clock(90, 0);
    });

    EXPECT_EQ(Take(stage), (Step{Status::kBehind, Word(100, kMax), 10000000}));
    EXPECT_EQ(stage.word, Word(100, kMax));
}

TEST(TakeNext, OutsideTheEpochNothingIsIssued)
{
    Stage before(0, Clock(-1, 999999));
    EXPECT_EQ(Take(before), (Step{Status::kBeforeEpoch, 0, 0}));
    EXPECT_EQ(before.word, 0u);

    Stage past(Word(kMaxOffset, 2), Clock(kMaxOffset + 1, 0));
    EXPECT_EQ(Take(past), (Step{Status::kPastEnd, Word(kMaxOffset, 2), 0}));
    EXPECT_EQ(past.word, Word(kMaxOffset, 2));
}

/// Rivals that win, clocks that tick, many plays. With a sound clock nothing is
/// ever "behind"; whatever the clock does the word rises, by our step from what
/// stood there, to no millisecond that nobody's clock has shown.
void PlayAtRandom(bool sound_clock)
{
    constexpr std::int32_t kFew = 3;
    std::mt19937_64 random(sound_clock ? 20231212 : 20231213);
    const auto pick = [&](int n) { return static_cast<int>(random() % n); };
    int issued = 0, behind = 0, exhausted = 0;

    for (int play = 0; play < 50000; play++) {
        Stage stage(Word(100, pick(kFew + 1)), Clock(100, 500000));
        std::int64_t newest = 100; // what a clock has shown while we play
        std::uint64_t before_ours = stage.word;
        int scenes = 6;
        stage.BeforeEach([&] {
            if (scenes-- > 0) {
                if (pick(3) == 0)
                    stage.now.milliseconds += sound_clock ? pick(2) : pick(5) - 2;
                const Moment moment{stage.now.milliseconds - kEpoch, 0};
                for (int rival = pick(3); rival > 0; rival--) {
                    const Step step = Advance(stage.word, moment, kFew, kAllReserved);
                    if (step.status == Status::kIssued)
                        stage.word = step.word;
                }
            }
            newest = std::max({newest, stage.now.milliseconds - kEpoch, OffsetOf(stage.word)});
            before_ours = stage.word;
        });

        const Step step = Take(stage, kFew);
        const auto readings = std::count(stage.Log().begin(), stage.Log().end(), 'C');
        switch (step.status) {
        case Status::kIssued:
            issued++;
            ASSERT_EQ(stage.word, step.word);
            ASSERT_GT(step.word, before_ours);
            ASSERT_LE(OffsetOf(step.word), newest);
            ASSERT_LE(SequenceOf(step.word), kFew);
            // Either the next of the same millisecond or the first of a later.
            ASSERT_TRUE(step.word == before_ours + 1 || SequenceOf(step.word) == 0);
            break;
        case Status::kExhausted:
            exhausted++;
            ASSERT_EQ(SequenceOf(step.word), kFew);
            ASSERT_EQ(stage.word, before_ours);
            break;
        case Status::kBehind:
            behind++;
            ASSERT_FALSE(sound_clock) << stage.Log();
            ASSERT_EQ(stage.word, before_ours);
            break;
        default:
            FAIL() << stage.Log();
        }
        ASSERT_LE(readings, 4) << stage.Log();
    }
    EXPECT_GT(issued, 1000);
    EXPECT_GT(exhausted, 1000);
    EXPECT_EQ(behind > 1000, !sound_clock);
}

TEST(TakeNext, RandomPlaysOnASoundClock)
{
    PlayAtRandom(true);
}

TEST(TakeNext, RandomPlaysOnAClockThatIsSet)
{
    PlayAtRandom(false);
}

} // namespace
