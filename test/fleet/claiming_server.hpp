#pragma once

#include "number_registry.hpp"
#include "server.hpp"

#include <algorithm>
#include <cstdint>

namespace timeshard::fleet {

/// How a server reaches the registry in one turn.
struct Line
{
    Registry *registry;  ///< null if it cannot be reached
    std::int64_t clock;  ///< what the registry's shows
    bool answer_lost;    ///< the registry does what it is asked, but the answer is lost
    std::uint64_t fresh; ///< a tag, and a claim's name, that nobody had before
};

/// What servers went through with their claims.
struct ClaimTally
{
    std::int64_t claims = 0;
    std::int64_t switches = 0; ///< of these, in a running server
    std::int64_t extensions = 0;
    std::int64_t lost_answers = 0;
    std::int64_t unreachable = 0;
    std::int64_t none_free = 0;
    std::int64_t clocks_differ = 0;
    std::int64_t kept = 0;
    std::int64_t not_yours = 0;
    std::int64_t given_back = 0;
};

/// A server that claims its number: src/registry/claimant.cpp and src/server/claiming.cpp.
class ClaimingServer
{
public:
    ClaimingServer(Layout layout, WrongClock clock, ClaimFault fault)
        : server(layout, 0, clock), fault_(fault)
    {
        server.claim_end = 0;
    }

    Server server;

    bool HasClaim() const { return server.claim_end != 0; }

    /// The claim that the server knows of, or knew of last.
    const ClaimedInterval &Interval() const { return proof_.interval; }

    /// The claim by which an ID of this offset is made. Clones share one.
    std::uint32_t ClaimAt(std::int64_t offset) const
    {
        return offset < shared_end_ ? shared_claim_ : claim_;
    }

    /// A start. The mark tells the number of the last run, unless it was copied.
    void Start(bool copied)
    {
        const MarkRecord *mark = server.disk.Newest();
        preferred_ = mark != nullptr && !copied ? mark->node_id : -1;
    }

    /// One turn of the claimant. Returns when the next is due, in ms.
    std::int64_t Turn(const Line &line, ClaimTally &tally)
    {
        return HasClaim() ? Extend(line, tally) : Claim(line, tally);
    }

    /// A clean stop: gives the number back, if that can be done in time.
    void Stop(const Line &line, ClaimTally &tally)
    {
        const std::int64_t used_until = EndGivenBack(Interval(), server.MarkEnd());
        if (HasClaim() && line.registry != nullptr &&
            line.registry->End(line.clock, proof_, tag_, used_until) == Verdict::kEnded)
            tally.given_back++;
        Crash();
    }

    /// All memory is lost.
    void Crash()
    {
        server.Crash();
        server.claim_end = 0;
        proof_ = {};
        tag_ = 0;
        unanswered_ = false;
    }

    void CrashSession() { HasClaim() ? server.CrashSession(Interval().floor) : Crash(); }

    /// This server and `clone`, a copy of it with its memory, both know of the same claim:
    /// up to its end they cannot know of each other.
    void Share(ClaimingServer &clone, std::uint64_t fresh)
    {
        shared_claim_ = clone.shared_claim_ = claim_;
        shared_end_ = clone.shared_end_ = Interval().end;
        claim_ = static_cast<std::uint32_t>(fresh);
        clone.claim_ = static_cast<std::uint32_t>(fresh + 1);
    }

    /// True if the registry may have done something that this server has not heard of.
    bool IsUnanswered() const { return unanswered_; }

    bool IsPastShared() const { return Interval().floor >= shared_end_; }

private:
    static constexpr std::int64_t kExtendAfterMs = 60000;
    static constexpr std::int64_t kRetryMs = 1000;
    static constexpr std::int64_t kRetryAnsweredMs = 5000;

    std::int64_t Claim(const Line &line, ClaimTally &tally)
    {
        if (line.registry == nullptr)
            return Unreachable(tally);
        const Answer answer = line.registry->Claim(line.clock, server.clock.Offset(), preferred_);
        if (line.answer_lost)
            return Lost(tally);
        tally.none_free += answer.verdict == Verdict::kNoneFree ? 1 : 0;
        tally.clocks_differ += answer.verdict == Verdict::kClocksDiffer ? 1 : 0;
        if (answer.verdict != Verdict::kClaimed)
            return kRetryAnsweredMs;
        tally.claims++;
        tally.switches += proof_.nonce != 0 ? 1 : 0;
        server.Adopt(answer.proof.interval);
        proof_ = answer.proof;
        tag_ = 0;
        unanswered_ = false;
        claim_ = static_cast<std::uint32_t>(line.fresh);
        shared_end_ = 0;
        preferred_ = -1;
        LiftEnd(proof_.interval.end);
        return kExtendAfterMs;
    }

    std::int64_t Extend(const Line &line, ClaimTally &tally)
    {
        if (tag_ == 0)
            tag_ = line.fresh;
        if (line.registry == nullptr) {
            DropTag();
            return Unreachable(tally);
        }
        const Answer answer =
            line.registry->Extend(line.clock, server.clock.Offset(), proof_, tag_);
        if (line.answer_lost) {
            unanswered_ = true;
            return Lost(tally);
        }
        if (answer.verdict == Verdict::kExtended || answer.verdict == Verdict::kConfirmed) {
            proof_ = answer.proof;
            tag_ = 0;
            unanswered_ = false;
            if (answer.verdict == Verdict::kConfirmed)
                return 0;
            LiftEnd(proof_.interval.end);
            tally.extensions++;
            return kExtendAfterMs;
        }
        DropTag();
        if (answer.verdict == Verdict::kNotYours) {
            tally.not_yours++;
            server.claim_end = 0;
        }
        tally.kept += answer.verdict == Verdict::kKept ? 1 : 0;
        tally.clocks_differ += answer.verdict == Verdict::kClocksDiffer ? 1 : 0;
        if (!server.HoldsNumber())
            return Claim(line, tally);
        return answer.verdict == Verdict::kKept ? kExtendAfterMs : kRetryAnsweredMs;
    }

    /// Only an answer that was lost may be asked for again. A clone of a machine that keeps
    /// any other tag would be confirmed by it.
    void DropTag()
    {
        if (!unanswered_ && fault_ != ClaimFault::kTagKept)
            tag_ = 0;
    }

    void LiftEnd(std::int64_t end)
    {
        server.claim_end = fault_ == ClaimFault::kEndNotChecked ? kMaxOffset + 1 : end;
    }

    std::int64_t Unreachable(ClaimTally &tally)
    {
        tally.unreachable++;
        return server.HoldsNumber() ? kRetryAnsweredMs : kRetryMs;
    }

    std::int64_t Lost(ClaimTally &tally)
    {
        tally.lost_answers++;
        return Unreachable(tally);
    }

    ClaimFault fault_;
    Proof proof_;
    std::uint64_t tag_ = 0; ///< of a request that may not have been answered
    bool unanswered_ = false;
    std::int32_t preferred_ = -1;
    std::uint32_t claim_ = 0;
    std::uint32_t shared_claim_ = 0;
    std::int64_t shared_end_ = 0; ///< below it, IDs are of the shared claim
};

} // namespace timeshard::fleet
