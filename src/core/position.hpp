#pragma once

#include "generator.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>

/// Positions: where open transactions stand, so that the horizon, an ID below which
/// nothing more can appear, can be told.
///
/// IDs are taken in one order and committed in another. So each transaction that
/// takes IDs publishes, before its first, where the state stands: its position.
/// All its IDs are above that; once it has the first, they are at or above that
/// one, and the position may follow. The reader takes an ID, then scans the
/// positions: a position published after the scan belongs to IDs above the one
/// that the reader took. This needs each side's two steps in this order, and all of
/// them sequentially consistent, as std::atomic's are by default.
///
///     a writer     publish its position     take an ID
///     the reader   take an ID               scan the positions
///
/// test/model/horizon.pml searches every order of these steps.
///
/// A position is one 64-bit word:
///
///     63                            23 22              0
///     +-------------------------------+-----------------+
///     |   offset of the state's word  |       tag       |
///     +-------------------------------+-----------------+
///
/// The tag tells whose it is: a number of the transaction's own, reduced to 1 to
/// 2^23 - 1, so that no position is 0. Where two transactions share a tag, the
/// older position counts, which holds the horizon back and loses nothing.
namespace timeshard {

inline constexpr int kTagBits = 64 - kOffsetBits;
inline constexpr std::uint64_t kTagMask = (std::uint64_t{1} << kTagBits) - 1;

/// No position is published.
inline constexpr std::uint64_t kNoPosition = 0;

/// The tag of a transaction by a number of its own, such as its local or its
/// global one.
constexpr std::uint64_t TagFor(std::uint32_t number)
{
    return number % kTagMask + 1;
}

constexpr std::uint64_t MakePosition(std::int64_t offset, std::uint64_t tag)
{
    return static_cast<std::uint64_t>(offset) << kTagBits | tag;
}

constexpr std::int64_t OffsetOfPosition(std::uint64_t position)
{
    return static_cast<std::int64_t>(position >> kTagBits);
}

/// True if `position` is that of the transaction with this tag.
constexpr bool IsOf(std::uint64_t position, std::uint64_t tag)
{
    return (position & kTagMask) == tag;
}

/// Publishes in `slot` where `state` stands, for the transaction with this tag,
/// unless the transaction, or another process that takes IDs for it, has done so.
/// True if this call did. Calls `keep(position)` before it overwrites another
/// transaction's position, possibly more than once.
template <typename Atomic, typename State, typename Keep>
inline bool PublishPosition(Atomic &slot, State &&state, std::uint64_t tag, Keep &&keep)
{
    std::uint64_t seen = slot.load();
    const std::uint64_t position = MakePosition(OffsetOf(state.load()), tag);
    while (!IsOf(seen, tag)) {
        keep(seen);
        if (slot.compare_exchange_strong(seen, position))
            return true;
    }
    return false;
}

/// Lifts the position in `slot` to `offset`, that of the transaction's first ID:
/// the state may not have moved for hours before it. Only the publisher may do so,
/// and only while no other process can take IDs for the transaction, since those may
/// be lower. A release is enough. It cannot come before the exchange that took the ID, and
/// a reader that sees it late finds the old position, which is merely a lower bound. The
/// next exchange on this slot cannot come before it, being on the same word. The model
/// is test/model/horizon.pml (RAISED_PAST_THE_FIRST and its neighbours break this).
template <typename Atomic>
inline void LiftPosition(Atomic &slot, std::int64_t offset, std::uint64_t tag)
{
    slot.store(MakePosition(offset, tag), std::memory_order_release);
}

/// Keeps a copy of `position` in `entry`, under another tag, for a transaction
/// that outlives its slot. The caller makes sure that the entry stays that
/// transaction's meanwhile. A copy never lifts one of the same tag: `position` may
/// belong to a later transaction with the slot's tag.
template <typename Atomic>
inline void KeepPosition(Atomic &entry, std::uint64_t position, std::uint64_t tag)
{
    std::uint64_t seen = entry.load();
    std::uint64_t copy;
    do {
        const std::int64_t offset = OffsetOfPosition(position);
        const std::int64_t kept = IsOf(seen, tag) ? OffsetOfPosition(seen) : offset;
        copy = MakePosition(std::min(offset, kept), tag);
    } while (!entry.compare_exchange_strong(seen, copy));
}

/// The horizon for a reader that took `own`, a word, and then found `oldest`, the
/// least offset of all positions that count. It is the first word of a millisecond,
/// and never less than `greatest`, the largest answer so far, which stays true for
/// good and which this call lifts.
template <typename Atomic>
inline std::uint64_t AnswerHorizon(Atomic &greatest, std::uint64_t own, std::int64_t oldest)
{
    const std::uint64_t answer = WordAt(std::min(OffsetOf(own), oldest));
    std::uint64_t seen = greatest.load();
    while (seen < answer)
        if (greatest.compare_exchange_strong(seen, answer))
            return answer;
    return seen;
}

} // namespace timeshard
