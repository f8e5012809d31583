#pragma once

#include "clock.hpp"
#include "layout.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>

/// The generator: one 64-bit word of state, one pure step, one exchange loop.
///
/// The state word (layout.hpp) is the last ID that was issued, less its node ID.
/// Zero means that nothing has been issued.
///
/// Invariant: the word only ever rises, and each rise issues exactly the ID
/// that the new word stands for, or sets a floor. Uniqueness and order follow
/// from it alone, whatever the clock does: an exchange succeeds for one caller
/// only, and a caller that starts after another has returned loads a word at
/// least as large as the other's ID.
///
/// Every load and exchange here, and of the limit and the node field, is sequentially
/// consistent, as std::atomic's are by default: on any processor they take effect in one
/// order, which test/model/generator.pml and switch.pml search.
///
/// The word is lost with the server's memory. The reservation (window.hpp) keeps
/// later runs from repeating an ID: an ID's millisecond is always below the
/// limit, the limit is durable before it is raised, and the next run starts
/// above it.
namespace timeshard {

inline constexpr std::int64_t kNanosecondsPerMillisecond = 1000000;

/// The largest gap that ns can measure, 292 years; larger ones count as this one.
inline constexpr std::int64_t kLargestGapMs =
    std::numeric_limits<std::int64_t>::max() / kNanosecondsPerMillisecond;

/// What came of an attempt to take an ID.
enum class Status : std::uint8_t {
    kIssued,      ///< `word` is the new state word, and the caller's alone
    kExhausted,   ///< this millisecond has no sequence left for the call; `gap_ns` to the next
    kBehind,      ///< the clock is `gap_ns` behind the millisecond of the last ID
    kBeforeEpoch, ///< the clock reads earlier than the epoch
    kPastEnd,     ///< the clock is past what 41 bits can count
    kUnreserved,  ///< the clock has reached the limit of the reservation
};

/// The outcome of one step. `word` is the new state word when kIssued, else
/// the one that stood in the way; `last` is the one before it, when kIssued.
struct Step
{
    Status status;
    std::uint64_t word;
    std::int64_t gap_ns;
    std::uint64_t last = 0;
};

/// A clock reading in ID space: `offset` ms since the epoch, which can be
/// negative, and `nanoseconds` within that millisecond.
struct Moment
{
    std::int64_t offset;
    std::int32_t nanoseconds;
};

/// What `clock` shows now, by `epoch` (ms since 1970).
template <typename Clock>
inline Moment ReadMoment(Clock &clock, std::int64_t epoch)
{
    const ClockReading reading = clock.Now();
    return {reading.milliseconds - epoch, reading.nanoseconds};
}

/// How many IDs were issued in the millisecond of `last`, the word it was left at.
constexpr std::int64_t IdsInMillisecond(std::uint64_t last)
{
    return last == 0 || IsFloor(last) ? 0 : SequenceOf(last) + 1;
}

/// The last sequence of a millisecond for a call that wants so many IDs. Runs leave
/// the last eighth to calls for one ID. A few sessions that take runs use up a
/// millisecond at its start, and without a share of its own a single call would wait
/// for the next one nearly always, and lose that one too.
constexpr std::int32_t LastSequenceFor(std::int32_t wanted, std::int32_t max_sequence)
{
    return wanted == 1 ? max_sequence : max_sequence - (max_sequence + 1) / 8;
}

/// The last word of a run that starts at `first` and ends with its millisecond's share.
constexpr std::uint64_t RunEnd(std::uint64_t first, std::int32_t last_sequence, std::int32_t wanted)
{
    if (wanted == 1)
        return first;
    return first +
           static_cast<std::uint64_t>(std::min(wanted - 1, last_sequence - SequenceOf(first)));
}

/// The first word of the run that a step has issued.
constexpr std::uint64_t FirstOf(const Step &step)
{
    return OffsetOf(step.last) == OffsetOf(step.word) ? step.last + 1 : WordAt(OffsetOf(step.word));
}

/// What follows `last` when the clock reads `now` and the milliseconds below
/// `limit` are reserved. Pure: it reads and changes nothing else. A gap is
/// measured in ns, because the clocks of two processors can differ by a few
/// around a tick, which is no fault.
///
/// The limit, at most kMaxOffset + 1, also holds in a millisecond that another
/// session has begun. That session may have read a newer limit, and with it the node
/// field of a newer claim; this caller's node field is good below its own limit only.
///
/// Takes `wanted` (1 or more) IDs in a row, or as many as the millisecond has
/// left for runs. `word` is then the last of them, and FirstOf(step) the first.
constexpr Step Advance(std::uint64_t last, Moment now, std::int32_t max_sequence,
                       std::int64_t limit, std::int32_t wanted = 1)
{
    const std::int64_t gap_ms = OffsetOf(last) - now.offset;
    const std::int32_t last_sequence = LastSequenceFor(wanted, max_sequence);
    const bool begins = gap_ms < 0;
    const bool goes_on = gap_ms == 0 && SequenceOf(last) < last_sequence;

    if ((begins || goes_on) && now.offset < limit) [[likely]] {
        const std::uint64_t first = begins ? WordAt(now.offset) : last + 1;
        return {Status::kIssued, RunEnd(first, last_sequence, wanted), 0, last};
    }
    if (begins || goes_on)
        return {now.offset > kMaxOffset ? Status::kPastEnd : Status::kUnreserved, last, 0};
    if (gap_ms == 0)
        return {Status::kExhausted, last, kNanosecondsPerMillisecond - now.nanoseconds};
    if (last == 0)
        return {Status::kBeforeEpoch, last, 0};
    return {Status::kBehind, last,
            std::min(gap_ms, kLargestGapMs) * kNanosecondsPerMillisecond - now.nanoseconds};
}

/// Takes the next `wanted` IDs off `state`, an atomic 64-bit word that the caller owns,
/// by `clock`, whose milliseconds count from `epoch` (ms since 1970), in a
/// millisecond below `limit`.
///
/// The clock is read first, while the processor fetches the word's cache line
/// for writing: a line loaded in the shared state must be fetched again for the
/// exchange, and the longer load and exchange are apart, the more exchanges fail.
///
/// If the word is ahead of that reading, either another session read the clock
/// later or the clock stepped back; only a reading *after* the load tells which.
/// After a lost exchange, the newer word comes from a session that read the clock
/// after our load. If it is in a later millisecond than our reading, that
/// millisecond has begun, and an ID in it is honest for us too. So the clock is
/// read again only when the millisecond, or its share for runs, is used up.
template <typename Atomic, typename Clock>
[[gnu::always_inline]] inline Step TakeNext(Atomic &state, Clock &&clock, std::int64_t epoch,
                                            std::int32_t max_sequence, std::int64_t limit,
                                            std::int32_t wanted = 1)
{
    for (;;) {
        __builtin_prefetch(&state, 1);
        Moment now = ReadMoment(clock, epoch);
        std::uint64_t last = state.load();
        if (OffsetOf(last) > now.offset) [[unlikely]]
            now = ReadMoment(clock, epoch);

        for (;;) {
            const Step step = Advance(last, now, max_sequence, limit, wanted);
            if (step.status != Status::kIssued) [[unlikely]]
                return step;
            if (state.compare_exchange_strong(last, step.word)) [[likely]]
                return step;
            if (OffsetOf(last) > now.offset)
                now = {OffsetOf(last), 0};
            if (OffsetOf(last) == now.offset &&
                SequenceOf(last) >= LastSequenceFor(wanted, max_sequence))
                break;
        }
    }
}

/// Lifts `state` to the floor at `offset` (0 to kMaxOffset), unless it is
/// above it already. Returns the word that it replaced, 0 if none: the caller
/// must count what was issued in its millisecond, because no later step can. A
/// session that loses an exchange to the floor finds its millisecond used up, so
/// it reads the clock again rather than take that millisecond for begun.
template <typename Atomic>
inline std::uint64_t LiftToFloor(Atomic &state, std::int64_t offset)
{
    std::uint64_t word = state.load();
    while (word < FloorAt(offset))
        if (state.compare_exchange_strong(word, FloorAt(offset)))
            return word;
    return 0;
}

} // namespace timeshard
