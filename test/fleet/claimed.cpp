/// The fleet simulated with claimed numbers: 1,024 servers and their registry.
///
///   usage: fleet_claimed [IDS [SEED [FAULT]]]
///
/// FAULT plants a fault, 1 to 5 of ClaimFault, which must be found.
/// Exit: 0 if everything holds, 1 if not, 2 if an argument is no number in its range.

#include "claimed_fleet.hpp"
#include "report.hpp"

#include <chrono>
#include <cstdint>
#include <cstdio>

using namespace timeshard;
using namespace timeshard::fleet;

namespace {

void Print(const ClaimedFleet &fleet, double seconds)
{
    const Tally total = fleet.Total();
    const ClaimTally &claims = fleet.claims;
    Row("IDs", fleet.found.check.Ids());
    Row("servers", static_cast<std::int64_t>(fleet.Servers()));
    RowOf("simulated", Seconds(fleet.NowNs()) / 3600, "h");
    Row("claims", claims.claims);
    Row("  of these, in a running server", claims.switches);
    Row("extensions", claims.extensions);
    Row("numbers given back", claims.given_back);
    Row("clean stops", fleet.fates.stops);
    Row("crashes", fleet.fates.crashes);
    Row("  in the middle of a write of the mark", total.torn_writes);
    Row("crashes of a session", fleet.fates.session_crashes);
    Row("data directories copied", fleet.fates.copied);
    Row("machines cloned with their memory", fleet.fates.cloned);
    Row("machines suspended", fleet.fates.suspensions);
    Row("servers cut off from the registry", fleet.fates.partitions);
    Row("clocks an hour or a year off", fleet.fates.clock_breaks);
    Row("the registry's clock an hour or a year off", fleet.site.clock_breaks);
    Row("outages of the registry", fleet.site.outages);
    Row("  that ended with transactions lost", fleet.site.failovers);
    Row("times that all numbers were laid to rest", fleet.site.registry.rests);
    Row("answers lost", claims.lost_answers);
    Row("requests without an answer", claims.unreachable);
    Row("refused, no number free", claims.none_free);
    Row("refused, clocks differ", claims.clocks_differ);
    Row("refused, the number is another's", claims.not_yours);
    Row("kept until their end, as the number rests", claims.kept);
    Row("calls refused, no claim", total.claim_refusals);
    Row("calls refused, the clock is behind", total.refusals + total.floor_refusals);
    Row("IDs alike", fleet.found.check.Alike());
    Row("IDs alike of memory clones, up to the end they share", fleet.found.check.ClonesAlike());
    Row("runs of two claims of a number, mixed", fleet.found.check.Mixed());
    Row("runs at or below the ID before", fleet.found.falls);
    Row("runs outside the server's claim", fleet.found.outside);
    Row("runs of a time that their clock did not show", fleet.found.untimely);
    RowOf("took", seconds, "s");
    std::puts(fleet.found.Holds() ? "Everything holds." : "SOMETHING DOES NOT HOLD.");
}

} // namespace

int main(int argc, char **argv)
{
    ClaimPlan plan;
    const auto argument = [argc, argv](int n) { return n < argc ? argv[n] : nullptr; };
    plan.ids = Argument("IDS", argument(1), 1000000000, 1, 100000000000);
    plan.seed = static_cast<std::uint64_t>(Argument("SEED", argument(2), 1, 0, INT64_MAX));
    plan.fault = static_cast<ClaimFault>(Argument("FAULT", argument(3), 0, 0, 5));

    const auto start = std::chrono::steady_clock::now();
    const auto elapsed = [&start] {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    };
    ClaimedFleet fleet(plan);
    for (std::int64_t tenth = 1; tenth <= 10; tenth++) {
        fleet.RunTo(plan.ids / 10 * tenth + (tenth == 10 ? plan.ids % 10 : 0));
        std::printf("%lld IDs, %.1f h of the fleet, %.0f s of ours\n",
                    static_cast<long long>(fleet.found.check.Ids()), Seconds(fleet.NowNs()) / 3600,
                    elapsed());
        std::fflush(stdout);
    }
    fleet.found.check.Finish();
    std::puts("");
    Print(fleet, elapsed());
    return fleet.found.Holds() ? 0 : 1;
}
