#pragma once

#include "claim.hpp"
#include "wrong_clock.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

/// The registry of node IDs, as sql/timeshard_registry.sql has it: each call is one of its
/// transactions. All times are offsets, in ms since the epoch.
namespace timeshard::fleet {

inline constexpr std::int64_t kMinute = 60000; // ms

/// What is done wrong on purpose.
enum class ClaimFault : std::uint8_t {
    kNone,
    kEndsForgotten, ///< a registry that restarts takes numbers for free that it has not heard of
    kEndNotChecked, ///< servers do not look at the claim's end when they make an ID
    kNoRest,        ///< numbers do not rest after a failover that lost transactions
    kProofIgnored,  ///< whoever asks for a number is believed to hold it
    kTagKept,       ///< a tag is used again though its request has not been done
};

/// What the holder of a claim shows. In the registry it is signed, so only what a registry
/// has said can be shown.
struct Proof
{
    ClaimedInterval interval{};
    std::int64_t run = 0;
    std::uint64_t nonce = 0;
};

enum class Verdict : std::uint8_t {
    kUnreachable,
    kClocksDiffer,
    kNoneFree,
    kClaimed,
    kExtended,
    kConfirmed,
    kKept,
    kNotYours,
    kEnded,
};

struct Answer
{
    Verdict verdict = Verdict::kUnreachable;
    Proof proof{};
};

/// One number, with its latest claim.
struct Number
{
    std::int64_t first = 0;
    std::int64_t end = 0;
    std::int64_t given = 0; ///< the latest end that is known to have been given to anyone
    bool given_back = false;
    bool resting = false;
    std::uint64_t nonce = 0;
    std::uint64_t asked = 0;
    std::uint64_t tag = 0;
    std::int64_t claimed_at = 0;
    std::int64_t granted_at = 0;
};

/// The registry's tables. A standby has them as they were a while ago.
struct Tables
{
    std::vector<Number> numbers;
    std::int64_t newest = 0; ///< the newest granted_at
    std::int64_t run = 1;
    std::int64_t system = 1; ///< what it ran on
};

class Registry
{
public:
    Registry(std::int32_t numbers, std::int64_t claim_length, std::int64_t now, ClaimFault fault)
        : claim_length_(claim_length), fault_(fault)
    {
        tables.numbers.assign(static_cast<std::size_t>(numbers),
                              Number{.end = now, .given = now, .granted_at = now});
        tables.newest = now;
    }

    Tables tables;
    std::int64_t system = 1; ///< what it runs on
    std::int64_t rests = 0;  ///< how often all numbers were laid to rest

    /// timeshard_claim(), when the registry's clock reads `clock`.
    Answer Claim(std::int64_t clock, std::int64_t claimants_clock, std::int32_t preferred)
    {
        const std::int64_t now = Remember(clock, nullptr);
        if (Differ(clock, claimants_clock))
            return {Verdict::kClocksDiffer};
        const std::int32_t number = FreeNumber(std::min(now, claimants_clock), preferred);
        if (number < 0)
            return {Verdict::kNoneFree};
        Number &row = At(number);
        row.first = row.end;
        row.end = now + Ahead(0);
        row.given_back = row.resting = false;
        row.asked = row.tag = 0;
        row.claimed_at = now;
        return Grant(number, now, Verdict::kClaimed);
    }

    /// timeshard_extend_claim().
    Answer Extend(std::int64_t clock, std::int64_t claimants_clock, const Proof &shown,
                  std::uint64_t tag)
    {
        const std::int64_t now = Remember(clock, &shown);
        if (Differ(clock, claimants_clock))
            return {Verdict::kClocksDiffer};
        Number &row = At(shown.interval.number);
        const bool believed = row.resting && IsBelieved(shown, now);
        if (row.resting && !believed)
            return {Verdict::kKept};
        const bool known = row.nonce == shown.nonce || fault_ == ClaimFault::kProofIgnored;
        if (!believed && !known && row.asked == shown.nonce && row.tag == tag)
            return {Verdict::kConfirmed, ProofOf(shown.interval, row)};
        if (!believed && !known)
            return {Verdict::kNotYours};
        if (believed) {
            row.claimed_at = now;
            row.end = std::max(shown.interval.end, now + Ahead(0));
        } else {
            row.end = std::max(row.end, now + Ahead(now - row.claimed_at));
        }
        row.first = shown.interval.floor;
        row.given_back = row.resting = false;
        row.asked = shown.nonce;
        row.tag = tag;
        return Grant(shown.interval.number, now, Verdict::kExtended);
    }

    /// timeshard_end_claim(). `tag` is 0 unless an answer was lost.
    Verdict End(std::int64_t clock, const Proof &shown, std::uint64_t tag, std::int64_t used_until)
    {
        const std::int64_t now = Remember(clock, &shown);
        Number &row = At(shown.interval.number);
        if (row.resting && !IsBelieved(shown, now))
            return Verdict::kKept;
        const bool known = row.nonce == shown.nonce || (row.asked == shown.nonce && row.tag == tag);
        if (!row.resting && !known)
            return Verdict::kNotYours;
        const std::int64_t end = row.resting ? shown.interval.end : row.end;
        row.first = shown.interval.floor;
        row.end = std::max(row.first, std::min(end, used_until));
        row.given_back = true;
        row.resting = false;
        row.nonce = row.asked = row.tag = 0;
        return Verdict::kEnded;
    }

    /// A start after an outage. Its tables are all that it needs.
    void Restart(std::int64_t clock)
    {
        for (Number &row : tables.numbers)
            if (fault_ == ClaimFault::kEndsForgotten && row.granted_at < clock - kMinute)
                row.end = std::min(row.end, clock);
    }

private:
    static constexpr std::int64_t kMargin = 2 * kMinute;

    static bool Differ(std::int64_t a, std::int64_t b) { return std::abs(a - b) > kMinute; }

    static bool IsBelieved(const Proof &shown, std::int64_t now)
    {
        return shown.interval.end > now + kMargin;
    }

    std::int64_t Ahead(std::int64_t age) const
    {
        return std::min(std::max(age, 10 * kMinute), claim_length_);
    }

    Number &At(std::int32_t number) { return tables.numbers[static_cast<std::size_t>(number)]; }

    Proof ProofOf(const ClaimedInterval &interval, const Number &row) const
    {
        return {interval, tables.run, row.nonce};
    }

    Answer Grant(std::int32_t number, std::int64_t now, Verdict verdict)
    {
        Number &row = At(number);
        row.given = std::max(row.given, row.end);
        row.nonce = ++nonces_;
        row.granted_at = now;
        tables.newest = std::max(tables.newest, now);
        return {verdict, ProofOf({number, row.first, row.end}, row)};
    }

    std::int32_t FreeNumber(std::int64_t now, std::int32_t preferred)
    {
        if (preferred >= 0 && At(preferred).end <= now + (At(preferred).given_back ? kMinute : 0))
            return preferred;
        std::int32_t free = -1;
        for (std::int32_t n = 0; n < static_cast<std::int32_t>(tables.numbers.size()); n++)
            if (At(n).end <= now && (free < 0 || At(n).end < At(free).end))
                free = n;
        return free;
    }

    /// timeshard_registry_remember(). Returns the registry's time.
    std::int64_t Remember(std::int64_t clock, const Proof *shown)
    {
        const std::int64_t now = std::max(clock, tables.newest);
        const bool forgot =
            tables.system != system ||
            (shown != nullptr &&
             (shown->run > tables.run || (!At(shown->interval.number).resting &&
                                          shown->interval.end > At(shown->interval.number).given)));
        if (forgot && fault_ != ClaimFault::kNoRest)
            LayToRest(now, shown != nullptr ? shown->run : 0);
        return now;
    }

    void LayToRest(std::int64_t now, std::int64_t heard_run)
    {
        tables.run = std::max(tables.run, heard_run) + 1;
        tables.system = system;
        for (Number &row : tables.numbers) {
            const bool was_free = row.end <= tables.newest && !row.resting;
            const std::int64_t ahead = was_free ? Ahead(now - tables.newest) : claim_length_;
            row.end = std::max(row.end, now + kMargin + ahead);
            row.given = std::max(row.given, row.end);
            row.given_back = false;
            row.resting = true;
        }
        rests++;
    }

    std::int64_t claim_length_;
    ClaimFault fault_;
    std::uint64_t nonces_ = 0; ///< no registry repeats one, a promoted standby neither
};

} // namespace timeshard::fleet
