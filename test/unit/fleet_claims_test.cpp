/// The fleet of doc/reliability.md that claims its numbers, for a short while, and its check.
/// `make fleet` runs it at length.

#include "../fleet/claimed_fleet.hpp"

#include <cstdint>

#include <gtest/gtest.h>

namespace {

using namespace timeshard;
using namespace timeshard::fleet;

ClaimedFleet FleetAfter(std::int64_t ids, ClaimFault fault = ClaimFault::kNone)
{
    ClaimedFleet fleet({.ids = ids, .seed = 2, .fault = fault});
    fleet.RunTo(ids);
    fleet.found.check.Finish();
    return fleet;
}

TEST(ClaimedFleet, NoIdIsMadeTwice)
{
    const ClaimedFleet fleet = FleetAfter(100000000 / SCALE);
    EXPECT_EQ(fleet.found.check.Ids(), 100000000 / SCALE);
    EXPECT_EQ(fleet.found.check.Alike(), 0);
    EXPECT_EQ(fleet.found.check.Mixed(), 0);
    EXPECT_TRUE(fleet.found.Holds());
    if (SCALE > 1)
        return;
    EXPECT_GT(fleet.claims.switches, 50);
    EXPECT_GT(fleet.claims.not_yours, 50);
    EXPECT_GT(fleet.claims.kept, 0);
    EXPECT_GT(fleet.fates.cloned, 10);
    EXPECT_GT(fleet.site.failovers, 0);
    EXPECT_GT(fleet.Total().torn_writes, 0);
}

#if SCALE == 1 // enough IDs to come upon what is planted
TEST(ClaimedFleet, FindsWhatIsPlanted)
{
    for (const ClaimFault fault :
         {ClaimFault::kEndsForgotten, ClaimFault::kEndNotChecked, ClaimFault::kNoRest,
          ClaimFault::kProofIgnored, ClaimFault::kTagKept}) {
        const ClaimedFleet fleet = FleetAfter(100000000, fault);
        EXPECT_GT(fleet.found.check.Alike(), 0) << static_cast<int>(fault);
        EXPECT_FALSE(fleet.found.Holds());
    }
}
#endif

constexpr Layout kLayout(10);
constexpr std::uint32_t kOne = 1;
constexpr std::uint32_t kOther = 2;

std::int64_t Id(std::int64_t offset, std::int32_t number, std::int32_t sequence)
{
    return static_cast<std::int64_t>(WordAt(offset) | kLayout.NodeField(number)) + sequence;
}

TEST(RunCheck, CountsWhatTwoRunsHaveInCommon)
{
    RunCheck check(kLayout);
    check.Add(Id(7, 3, 0), 100, kOne);
    check.Add(Id(7, 4, 0), 100, kOther); // another number
    check.Add(Id(8, 3, 0), 100, kOne);   // another millisecond
    check.Add(Id(7, 3, 90), 30, kOther);
    check.Finish();
    EXPECT_EQ(check.Alike(), 10);
    EXPECT_EQ(check.Ids(), 330);
}

TEST(RunCheck, OneAlikeIsFoundAtBothEnds)
{
    for (const std::int32_t at : {0, 50, 99}) {
        RunCheck check(kLayout);
        check.Add(Id(7, 3, at), 1, kOther);
        check.Add(Id(7, 3, 0), 100, kOne);
        check.Finish();
        EXPECT_EQ(check.Alike(), 1) << at;
    }
    RunCheck next(kLayout);
    next.Add(Id(7, 3, 0), 100, kOne);
    next.Add(Id(7, 3, 100), 1, kOther);
    next.Finish();
    EXPECT_EQ(next.Alike(), 0);
    EXPECT_EQ(next.Mixed(), 0);
}

TEST(RunCheck, ClonesShareTheirClaimAlone)
{
    RunCheck check(kLayout);
    check.NoteClones(kOne);
    check.Add(Id(7, 3, 0), 100, kOne);
    check.Add(Id(7, 3, 0), 100, kOne);
    check.Add(Id(9, 3, 0), 5, kOther);
    check.Add(Id(9, 3, 0), 5, kOther);
    check.Finish();
    EXPECT_EQ(check.ClonesAlike(), 100);
    EXPECT_EQ(check.Alike(), 5);
}

TEST(RunCheck, ClaimsThatInterleaveAreFound)
{
    RunCheck check(kLayout);
    check.Add(Id(7, 3, 0), 1, kOne);
    check.Add(Id(8, 3, 0), 1, kOther);
    check.Add(Id(9, 3, 0), 1, kOne);
    check.Finish();
    EXPECT_EQ(check.Alike(), 0);
    EXPECT_EQ(check.Mixed(), 1);
}

} // namespace
