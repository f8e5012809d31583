/// The horizon: positions, who publishes and keeps them, the answer, and both
/// sides against each other in threads.

#include "position.hpp"
#include "stage.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#ifndef SCALE
#define SCALE 1
#endif

namespace {

using namespace timeshard;
using timeshard::test::kAllReserved;
using timeshard::test::Stage;
using timeshard::test::Word;

constexpr std::uint64_t kTagMost = (std::uint64_t{1} << 23) - 1;

void KeepNothing(std::uint64_t) {}

TEST(Position, HoldsWhatItIsMadeOf)
{
    for (const std::int64_t offset : {std::int64_t{0}, std::int64_t{1}, kMaxOffset}) {
        for (const std::uint64_t tag : {std::uint64_t{1}, std::uint64_t{77}, kTagMost}) {
            const std::uint64_t position = MakePosition(offset, tag);
            EXPECT_EQ(OffsetOfPosition(position), offset);
            EXPECT_TRUE(IsOf(position, tag));
            EXPECT_FALSE(IsOf(position, tag == 1 ? 2 : tag - 1));
            EXPECT_NE(position, kNoPosition);
        }
    }
}

TEST(Position, NoTagIsThatOfNone)
{
    for (const std::uint32_t number :
         {0u, 1u, (1u << 23) - 2, (1u << 23) - 1, 1u << 23, UINT32_MAX - 1, UINT32_MAX}) {
        EXPECT_GE(TagFor(number), 1u) << number;
        EXPECT_LE(TagFor(number), kTagMost) << number;
        EXPECT_FALSE(IsOf(kNoPosition, TagFor(number))) << number;
    }
}

TEST(Position, TagsComeBackOnlyAfterAllOthers)
{
    constexpr std::uint32_t kRound = (1u << 23) - 1;
    for (const std::uint32_t number : {0u, 1u, 5u, kRound - 1}) {
        EXPECT_EQ(TagFor(number), TagFor(number + kRound));
        EXPECT_NE(TagFor(number), TagFor(number + 1));
        EXPECT_NE(TagFor(number), TagFor(number + kRound - 1));
    }
}

TEST(Publishing, SaysWhereTheStateStands)
{
    std::atomic<std::uint64_t> slot{kNoPosition};
    const std::atomic<std::uint64_t> state{Word(500, 9)};
    EXPECT_TRUE(PublishPosition(slot, state, 7, KeepNothing));
    EXPECT_EQ(slot, MakePosition(500, 7));
}

TEST(Publishing, StandsForTheWholeTransaction)
{
    std::atomic<std::uint64_t> slot{MakePosition(400, 7)};
    const std::atomic<std::uint64_t> state{Word(500, 9)};
    EXPECT_FALSE(PublishPosition(slot, state, 7, KeepNothing));
    EXPECT_EQ(slot, MakePosition(400, 7));
}

TEST(Publishing, ShowsWhatItOverwritesWhileItIsThere)
{
    std::atomic<std::uint64_t> slot{MakePosition(400, 6)};
    const std::atomic<std::uint64_t> state{Word(500, 9)};
    std::uint64_t kept = kNoPosition;
    EXPECT_TRUE(PublishPosition(slot, state, 7, [&](std::uint64_t position) {
        kept = position;
        EXPECT_EQ(slot, position);
    }));
    EXPECT_EQ(kept, MakePosition(400, 6));
}

/// A parallel worker is quicker: its position is the older one, and stays.
TEST(Publishing, LosesToAnotherForTheSameTransaction)
{
    Stage stage(MakePosition(400, 6), {0, 0});
    stage.Before(1, [&] { stage.word = MakePosition(450, 7); });
    Stage::Atomic slot{stage};
    const std::atomic<std::uint64_t> state{Word(500, 9)};
    EXPECT_FALSE(PublishPosition(slot, state, 7, KeepNothing));
    EXPECT_EQ(stage.word, MakePosition(450, 7));
}

TEST(Publishing, IsRaisedToTheFirstId)
{
    std::atomic<std::uint64_t> slot{MakePosition(400, 7)};
    LiftPosition(slot, 600, 7);
    EXPECT_EQ(slot, MakePosition(600, 7));
}

TEST(Keeping, CopiesUnderTheOtherTag)
{
    std::atomic<std::uint64_t> entry{MakePosition(900, 3)};
    KeepPosition(entry, MakePosition(400, 7), 11);
    EXPECT_EQ(entry, MakePosition(400, 11));
}

/// What is copied may be a later transaction's whose tag is the same; what is
/// there, an earlier one's.
TEST(Keeping, TheOlderOfTheSameTagStays)
{
    std::atomic<std::uint64_t> entry{MakePosition(300, 11)};
    KeepPosition(entry, MakePosition(400, 7), 11);
    EXPECT_EQ(entry, MakePosition(300, 11));
    KeepPosition(entry, MakePosition(200, 7), 11);
    EXPECT_EQ(entry, MakePosition(200, 11));
}

/// A parallel worker copies at the same time.
TEST(Keeping, TheOlderOfTwoThatCopyStays)
{
    for (const std::int64_t others : {300, 500}) {
        Stage stage(kNoPosition, {0, 0});
        stage.Before(1, [&] { stage.word = MakePosition(others, 11); });
        Stage::Atomic entry{stage};
        KeepPosition(entry, MakePosition(400, 7), 11);
        EXPECT_EQ(stage.word, MakePosition(std::min(others, std::int64_t{400}), 11));
    }
}

TEST(Answer, IsTheLeastByTheMillisecond)
{
    std::atomic<std::uint64_t> greatest{0};
    EXPECT_EQ(AnswerHorizon(greatest, Word(500, 9), 480), Word(480, 0));
    EXPECT_EQ(AnswerHorizon(greatest, Word(500, 9), kMaxOffset + 1), Word(500, 0));
    EXPECT_EQ(greatest, Word(500, 0));
}

TEST(Answer, NeverGoesBack)
{
    std::atomic<std::uint64_t> greatest{Word(490, 0)};
    EXPECT_EQ(AnswerHorizon(greatest, Word(500, 9), 480), Word(490, 0));
    EXPECT_EQ(greatest, Word(490, 0));

    Stage stage(Word(490, 0), {0, 0});
    stage.Before(1, [&] { stage.word = Word(499, 0); });
    Stage::Atomic raised_meanwhile{stage};
    EXPECT_EQ(AnswerHorizon(raised_meanwhile, Word(500, 9), 495), Word(499, 0));
    EXPECT_EQ(stage.word, Word(499, 0));
}

/// One server in threads: writers whose transactions take a few IDs and end, and
/// readers who ask. Whenever one has an answer, every ID below it has ended.
TEST(Horizon, NothingBelowAnAnswerIsOpen)
{
    constexpr int kWriters = 4;
    constexpr int kReaders = 2;
    constexpr std::uint32_t kTransactions = 200000 / SCALE;
    constexpr std::int32_t kMax = 3; // so that milliseconds pass quickly

    struct Writer
    {
        std::atomic<std::uint64_t> slot{kNoPosition};
        std::atomic<std::uint32_t> number{0}; // of its open transaction, as PGPROC has it
        std::atomic<std::uint64_t> oldest{0}; // the first ID of it, once it has one
    };
    std::vector<Writer> writers(kWriters);
    std::atomic<std::uint64_t> state{Word(1, 0)};
    std::atomic<std::uint64_t> greatest{0};
    std::atomic<int> at_work{kWriters};
    std::atomic<int> without_answer{kReaders};
    std::atomic<std::int64_t> now{2};

    const auto take = [&] {
        for (;;) {
            struct Clock
            {
                std::atomic<std::int64_t> &now;
                ClockReading Now() const { return {now.load(), 0}; }
            };
            const Step step = TakeNext(state, Clock{now}, 0, kMax, kAllReserved);
            if (step.status == Status::kIssued)
                return step.word;
            now.fetch_add(1);
        }
    };
    const auto write = [&](Writer &self) {
        while (without_answer.load() > 0) // or a busy machine has the readers start too late
            std::this_thread::yield();
        for (std::uint32_t number = 1; number <= kTransactions; number++) {
            self.number.store(number);
            const bool raise = PublishPosition(self.slot, state, TagFor(number), KeepNothing);
            const std::uint64_t first = take();
            self.oldest.store(first);
            if (raise && number % 2 != 0)
                LiftPosition(self.slot, OffsetOf(first), TagFor(number));
            for (std::uint32_t more = number % 3; more > 0; more--)
                EXPECT_GT(take(), first);
            self.oldest.store(0);
            self.number.store(0);
        }
        at_work.fetch_sub(1);
    };
    const auto ask = [&] {
        std::uint64_t before = 0;
        bool first = true;
        while (at_work.load() > 0) {
            const std::uint64_t own = take();
            std::int64_t oldest = kMaxOffset + 1;
            for (Writer &writer : writers) {
                const std::uint32_t number = writer.number.load();
                const std::uint64_t position = writer.slot.load();
                if (number != 0 && IsOf(position, TagFor(number)))
                    oldest = std::min(oldest, OffsetOfPosition(position));
            }
            const std::uint64_t answer = AnswerHorizon(greatest, own, oldest);
            EXPECT_GE(answer, before);
            before = answer;
            for (Writer &writer : writers) {
                const std::uint64_t open = writer.oldest.load();
                EXPECT_TRUE(open == 0 || open >= answer) << "an ID below the answer is open";
            }
            if (first)
                without_answer.fetch_sub(1);
            first = false;
        }
        EXPECT_GT(before, 0u);
    };

    std::vector<std::thread> threads;
    for (Writer &writer : writers)
        threads.emplace_back(write, std::ref(writer));
    for (int i = 0; i < kReaders; i++)
        threads.emplace_back(ask);
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_GT(greatest.load(), Word(1, 0));
}

} // namespace
