#pragma once

#include "check.hpp"
#include "layout.hpp"
#include "server.hpp"
#include "wrong_clock.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>

/// All servers of a layout at work, in an order of true time that the seed decides.
namespace timeshard::fleet {

/// What is done wrong on purpose, by one server or with it.
enum class Fault : std::uint8_t {
    kNone,
    kTwins,         ///< two servers have one number
    kSequenceReset, ///< a generator starts its millisecond over
    kMarkLost,      ///< a restart finds no mark
    kClockBeyond,   ///< a clock is wrong by more than the bound
};

struct Plan
{
    std::int64_t ids = 0;
    std::int64_t bound_ns = 200 * kMs; ///< the most that a clock is wrong, either way
    int node_id_bits = kDefaultNodeIdBits;
    std::uint64_t seed = 1;
    Fault fault = Fault::kNone;
};

class Simulation
{
public:
    explicit Simulation(const Plan &plan)
        : plan_(plan), layout_(plan.node_id_bits), dice_(plan.seed), check(plan.bound_ns)
    {
        for (std::int32_t number = 0; number <= layout_.MaxNodeId(); number++) {
            const bool twin = plan.fault == Fault::kTwins && number == kFaulty;
            nodes_.emplace_back(layout_, twin ? kFaulty + kBusy : number,
                                WrongClock(plan.bound_ns, dice_));
            nodes_.back().crash_at_ns = dice_.Below(2 * kBetweenCrashes);
        }
        if (plan.fault == Fault::kMarkLost)
            nodes_[kFaulty].crash_at_ns = 0;
        if (plan.fault == Fault::kClockBeyond)
            nodes_[kFaulty].server.clock.Break(plan.bound_ns + 3 * kMs);
    }

    /// Goes on until there are `ids`, or all of the plan's.
    void RunTo(std::int64_t ids)
    {
        while (check.Ids() < std::min(ids, plan_.ids)) {
            now_ns_ += 1 + dice_.Below(kBetweenVisits);
            Visit(nodes_[Pick()]);
        }
    }

    std::int64_t NowNs() const { return now_ns_; }
    std::size_t Nodes() const { return nodes_.size(); }

    Tally Total() const
    {
        Tally total;
        for (const Node &node : nodes_)
            total.Add(node.server.tally);
        return total;
    }

    /// Steps of all clocks, forth and back.
    std::int64_t Steps(std::int64_t WrongClock::*direction) const
    {
        std::int64_t steps = 0;
        for (const Node &node : nodes_)
            steps += node.server.clock.*direction;
        return steps;
    }

private:
    static constexpr std::int64_t kBetweenVisits = 80000; // ns, at most; half on average
    static constexpr std::int64_t kIdNs = 50;
    static constexpr std::int64_t kBetweenCrashes = 5 * kSecond;
    static constexpr std::int64_t kMostInARun = 1024; // of timeshard_next_ids()
    static constexpr std::int32_t kBusy = 16;         // every 16th server is
    static constexpr std::int32_t kFaulty = 5;        // and this one

    struct Node
    {
        Node(Layout layout, std::int32_t node_id, WrongClock clock) : server(layout, node_id, clock)
        {}

        Server server;
        std::int64_t wanted = 0; ///< IDs that the present statement still takes
        bool in_runs = false;    ///< by timeshard_next_ids()
        std::int64_t wake_at_ns = 0;
        std::int64_t crash_at_ns = 0;
        std::int64_t last_id = -1;
    };

    /// One server in sixteen is busy, and has half of the work.
    std::size_t Pick()
    {
        const auto count = static_cast<std::int64_t>(nodes_.size());
        const std::int64_t any = dice_.Below(count);
        return static_cast<std::size_t>(dice_.OneIn(2) ? any
                                                       : any / kBusy * kBusy + kFaulty % count);
    }

    bool IsFaulty(const Node &node) const { return &node == &nodes_[kFaulty]; }

    bool LosesItsMark(const Node &node) const
    {
        return plan_.fault == Fault::kMarkLost && IsFaulty(node);
    }

    void Visit(Node &node)
    {
        node.server.clock.MoveTo(now_ns_, dice_);
        if (now_ns_ >= node.crash_at_ns) {
            CrashSoon(node);
            return;
        }
        if (now_ns_ < node.wake_at_ns)
            return;
        if (node.wanted == 0)
            Begin(node);
        if (plan_.fault == Fault::kSequenceReset && IsFaulty(node) && dice_.OneIn(8))
            node.server.ResetSequence();
        while (node.wanted > 0)
            if (!Work(node))
                return;
    }

    /// A statement: a few rows, or now and then a load that uses milliseconds up.
    void Begin(Node &node)
    {
        const std::int64_t most = layout_.IdsPerMillisecond();
        node.wanted = 1 + dice_.Below(dice_.OneIn(64) ? 3 * most : 127);
        node.in_runs = dice_.OneIn(4);
    }

    /// Takes the next IDs of the statement; false if it cannot go on now.
    bool Work(Node &node)
    {
        Server &server = node.server;
        server.clock.MoveTo(now_ns_, dice_);
        const std::int64_t offset = server.clock.Offset();
        const std::int64_t most = node.in_runs ? std::min(node.wanted, kMostInARun) : 1;
        const std::int64_t wanted = std::min(most, plan_.ids - check.Ids());
        if (wanted <= 0)
            return false;
        switch (server.Attempt(now_ns_, static_cast<std::int32_t>(wanted))) {
        case Outcome::kIssued:
            for (std::int32_t i = 0; i < server.issued; i++)
                Record(node, offset, server.first_id + i);
            now_ns_ += kIdNs * server.issued;
            node.wanted -= server.issued;
            if (server.is_cut_off)
                node.crash_at_ns = std::min(node.crash_at_ns, now_ns_ + dice_.Below(100 * kMs));
            return true;
        case Outcome::kWaits:
            node.wake_at_ns = now_ns_ + server.gap_ns;
            return false;
        case Outcome::kRefused:
            node.wanted = 0;
            return false;
        case Outcome::kCrashed:
            GoDown(node);
            return false;
        }
        return false;
    }

    /// An ID, and what its server can be asked about it: whether it is above the one
    /// before, whose it is, and whether its time is that of the server's clock.
    void Record(Node &node, std::int64_t offset, std::int64_t id)
    {
        check.Add(now_ns_, id);
        const Parts parts = layout_.Split(id);
        falls += id <= node.last_id ? 1 : 0;
        foreign += &nodes_[static_cast<std::size_t>(parts.node_id)] != &node ? 1 : 0;
        untimely += parts.offset != offset ? 1 : 0;
        node.last_id = id;
    }

    /// Half of the crashes come while the mark is written, as soon as it is.
    void CrashSoon(Node &node)
    {
        const std::int64_t most = LosesItsMark(node) ? kSecond : 2 * kBetweenCrashes;
        node.crash_at_ns = now_ns_ + 1 + dice_.Below(most);
        if (!node.server.is_cut_off && dice_.OneIn(2)) {
            CutNextWrite(node);
            return;
        }
        node.server.Crash();
        GoDown(node);
    }

    void CutNextWrite(Node &node) { node.server.cut = static_cast<Cut>(1 + dice_.Below(4)); }

    void GoDown(Node &node)
    {
        node.wanted = 0;
        const bool soon = LosesItsMark(node) || dice_.OneIn(2);
        node.wake_at_ns = now_ns_ + dice_.Below(soon ? 50 * kMs : 2 * kSecond);
        node.server.clock.Restart(now_ns_, dice_);
        if (LosesItsMark(node))
            node.server.disk.Lose();
        if (dice_.OneIn(4))
            CutNextWrite(node); // the first of the new run
    }

    Plan plan_;
    Layout layout_;
    Dice dice_;
    std::deque<Node> nodes_;
    std::int64_t now_ns_ = 0;

public:
    Check check;
    std::int64_t falls = 0;    ///< IDs at or below the one before of their server
    std::int64_t foreign = 0;  ///< IDs with another server's number
    std::int64_t untimely = 0; ///< IDs of another millisecond than their server's clock showed

    bool Holds() const { return check.Holds() && falls == 0 && foreign == 0 && untimely == 0; }
};

} // namespace timeshard::fleet
