#pragma once

#include "claiming_node.hpp"
#include "registry_site.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

namespace timeshard::fleet {

struct ClaimPlan
{
    std::int64_t ids = 0;
    std::uint64_t seed = 1;
    ClaimFault fault = ClaimFault::kNone;
};

/// As many servers as there are numbers, all of which claim. IDs are made at the full seconds
/// that each server's clock shows, so that two with one number meet.
class ClaimedFleet
{
public:
    explicit ClaimedFleet(const ClaimPlan &plan)
        : plan_(plan),
          dice_(plan.seed),
          site(layout_.MaxNodeId() + 1, plan.fault, dice_),
          found{RunCheck(layout_)}
    {
        for (std::int32_t n = 0; n <= layout_.MaxNodeId(); n++) {
            nodes_.emplace_back(
                ClaimingServer(layout_, WrongClock(kClaimBoundNs, dice_, kClaimPace), plan.fault));
            nodes_.back().next_ns = dice_.Below(60 * kSecond);
            queue_.emplace(nodes_.back().next_ns, n);
        }
    }

    void RunTo(std::int64_t ids)
    {
        while (found.check.Ids() < std::min(ids, plan_.ids)) {
            const auto [at_ns, n] = queue_.top();
            queue_.pop();
            now_ns_ = std::max(now_ns_, at_ns);
            if (!is_late_ && found.check.Ids() >= plan_.ids / 50 * 49)
                GoAYearAhead();
            Node &node = nodes_[static_cast<std::size_t>(n)];
            Visit(node);
            queue_.emplace(node.next_ns, n);
        }
    }

    std::size_t Servers() const { return nodes_.size(); }
    std::int64_t NowNs() const { return now_ns_; }

    Tally Total() const
    {
        Tally total;
        for (const Node &node : nodes_)
            total.Add(node.self.server.tally);
        return total;
    }

private:
    static constexpr std::int64_t kBetweenFates = 5400 * kSecond;

    std::uint64_t Fresh() { return fresh_ += 2; }

    Line LineOf(const Node &node)
    {
        site.MoveTo(now_ns_, pairs_ == 0, dice_);
        const bool reached = !site.IsDown() && now_ns_ >= node.reach_ns;
        return {reached ? &site.registry : nullptr, site.Clock(), dice_.OneIn(64), Fresh()};
    }

    void Visit(Node &node)
    {
        WrongClock &clock = node.self.server.clock;
        if (node.mend_ns != 0 && now_ns_ >= node.mend_ns) {
            clock.Mend(now_ns_, dice_);
            node.mend_ns = 0;
        }
        clock.MoveTo(now_ns_, dice_);
        if (!node.is_up)
            Start(node);
        else if (now_ns_ >= node.fate_ns)
            Befall(node);
        if (node.is_up && now_ns_ >= node.ask_ns)
            Ask(node);
        if (node.is_up && now_ns_ >= node.work_ns)
            Work(node);
        if (node.is_up)
            node.next_ns = std::min({node.work_ns, node.ask_ns, node.fate_ns});
    }

    /// The clocks of the registry and of most servers, for good. What is claimed then is bound
    /// for that year, so this comes last.
    void GoAYearAhead()
    {
        is_late_ = true;
        site.GoAYearAhead();
        for (std::size_t n = 0; n < nodes_.size(); n++) {
            if (n % 4 == 0)
                continue;
            nodes_[n].self.server.clock.Break(kYearNs);
            nodes_[n].mend_ns = 0;
        }
    }

    void Work(Node &node)
    {
        const std::int64_t left = plan_.ids - found.check.Ids();
        if (node.Work(now_ns_, left, layout_, dice_, found) == Outcome::kCrashed)
            Crash(node);
    }

    void Ask(Node &node)
    {
        const std::int64_t refused = claims.not_yours;
        node.ask_ns = now_ns_ + node.self.Turn(LineOf(node), claims) * kMs;
        if (claims.not_yours > refused)
            Part(node);
    }

    /// A start: of its own data directory, of a copy of another's, or as a clone of a running
    /// machine.
    void Start(Node &node)
    {
        Node &other = nodes_[static_cast<std::size_t>(dice_.Below(layout_.MaxNodeId() + 1))];
        node.is_up = true;
        node.wanted = 0;
        node.fate_ns = now_ns_ + dice_.Below(2 * kBetweenFates);
        node.work_ns = node.ask_ns = now_ns_;
        node.reach_ns = 0;
        if (dice_.OneIn(32) && Clone(other, node))
            return;
        const bool copies =
            dice_.OneIn(8) && &other != &node && other.self.server.disk.Newest() != nullptr;
        if (copies) {
            node.self.server.disk = other.self.server.disk;
            node.last_id = other.last_id;
            fates.copied++;
        }
        node.self.Start(copies);
    }

    /// Nothing covers a clone that gives its number back, one together with a failover that
    /// loses transactions, or one of a machine that lacks an answer: none are made here.
    bool Clone(Node &other, Node &node)
    {
        const bool is_well =
            &other != &node && other.is_up && other.twin == nullptr && other.self.HasClaim() &&
            other.self.IsPastShared() && !other.self.IsUnanswered() && other.mend_ns == 0 &&
            !site.FailsOver() && now_ns_ >= other.reach_ns && other.ask_ns < now_ns_ + 61 * kSecond;
        if (!is_well)
            return false;
        found.check.NoteClones(other.self.ClaimAt(0));
        const Tally own = node.self.server.tally;
        node.self = other.self;
        node.self.server.tally = own;
        node.mend_ns = 0;
        node.last_id = other.last_id;
        node.ask_ns = now_ns_ + dice_.Below(60 * kSecond);
        other.self.Share(node.self, Fresh());
        node.twin = &other;
        other.twin = &node;
        pairs_++;
        fates.cloned++;
        return true;
    }

    /// One of two clones has been told, or is no more.
    void Part(Node &node)
    {
        if (node.twin == nullptr)
            return;
        node.twin->twin = nullptr;
        node.twin = nullptr;
        pairs_--;
    }

    void GoDown(Node &node, std::int64_t longest_ns)
    {
        Part(node);
        node.is_up = false;
        node.next_ns = now_ns_ + kMs + dice_.Below(longest_ns);
    }

    void Crash(Node &node)
    {
        node.self.Crash();
        fates.crashes++;
        GoDown(node, dice_.OneIn(2) ? 20 * kSecond : 1200 * kSecond);
    }

    void Befall(Node &node)
    {
        node.fate_ns = now_ns_ + dice_.Below(2 * kBetweenFates);
        const std::int64_t kind = dice_.Below(16);
        if (node.twin != nullptr || kind < 2) {
            Crash(node);
        } else if (kind < 4) {
            node.self.server.cut = static_cast<Cut>(1 + dice_.Below(4)); // a crash in a write
        } else if (kind < 6) {
            node.self.CrashSession();
            fates.session_crashes++;
        } else if (kind < 8) {
            node.reach_ns = now_ns_ + dice_.Below(3 * kHourNs);
            fates.partitions++;
        } else if (kind < 9) {
            // Suspended: the clock goes on, the server does not.
            node.work_ns = node.ask_ns = now_ns_ + dice_.Below(3 * kHourNs);
            node.fate_ns = std::max(node.fate_ns, node.ask_ns + kSecond);
            fates.suspensions++;
        } else if (kind < 11) {
            BreakClock(node);
        } else {
            node.self.Stop(LineOf(node), claims);
            fates.stops++;
            GoDown(node, dice_.OneIn(2) ? 5 * kSecond : 300 * kSecond);
        }
    }

    /// Until the end, no clock is as wrong as the registry's: see GoAYearAhead().
    void BreakClock(Node &node)
    {
        const std::int64_t error = dice_.OneIn(2) ? kHourNs : kYearNs + 1000 * kSecond;
        node.self.server.clock.Break(dice_.OneIn(2) ? error : -error);
        node.mend_ns = now_ns_ + 1 + dice_.Below(1800 * kSecond);
        fates.clock_breaks++;
    }

    ClaimPlan plan_;
    Layout layout_{kDefaultNodeIdBits};
    Dice dice_;
    std::deque<Node> nodes_;
    using Visits = std::pair<std::int64_t, std::int32_t>;
    std::priority_queue<Visits, std::vector<Visits>, std::greater<>> queue_;
    std::int64_t now_ns_ = 0;
    std::uint64_t fresh_ = 0;
    bool is_late_ = false;
    std::int64_t pairs_ = 0; ///< of clones that do not know of each other

public:
    RegistrySite site;
    Findings found;
    ClaimTally claims;
    Fates fates;
};

} // namespace timeshard::fleet
