#pragma once

#include "clock.hpp"
#include "layout.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>

/// The generator: one 64-bit word of state, one pure step, one exchange loop.
///
/// The state word
///
///     63   62                       22 21                  0
///     +---+---------------------------+---------------------+
///     | 0 |   offset of the last ID   |  its sequence       |
///     +---+---------------------------+---------------------+
///
/// is the last ID that was issued, less its node ID: the bits of the node ID
/// are zero, so an ID is the word or-ed with the node field. Zero means that
/// nothing has been issued.
///
/// Invariant: the word only ever rises, and each rise issues exactly the ID
/// that the new word stands for. Uniqueness and order follow from it alone,
/// whatever the clock does: an exchange succeeds for one caller only, and a
/// caller that starts after another has returned loads a word at least as
/// large as the other's ID.
namespace timeshard {

inline constexpr std::int64_t kNanosecondsPerMillisecond = 1000000;

/// A gap is measured in ns up to here, 292 years, and no larger one is told from it.
inline constexpr std::int64_t kLargestGapMs =
    std::numeric_limits<std::int64_t>::max() / kNanosecondsPerMillisecond;

/// What came of an attempt to take an ID.
enum class Status : std::uint8_t {
    kIssued,      ///< `word` is the new state word, and the caller's alone
    kExhausted,   ///< no sequence is left in this millisecond; `gap_ns` to the next
    kBehind,      ///< the clock is `gap_ns` behind the millisecond of the last ID
    kBeforeEpoch, ///< the clock reads earlier than the epoch
    kPastEnd,     ///< the clock is past what 41 bits can count
};

/// The outcome of one step. `word` is the new state word when kIssued, else
/// the one that stood in the way.
struct Step
{
    Status status;
    std::uint64_t word;
    std::int64_t gap_ns;
};

/// A clock reading in ID space: `offset` ms since the epoch, which can be
/// negative, and `nanoseconds` within that millisecond.
struct Moment
{
    std::int64_t offset;
    std::int32_t nanoseconds;
};

constexpr std::int64_t OffsetOf(std::uint64_t word)
{
    return static_cast<std::int64_t>(word >> kLowerBits);
}

constexpr std::int32_t SequenceOf(std::uint64_t word)
{
    return static_cast<std::int32_t>(word & ((std::uint64_t{1} << kLowerBits) - 1));
}

/// The first word of a millisecond.
constexpr std::uint64_t WordAt(std::int64_t offset)
{
    return static_cast<std::uint64_t>(offset) << kLowerBits;
}

/// What follows `last` when the clock reads `now`. Pure: it reads and changes
/// nothing else. The gap of a clock behind is measured in ns, because two
/// processors' clocks can differ by a few around a tick, which is no fault.
constexpr Step Advance(std::uint64_t last, Moment now, std::int32_t max_sequence)
{
    const std::int64_t last_offset = OffsetOf(last);
    const std::int64_t gap_ms = last_offset - now.offset;

    if (gap_ms < 0 && now.offset <= kMaxOffset) [[likely]]
        return {Status::kIssued, WordAt(now.offset), 0};
    if (gap_ms < 0)
        return {Status::kPastEnd, last, 0};
    if (gap_ms == 0 && SequenceOf(last) < max_sequence) [[likely]]
        return {Status::kIssued, last + 1, 0};
    if (gap_ms == 0)
        return {Status::kExhausted, last, kNanosecondsPerMillisecond - now.nanoseconds};
    if (last == 0)
        return {Status::kBeforeEpoch, last, 0};
    return {Status::kBehind, last,
            std::min(gap_ms, kLargestGapMs) * kNanosecondsPerMillisecond - now.nanoseconds};
}

/// Takes the next ID off `state`, an atomic 64-bit word that the caller owns,
/// by `clock`, whose milliseconds count from `epoch` (ms since 1970).
///
/// Order matters. The state is loaded *before* the clock is read, so that a
/// word ahead of the clock means a clock that went back, never a faster
/// session. After a lost exchange the newer word was put there by a session
/// that has read the clock since our load; if it is in a later millisecond
/// than our reading, that millisecond has begun and is honest for us too. The
/// clock is read again only when the millisecond is used up.
template <typename Atomic, typename Clock>
inline Step TakeNext(Atomic &state, Clock &&clock, std::int64_t epoch, std::int32_t max_sequence)
{
    for (;;) {
        std::uint64_t last = state.load();
        const ClockReading reading = clock.Now();
        Moment now{reading.milliseconds - epoch, reading.nanoseconds};

        for (;;) {
            const Step step = Advance(last, now, max_sequence);
            if (step.status != Status::kIssued) [[unlikely]]
                return step;
            if (state.compare_exchange_strong(last, step.word)) [[likely]]
                return step;
            if (OffsetOf(last) > now.offset)
                now = {OffsetOf(last), 0};
            if (OffsetOf(last) == now.offset && SequenceOf(last) >= max_sequence)
                break;
        }
    }
}

} // namespace timeshard
