/// The reservation, the floor and the choice among the mark's slots.

#include "generator.hpp"
#include "mark_record.hpp"
#include "patience.hpp"
#include "window.hpp"
#include "stage.hpp"

#include <cstdint>

#include <gtest/gtest.h>

namespace {

using namespace timeshard;
using timeshard::test::Stage;
using timeshard::test::Word;

constexpr std::int32_t kMax = 4095;

Step Take(Stage &stage, std::int64_t limit)
{
    Stage::Atomic atomic{stage};
    return TakeNext(atomic, Stage::Clock{stage}, 0, kMax, limit);
}

TEST(Reservation, NoMillisecondAtOrPastTheLimitIsEntered)
{
    EXPECT_EQ(Advance(Word(100, 7), {109, 0}, kMax, 110), (Step{Status::kIssued, Word(109, 0), 0}));
    EXPECT_EQ(Advance(Word(100, 7), {110, 0}, kMax, 110),
              (Step{Status::kUnreserved, Word(100, 7), 0}));
    EXPECT_EQ(Advance(Word(100, 7), {kMaxOffset, 0}, kMax, 110),
              (Step{Status::kUnreserved, Word(100, 7), 0}));
    EXPECT_EQ(Advance(Word(100, 7), {kMaxOffset + 1, 0}, kMax, 110),
              (Step{Status::kPastEnd, Word(100, 7), 0}));
}

TEST(Reservation, WithoutOneNothingIsIssued)
{
    EXPECT_EQ(Advance(0, {0, 0}, kMax, 0).status, Status::kUnreserved) << "the epoch's own";
    for (const std::int64_t now : {std::int64_t{0}, std::int64_t{1}, kMaxOffset}) {
        EXPECT_EQ(Advance(FloorAt(0), {now, 0}, kMax, 0).status,
                  now == 0 ? Status::kExhausted : Status::kUnreserved);
    }
}

/// A gap is judged before the reservation: the wait comes first, so that the
/// time reserved is counted from the clock after it.
TEST(Reservation, AClockBehindWaitsBeforeItReserves)
{
    EXPECT_EQ(Advance(Word(100, 7), {90, 0}, kMax, 0).status, Status::kBehind);
    EXPECT_EQ(Advance(FloorAt(100), {100, 0}, kMax, 0).status, Status::kExhausted);
}

/// A session that has entered the millisecond under a newer limit may hold a newer claim.
TEST(Reservation, TheLimitHoldsInAMillisecondInUse)
{
    EXPECT_EQ(Advance(Word(110, 7), {110, 5}, kMax, 110),
              (Step{Status::kUnreserved, Word(110, 7), 0}));
    EXPECT_EQ(Advance(Word(110, 7), {110, 5}, kMax, 111), (Step{Status::kIssued, Word(110, 8), 0}));
    EXPECT_EQ(Advance(Word(110, 7), {110, 5}, kMax, 110, 3).status, Status::kUnreserved);
}

/// The lost exchange carries the caller into the winner's millisecond, past its own limit.
TEST(Reservation, AWinnersMillisecondIsNotEnteredPastTheLimit)
{
    Stage stage(Word(100, 7), {109, 0});
    stage.Before(2, [&] { stage.word = Word(110, 0); });
    EXPECT_EQ(Take(stage, 110), (Step{Status::kUnreserved, Word(110, 0), 0}));
    EXPECT_EQ(stage.word, Word(110, 0));
}

TEST(Reservation, ALostRaceDoesNotCarryPastTheLimit)
{
    Stage stage(Word(100, kMax - 1), {108, 0});
    stage.Before(2, [&] {
        stage.word = Word(109, kMax);
        stage.now = {110, 0};
    });
    EXPECT_EQ(Take(stage, 110), (Step{Status::kUnreserved, Word(109, kMax), 0}));
    EXPECT_EQ(stage.word, Word(109, kMax));
}

TEST(Reservation, LastsForTheWindowAndIsRenewedWhenHalfIsUsed)
{
    const Reservation reservation = ReserveFrom(5000, 1000);
    EXPECT_EQ(reservation.end, 6000);
    EXPECT_EQ(reservation.renew_at, 5500);
}

TEST(Reservation, ReachesAsFarAsSyncsAreSlow)
{
    EXPECT_EQ(WindowAfterSync(0), 1000);
    EXPECT_EQ(WindowAfterSync(333), 1000);
    EXPECT_EQ(WindowAfterSync(334), 1002);
    EXPECT_EQ(WindowAfterSync(10000), 30000);
    EXPECT_EQ(WindowAfterSync(3600000), 30000);
    for (const std::int64_t sync_ms : {0, 10, 400, 1500, 9999}) {
        const Reservation reservation = ReserveFrom(5000, WindowAfterSync(sync_ms));
        EXPECT_GE(reservation.end - reservation.renew_at, sync_ms) << "a sync as slow ends in time";
    }
}

TEST(Reservation, IsWaitedForAfterARestartAsFarAsItReached)
{
    MarkRecord record{};
    EXPECT_EQ(WindowOf(record), 1000) << "of a release that did not record it";
    record.window_ms = 4500;
    EXPECT_EQ(WindowOf(record), 4500);
    record.window_ms = 4000000000;
    EXPECT_EQ(WindowOf(record), 30000);
    const std::int64_t gap = 4600 * kNanosecondsPerMillisecond;
    EXPECT_TRUE(Patience(100, 4500).ShouldWait({Status::kBehind, FloorAt(9000), gap}, 0, 0));
    EXPECT_FALSE(Patience(100, 4500).ShouldWait({Status::kBehind, FloorAt(9000), gap + 1}, 0, 0));
}

/// At the end of the 41 bits there is nothing to renew, or every ID would try.
TEST(Reservation, EndsWithTheLayout)
{
    EXPECT_EQ(ReserveFrom(kMaxOffset - kMinWindowMs, kMinWindowMs).end, kMaxOffset);
    for (const std::int64_t now : {kMaxOffset - kMinWindowMs + 1, kMaxOffset - 1, kMaxOffset}) {
        const Reservation reservation = ReserveFrom(now, kMinWindowMs);
        EXPECT_EQ(reservation.end, kMaxOffset + 1);
        EXPECT_EQ(reservation.renew_at, kMaxOffset + 1);
        EXPECT_EQ(Advance(Word(now, 1), {now, 0}, kMax, reservation.renew_at).status,
                  Status::kIssued);
    }
}

/// With the end of a claim too, or every ID in its last half second would write the mark.
TEST(Reservation, EndsWithTheClaim)
{
    const Reservation before = ReserveFrom(5000, 1000, 6001);
    EXPECT_EQ(before.end, 6000);
    EXPECT_EQ(before.renew_at, 5500);
    for (const std::int64_t now : {5001, 5500, 5999}) {
        const Reservation reservation = ReserveFrom(now, 1000, 6000);
        EXPECT_EQ(reservation.end, 6000);
        EXPECT_EQ(reservation.renew_at, 6000);
    }
}

TEST(Floor, TheNextMillisecondIsTheFirst)
{
    std::uint64_t word = FloorAt(100);
    EXPECT_EQ(Advance(word, {99, 1}, kMax, 200).status, Status::kBehind);
    EXPECT_EQ(Advance(word, {100, 1}, kMax, 200), (Step{Status::kExhausted, word, 999999}));
    EXPECT_EQ(Advance(word, {101, 0}, kMax, 200), (Step{Status::kIssued, Word(101, 0), 0}));
}

TEST(Floor, OfEveryLayoutLeavesNothing)
{
    for (int bits = kMinNodeIdBits; bits <= kMaxNodeIdBits; bits++) {
        const Layout layout(bits);
        EXPECT_EQ(Advance(FloorAt(100), {100, 0}, layout.MaxSequence(), 200).status,
                  Status::kExhausted);
        EXPECT_FALSE(IsFloor(Word(100, layout.MaxSequence()))) << bits;
    }
    EXPECT_TRUE(IsFloor(FloorAt(100)));
    EXPECT_TRUE(IsFloor(FloorAt(kMaxOffset)));
    EXPECT_FALSE(IsFloor(0));
}

TEST(Floor, OnlyRises)
{
    for (const std::uint64_t lower : {std::uint64_t{0}, Word(99, kMax), Word(100, 4)}) {
        Stage stage(lower, {0, 0});
        Stage::Atomic atomic{stage};
        EXPECT_EQ(LiftToFloor(atomic, 100), lower);
        EXPECT_EQ(stage.word, FloorAt(100));
    }
    Stage stage(Word(101, 0), {0, 0});
    Stage::Atomic atomic{stage};
    EXPECT_EQ(LiftToFloor(atomic, 100), 0u) << "nothing replaced";
    EXPECT_EQ(stage.word, Word(101, 0));
}

TEST(Floor, RisesOverARivalThatIssuesMeanwhile)
{
    Stage stage(Word(90, 1), {0, 0});
    stage.Before(1, [&] { stage.word = Word(90, 2); });
    Stage::Atomic atomic{stage};
    EXPECT_EQ(LiftToFloor(atomic, 100), Word(90, 2)) << "what the rival has made of it";
    EXPECT_EQ(stage.word, FloorAt(100));
    EXPECT_EQ(stage.Log(), "LXX");
}

/// A session that loses its exchange to a floor must not take the floor's
/// millisecond, which may be far ahead, for one that has begun.
TEST(Floor, LosingToOneAheadOfTheClockIssuesNothing)
{
    Stage stage(Word(100, 7), {100, 0});
    stage.Before(2, [&] { stage.word = FloorAt(900); });
    EXPECT_EQ(Take(stage, 1000).status, Status::kBehind);
    EXPECT_EQ(stage.word, FloorAt(900));
}

TEST(Floor, CountsNoIds)
{
    EXPECT_EQ(IdsInMillisecond(0), 0);
    EXPECT_EQ(IdsInMillisecond(FloorAt(100)), 0);
    EXPECT_EQ(IdsInMillisecond(Word(100, 0)), 1);
    EXPECT_EQ(IdsInMillisecond(Word(100, kMax)), 4096);
    EXPECT_EQ(Advance(Word(100, 7), {101, 0}, kMax, 200).last, Word(100, 7));
}

TEST(Floor, OfAnEndPastTheLayoutFitsTheWord)
{
    EXPECT_EQ(FloorOfEnd(100), 100);
    EXPECT_EQ(FloorOfEnd(kMaxOffset + 1), kMaxOffset);
    EXPECT_EQ(FloorAt(FloorOfEnd(kMaxOffset + 1)), ~std::uint64_t{0} >> 1);
}

/// What is behind a floor may wait for the window too; what is behind an ID not.
TEST(Floor, IsWaitedForLongerThanAnId)
{
    const std::int64_t gap = (kMinWindowMs + 100) * kNanosecondsPerMillisecond;
    EXPECT_TRUE(
        Patience(100, kMinWindowMs).ShouldWait({Status::kBehind, FloorAt(5000), gap}, 0, 0));
    EXPECT_FALSE(
        Patience(100, kMinWindowMs).ShouldWait({Status::kBehind, FloorAt(5000), gap + 1}, 0, 0));
    EXPECT_FALSE(
        Patience(100, kMinWindowMs).ShouldWait({Status::kBehind, Word(5000, 0), gap}, 0, 0));
    EXPECT_TRUE(
        Patience(0, kMinWindowMs)
            .ShouldWait({Status::kBehind, FloorAt(5000), kMinWindowMs * kNanosecondsPerMillisecond},
                        0, 0));
}

TEST(Floor, IsNotWaitedForForEver)
{
    const std::int64_t gap = 900 * kNanosecondsPerMillisecond;
    const std::int64_t bound =
        1100 * kNanosecondsPerMillisecond / 8 * 9 + 10 * kNanosecondsPerMillisecond;
    Patience patience(100, kMinWindowMs);
    EXPECT_TRUE(patience.ShouldWait({Status::kBehind, FloorAt(5000), gap}, 0, 5));
    EXPECT_TRUE(patience.ShouldWait({Status::kBehind, FloorAt(5000), gap}, bound + 5, 0));
    EXPECT_FALSE(patience.ShouldWait({Status::kBehind, FloorAt(5000), gap}, bound + 6, 0));
}

MarkRecord Record(std::uint64_t generation)
{
    MarkRecord record{};
    record.magic = kMarkMagic;
    record.version = kMarkVersion;
    record.generation = generation;
    record.node_id_bits = kDefaultNodeIdBits;
    return record;
}

TEST(Mark, GenerationsTakeTurnsAtTheSlots)
{
    EXPECT_EQ(MarkSlotOf(6), 0u);
    EXPECT_EQ(MarkSlotOf(7), kMarkSlotSize);
    EXPECT_EQ(MarkSlotOf(~std::uint64_t{0}), kMarkSlotSize);
}

TEST(Mark, TheNewerSoundSlotCounts)
{
    const MarkRecord seven = Record(7), eight = Record(8), same = Record(8);
    EXPECT_EQ(Newer(&seven, &eight), &eight);
    EXPECT_EQ(Newer(&eight, &seven), &eight);
    EXPECT_EQ(Newer(&eight, &same), &eight);
    EXPECT_EQ(Newer(nullptr, &seven), &seven);
    EXPECT_EQ(Newer(&seven, nullptr), &seven);
    EXPECT_EQ(Newer(nullptr, nullptr), nullptr);
}

TEST(Mark, ARunIsToldByItsStartAndItsPostmaster)
{
    const ServerRun run = {.started_at = 3456, .postmaster = 12};
    const auto changed = [&](auto change) {
        ServerRun other = run;
        change(other);
        return run.IsSame(other);
    };
    EXPECT_TRUE(changed([](ServerRun &) {}));
    EXPECT_FALSE(changed([](ServerRun &r) { r.postmaster++; }));
    EXPECT_FALSE(changed([](ServerRun &r) { r.started_at++; }));
    EXPECT_FALSE(ServerRun{}.IsSame(ServerRun{}));
}

TEST(Mark, ARecordOfTheFirstVersionIsOfNoKnownRun)
{
    MarkRecord record = Record(7);
    record.version = 1;
    record.postmaster = 12;
    record.started_at = 56;
    record.node_id_source = 3;
    record.node_address[47] = 'x';
    ForgetRun(record);
    EXPECT_FALSE(RunOf(record).IsSame(RunOf(record)));
    EXPECT_EQ(record.postmaster, 0);
    EXPECT_EQ(record.node_id_source, 0);
    EXPECT_EQ(record.node_address[47], '\0');
    EXPECT_EQ(record.generation, 7u);
}

TEST(Mark, WhatMakesNoSenseIsNotSound)
{
    EXPECT_TRUE(IsSound(Record(1)));
    const auto broken = [](auto change) {
        MarkRecord record = Record(1);
        change(record);
        return IsSound(record);
    };
    EXPECT_FALSE(broken([](MarkRecord &r) { r.magic++; }));
    EXPECT_FALSE(broken([](MarkRecord &r) { r.version++; }));
    EXPECT_FALSE(broken([](MarkRecord &r) { r.version = 0; }));
    EXPECT_TRUE(broken([](MarkRecord &r) { r.version = 1; }));
    EXPECT_FALSE(broken([](MarkRecord &r) { r.end = -1; }));
    EXPECT_TRUE(broken([](MarkRecord &r) { r.end = kMaxOffset + 1; }));
    EXPECT_FALSE(broken([](MarkRecord &r) { r.end = kMaxOffset + 2; }));
    EXPECT_FALSE(broken([](MarkRecord &r) { r.custom_epoch = kMinEpoch - 1; }));
    EXPECT_FALSE(broken([](MarkRecord &r) { r.custom_epoch = kMaxEpoch + 1; }));
    EXPECT_FALSE(broken([](MarkRecord &r) { r.node_id_bits = 0; }));
    EXPECT_FALSE(broken([](MarkRecord &r) { r.node_id_bits = 17; }));
    EXPECT_FALSE(broken([](MarkRecord &r) { r.node_id = -1; }));
    EXPECT_FALSE(broken([](MarkRecord &r) { r.node_id = 1024; }));
    EXPECT_TRUE(broken([](MarkRecord &r) { r.node_id = 1023; }));
}

} // namespace
