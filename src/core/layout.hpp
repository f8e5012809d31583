#pragma once

#include "core_only.hpp"

#include <cstdint>

namespace timeshard {

/// The bits of an ID and of the generator's state word. Only this file shifts them.
///
///     63   62                       22 21                  0
///     +---+---------------------------+----------+----------+
///     | 0 |   offset, 41 bits, in ms  | node ID  | sequence |   an ID
///     +---+---------------------------+----------+----------+
///                                       1 to 16    the rest
///     +---+---------------------------+---------------------+
///     | 0 |   offset of the last ID   |  its sequence       |   a word
///     +---+---------------------------+---------------------+
///
/// The sign bit stays zero so that an ID is a positive BIGINT. Node ID and
/// sequence always share the lower 22 bits: the time half of an ID depends on
/// the epoch alone. The split of 41, 10 and 12 bits is Twitter's Snowflake
/// (2010).
///
/// A word is an ID whose node bits are zero, so an ID is its word or-ed with the
/// node field, and the functions of words that look at the offset alone serve
/// IDs too. A floor is a word with all 22 lower bits set: nothing is left in its
/// millisecond. An issued word cannot be one, because its node bits are zero.
inline constexpr int kOffsetBits = 41;
inline constexpr int kLowerBits = 22;
inline constexpr int kMinNodeIdBits = 1;
inline constexpr int kMaxNodeIdBits = 16;
inline constexpr int kDefaultNodeIdBits = 10;

/// The last millisecond that an offset can count: about 69.7 years.
inline constexpr std::int64_t kMaxOffset = (std::int64_t{1} << kOffsetBits) - 1;

/// The largest node ID that any layout can carry.
inline constexpr int kMaxNodeIdOfAnyLayout = (1 << kMaxNodeIdBits) - 1;

/// The default epoch, in ms since 1970: 2023-12-12 12:52:13 UTC. The Python
/// Timeshard uses the same, so its IDs parse alike.
inline constexpr std::int64_t kDefaultEpoch = 1702385533000;

/// Epochs that can be configured: from 1970 to the end of the year 9999, so
/// that epoch plus offset always fits a timestamp.
inline constexpr std::int64_t kMinEpoch = 0;
inline constexpr std::int64_t kMaxEpoch = 253402300799999;

/// The lower 22 bits, all set.
inline constexpr std::uint64_t kLowerMask = (std::uint64_t{1} << kLowerBits) - 1;

/// The offset of a word or of an ID, in ms since the epoch.
constexpr std::int64_t OffsetOf(std::uint64_t word)
{
    return static_cast<std::int64_t>(word >> kLowerBits);
}

/// The sequence of a word; kLowerMask for a floor.
constexpr std::int32_t SequenceOf(std::uint64_t word)
{
    return static_cast<std::int32_t>(word & kLowerMask);
}

/// The first word, and the smallest ID, of the millisecond at `offset`.
constexpr std::uint64_t WordAt(std::int64_t offset)
{
    return static_cast<std::uint64_t>(offset) << kLowerBits;
}

/// The floor at `offset`, and the largest ID of that millisecond: everything up
/// to its end is taken.
constexpr std::uint64_t FloorAt(std::int64_t offset)
{
    return WordAt(offset) | kLowerMask;
}

constexpr bool IsFloor(std::uint64_t word)
{
    return word == FloorAt(OffsetOf(word));
}

/// An ID taken apart. `offset` counts ms since the layout's epoch.
struct Parts
{
    std::int64_t offset;
    std::int32_t node_id;
    std::int32_t sequence;
};

/// The division of the lower 22 bits. `node_id_bits` must be within
/// kMinNodeIdBits and kMaxNodeIdBits: check what comes from outside first.
class Layout
{
public:
    constexpr explicit Layout(int node_id_bits) : node_id_bits_(node_id_bits) {}

    constexpr int NodeIdBits() const { return node_id_bits_; }
    constexpr int SequenceBits() const { return kLowerBits - node_id_bits_; }
    constexpr std::int32_t MaxNodeId() const { return (1 << node_id_bits_) - 1; }
    constexpr std::int32_t MaxSequence() const { return (1 << SequenceBits()) - 1; }
    constexpr std::int32_t IdsPerMillisecond() const { return 1 << SequenceBits(); }

    /// The node ID in its place, to be or-ed into an ID. `node_id` must be
    /// within 0 and MaxNodeId().
    constexpr std::uint64_t NodeField(std::int32_t node_id) const
    {
        return static_cast<std::uint64_t>(node_id) << SequenceBits();
    }

    /// The ID that a word stands for on the node with this field.
    static constexpr std::int64_t IdOf(std::uint64_t word, std::uint64_t node_field)
    {
        return static_cast<std::int64_t>(word | node_field);
    }

    /// Takes a non-negative ID apart.
    constexpr Parts Split(std::int64_t id) const
    {
        const auto bits = static_cast<std::uint64_t>(id);
        return {OffsetOf(bits), SequenceOf(bits) >> SequenceBits(),
                SequenceOf(bits) & MaxSequence()};
    }

private:
    int node_id_bits_;
};

} // namespace timeshard
