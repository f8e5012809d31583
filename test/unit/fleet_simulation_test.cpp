/// The fleet of doc/reliability.md, for a short while: 1,024 servers whose clocks
/// drift, are stepped and are wrong, and which crash. `make fleet` runs it at length.

#include "../fleet/simulation.hpp"
#include "manual_page.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace {

using namespace timeshard;
using namespace timeshard::fleet;

// A bound beyond half of max_clock_wait, so that some steps back are refused.
constexpr std::int64_t kBound = (SCALE > 1 ? 60 : 200) * kMs;
constexpr std::int64_t kIds = 20000000 / SCALE;

Simulation RunOf(const Plan &plan)
{
    Simulation simulation(plan);
    simulation.RunTo(plan.ids);
    return simulation;
}

void ExpectThatAllHolds(const Simulation &simulation, const Plan &plan)
{
    EXPECT_EQ(simulation.check.Ids(), plan.ids);
    EXPECT_EQ(simulation.check.Alike(), 0);
    EXPECT_EQ(simulation.falls, 0);
    EXPECT_EQ(simulation.foreign, 0);
    EXPECT_EQ(simulation.untimely, 0);
    EXPECT_EQ(simulation.check.Beyond(), 0);
    EXPECT_LT(simulation.check.DisorderNs(), simulation.check.MostDisorderNs());
    EXPECT_TRUE(simulation.Holds());
    // It comes near the bound, or it would show nothing.
    EXPECT_GT(simulation.check.DisorderNs(), simulation.check.MostDisorderNs() / 20 * 19);
}

/// The cells of the page's table in its first column of figures.
std::vector<std::pair<std::string, double>> FiguresOfThePage()
{
    std::vector<std::pair<std::string, double>> figures;
    for (const auto &row : test::TableOfThePage("the fleet", "reliability.md"))
        figures.emplace_back(row.at(0), test::Number(row.at(1)));
    return figures;
}

TEST(FleetSimulation, ClocksWrongByALotAreWaitedForOrRefused)
{
    Plan plan;
    plan.ids = kIds;
    plan.bound_ns = kBound;
    const Simulation simulation = RunOf(plan);
    const Tally total = simulation.Total();
    ExpectThatAllHolds(simulation, plan);

    if (SCALE > 1)
        return;
    const std::vector<std::pair<std::string, double>> came = {
        {"IDs", simulation.check.Ids()},
        {"servers", simulation.Nodes()},
        {"seconds simulated", simulation.NowNs() / kSecond},
        {"clocks wrong by at most, ms", kBound / kMs},
        {"clock steps forth", simulation.Steps(&WrongClock::steps_forth)},
        {"clock steps back", simulation.Steps(&WrongClock::steps_back)},
        {"crashes", total.crashes},
        {"of these, in the middle of a write of the mark", total.torn_writes},
        {"waits for the next millisecond", total.sequence_waits},
        {"waits for a clock that was behind", total.clock_waits},
        {"waits for the floor after a restart", total.floor_waits},
        {"calls refused", total.refusals + total.floor_refusals},
        {"**IDs alike**", simulation.check.Alike()},
        {"**longest disorder among servers, ms**",
         (simulation.check.DisorderNs() + 500) / 1000 / 1000.0},
        {"and the most that these clocks allow, ms", simulation.check.MostDisorderNs() / kMs},
    };
    EXPECT_EQ(FiguresOfThePage(), came);
    for (const auto &[what, count] : came)
        EXPECT_GT(count, what == "**IDs alike**" ? -1 : 5) << what;
}

TEST(FleetSimulation, ClocksUnderNtpAreNeverRefused)
{
    Plan plan;
    plan.ids = kIds;
    plan.bound_ns = 5 * kMs;
    const Simulation simulation = RunOf(plan);
    ExpectThatAllHolds(simulation, plan);
    EXPECT_EQ(simulation.Total().refusals + simulation.Total().floor_refusals, 0);
}

TEST(FleetSimulation, OtherLayoutsAndSeedsHold)
{
    for (const int bits : {4, 13, 16}) {
        Plan plan;
        plan.ids = kIds / 10;
        plan.bound_ns = 20 * kMs;
        plan.node_id_bits = bits;
        plan.seed = static_cast<std::uint64_t>(bits);
        const Simulation simulation = RunOf(plan);
        EXPECT_TRUE(simulation.Holds()) << bits;
        EXPECT_EQ(simulation.check.Ids(), plan.ids);
    }
}

#if SCALE == 1 // enough IDs to come upon what is planted
/// The same fleet with something wrong in one of its servers.
Simulation RunWith(Fault fault)
{
    Plan plan;
    plan.ids = fault == Fault::kMarkLost ? 10000000 : 3000000;
    plan.bound_ns = 200 * kMs;
    plan.fault = fault;
    return RunOf(plan);
}

TEST(FleetSimulation, FindsWhatIsPlanted)
{
    const Simulation sound = RunWith(Fault::kNone);
    EXPECT_TRUE(sound.Holds());

    const Simulation twins = RunWith(Fault::kTwins);
    EXPECT_GT(twins.check.Alike(), 100);
    EXPECT_GT(twins.foreign, 100);
    EXPECT_EQ(twins.falls, 0);
    EXPECT_FALSE(twins.Holds());

    const Simulation reset = RunWith(Fault::kSequenceReset);
    EXPECT_GT(reset.check.Alike(), 10);
    EXPECT_GT(reset.falls, 0);
    EXPECT_EQ(reset.foreign, 0);
    EXPECT_FALSE(reset.Holds());

    const Simulation lost = RunWith(Fault::kMarkLost);
    EXPECT_GT(lost.check.Alike(), 0);
    EXPECT_GT(lost.falls, 0);
    EXPECT_FALSE(lost.Holds());

    const Simulation wrong = RunWith(Fault::kClockBeyond);
    EXPECT_EQ(wrong.check.Alike(), 0);
    EXPECT_GT(wrong.check.Beyond(), 100);
    EXPECT_GE(wrong.check.DisorderNs(), wrong.check.MostDisorderNs());
    EXPECT_FALSE(wrong.Holds());
}
#endif

} // namespace
