/// The fleet simulated: 1,024 servers with clocks that are wrong, for a billion IDs.
///
///   usage: fleet_configured [IDS [BOUND_MS [SEED]]]
///
/// Exit: 0 if everything holds, 1 if not, 2 if an argument is no number in its range.

#include "report.hpp"
#include "simulation.hpp"

#include <chrono>
#include <cstdint>
#include <cstdio>

using namespace timeshard;
using namespace timeshard::fleet;

namespace {

void Print(const Simulation &simulation, const Plan &plan, double seconds)
{
    const Tally total = simulation.Total();
    Row("IDs", simulation.check.Ids());
    Row("servers", static_cast<std::int64_t>(simulation.Nodes()));
    RowOf("simulated", Seconds(simulation.NowNs()), "s");
    RowOf("clocks wrong by at most, either way", Milliseconds(plan.bound_ns), "ms");
    Row("clock steps forth", simulation.Steps(&WrongClock::steps_forth));
    Row("clock steps back", simulation.Steps(&WrongClock::steps_back));
    Row("crashes", total.crashes);
    Row("  in the middle of a write of the mark", total.torn_writes);
    Row("extensions of the mark", total.extensions);
    Row("waits for the next millisecond", total.sequence_waits);
    Row("waits for a clock that was behind", total.clock_waits);
    Row("waits for the floor after a restart", total.floor_waits);
    Row("refusals, a clock behind by more than max_clock_wait", total.refusals);
    Row("refusals, a clock behind the floor", total.floor_refusals);
    Row("IDs alike", simulation.check.Alike());
    Row("IDs at or below the one before of their server", simulation.falls);
    Row("IDs with another server's number", simulation.foreign);
    Row("IDs of a time that their clock did not show", simulation.untimely);
    Row("IDs further from true time than a clock may be", simulation.check.Beyond());
    RowOf("longest disorder among servers", Milliseconds(simulation.check.DisorderNs()), "ms");
    RowOf("  and the most that these clocks allow", Milliseconds(simulation.check.MostDisorderNs()),
          "ms");
    RowOf("took", seconds, "s");
    std::puts(simulation.Holds() ? "Everything holds." : "SOMETHING DOES NOT HOLD.");
}

} // namespace

int main(int argc, char **argv)
{
    Plan plan;
    const auto argument = [argc, argv](int n) { return n < argc ? argv[n] : nullptr; };
    plan.ids = Argument("IDS", argument(1), 1000000000, 1, 100000000000);
    plan.bound_ns = Argument("BOUND_MS", argument(2), 200, 1, 1000) * kMs;
    plan.seed = static_cast<std::uint64_t>(Argument("SEED", argument(3), 1, 0, INT64_MAX));

    const auto start = std::chrono::steady_clock::now();
    const auto elapsed = [&start] {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    };
    Simulation simulation(plan);
    for (std::int64_t tenth = 1; tenth <= 10; tenth++) {
        simulation.RunTo(plan.ids / 10 * tenth + (tenth == 10 ? plan.ids % 10 : 0));
        std::printf("%lld IDs, %.0f s of the fleet, %.0f s of ours\n",
                    static_cast<long long>(simulation.check.Ids()), Seconds(simulation.NowNs()),
                    elapsed());
        std::fflush(stdout);
    }
    std::puts("");
    Print(simulation, plan, elapsed());
    return simulation.Holds() ? 0 : 1;
}
