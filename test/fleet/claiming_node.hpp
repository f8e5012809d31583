#pragma once

#include "claiming_server.hpp"
#include "run_check.hpp"

#include <algorithm>
#include <cstdint>

namespace timeshard::fleet {

/// What was found in the IDs of a fleet that claims. Call check.Finish() before Holds().
struct Findings
{
    RunCheck check;
    std::int64_t falls = 0;    ///< runs at or below the ID before, of a data directory
    std::int64_t untimely = 0; ///< runs of another millisecond than the server's clock showed
    std::int64_t outside = 0;  ///< runs that are not within a claim that the server knew

    bool Holds() const
    {
        return check.Alike() == 0 && check.Mixed() == 0 && falls == 0 && untimely == 0 &&
               outside == 0;
    }
};

/// What befell servers.
struct Fates
{
    std::int64_t crashes = 0;
    std::int64_t stops = 0;
    std::int64_t session_crashes = 0;
    std::int64_t partitions = 0;
    std::int64_t suspensions = 0;
    std::int64_t clock_breaks = 0;
    std::int64_t copied = 0;
    std::int64_t cloned = 0;
};

/// A server of the fleet, when it does what, and its work.
struct Node
{
    explicit Node(const ClaimingServer &server) : self(server) {}

    ClaimingServer self;
    bool is_up = false;
    std::int64_t next_ns = 0; ///< when it is visited next
    std::int64_t work_ns = 0;
    std::int64_t ask_ns = 0;
    std::int64_t fate_ns = 0;
    std::int64_t reach_ns = 0; ///< cannot reach the registry before
    std::int64_t mend_ns = 0;  ///< when its clock is set right; 0 if it is
    std::int64_t wanted = 0;   ///< IDs that the present statement still takes
    std::int64_t last_id = -1;
    Node *twin = nullptr; ///< a clone of its memory, until one of them knows or ends

    /// Goes on with a statement, or begins one; kCrashed if the server crashes meanwhile.
    Outcome Work(std::int64_t now_ns, std::int64_t most, Layout layout, Dice &dice, Findings &found)
    {
        Server &server = self.server;
        if (wanted == 0)
            wanted = 1 + dice.Below(dice.OneIn(64) ? 3 * layout.IdsPerMillisecond() : 127);
        wanted = std::min(wanted, most);
        while (wanted > 0) {
            const std::int64_t next = std::min(wanted, std::int64_t{1024});
            const Outcome outcome = server.Attempt(now_ns, static_cast<std::int32_t>(next));
            if (outcome == Outcome::kWaits)
                work_ns = now_ns + server.gap_ns;
            if (outcome == Outcome::kWaits || outcome == Outcome::kCrashed)
                return outcome;
            if (outcome == Outcome::kIssued)
                Record(layout, found);
            wanted = outcome == Outcome::kRefused ? 0 : wanted - server.issued;
        }
        work_ns = now_ns + ToFullSecond(dice);
        return server.is_cut_off ? Outcome::kCrashed : Outcome::kIssued;
    }

private:
    static constexpr std::int64_t kBetweenStatements = 18; // in s

    /// How long until its clock shows a full second, after a while.
    std::int64_t ToFullSecond(Dice &dice) const
    {
        const WrongClock &clock = self.server.clock;
        const std::int64_t seconds = 1 + dice.Below(2 * kBetweenStatements);
        return (seconds * 1000 - clock.Offset() % 1000) * kMs - clock.Now().nanoseconds +
               dice.Below(kMs);
    }

    void Record(Layout layout, Findings &found)
    {
        const Server &server = self.server;
        const Parts parts = layout.Split(server.first_id);
        const ClaimedInterval &claim = self.Interval();
        found.check.Add(server.first_id, server.issued, self.ClaimAt(parts.offset));
        found.falls += server.first_id <= last_id ? 1 : 0;
        found.untimely += parts.offset != server.clock.Offset() ? 1 : 0;
        const bool is_inside = parts.node_id == claim.number && parts.offset >= claim.floor &&
                               parts.offset < claim.end;
        found.outside += is_inside ? 0 : 1;
        last_id = server.first_id + server.issued - 1;
    }
};

} // namespace timeshard::fleet
