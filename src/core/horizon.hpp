#pragma once

#include "generator.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>

/// The horizon: an ID below which nothing more can appear.
///
/// IDs are taken in order and committed in another. So each transaction that
/// takes IDs publishes, before its first, where the state stands: its position.
/// All its IDs are above that; once it has the first, they are above that one, and
/// the position may follow. Who asks takes an ID too, and then looks at the
/// positions; what was published later than that look belongs to IDs above the
/// one taken. Hence the order of each side's two steps, and that all of them are
/// sequentially consistent, as std::atomic's are unless told otherwise.
///
///     a writer     publish its position     take an ID
///     who asks     take an ID               look at the positions
///
/// A position is one 64-bit word:
///
///     63                            23 22              0
///     +-------------------------------+-----------------+
///     |   offset of the state's word  |       tag       |
///     +-------------------------------+-----------------+
///
/// The tag tells whose it is: a number that the transaction has for itself,
/// reduced to 1 to 2^23 - 1, so that no position is 0. Two transactions with one
/// tag are mistaken for each other only towards the older position, which holds
/// the horizon back and lets nothing slip.
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
/// unless it has been already: by the transaction itself or by another process
/// that takes IDs for it. True if this call did. `keep(position)` is called before
/// another's position is overwritten, and may be called in vain.
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

/// Raises the position in `slot` to the first ID that came of it, at `offset`: the
/// state may have stood where it stood for hours. Only by who has published it,
/// and only while no other process can take IDs for the transaction: there may be
/// lower ones. A release is enough: the older position is as true.
template <typename Atomic>
inline void RaisePosition(Atomic &slot, std::int64_t offset, std::uint64_t tag)
{
    slot.store(MakePosition(offset, tag), std::memory_order_release);
}

/// Keeps a copy of `position` in `entry`, under another tag, for a transaction
/// that outlives its slot. While this runs, the entry is that transaction's: the
/// caller sees to it. A copy never raises one of the same tag: `position` may be
/// that of a later transaction with the slot's tag.
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

/// The answer to who has taken `own`, a word, and then seen `oldest`, the least
/// offset of all positions that count: the first word of a millisecond. Never
/// less than `greatest`, the largest answer so far, which it raises: that one
/// stays true for good.
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
