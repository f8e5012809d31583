#pragma once

#include "layout.hpp"
#include "window.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

/// The durable mark: the record that a server keeps of how far it may have
/// issued IDs, and as whom. The file has two slots, so that a torn write never
/// touches the only copy that is known to be on disk:
///
///     extension n      writes slot n mod 2, syncs, copies the record into the
///                      other slot without a sync, then raises the end in
///                      shared memory
///     extension n + 1  starts with that other slot
///
/// A failed attempt does not count as extension n: the next one is n again, on
/// the same slot. Of two sound slots, the one of the higher generation counts. A
/// run that finds them different rewrites and syncs that one before it goes on.
namespace timeshard {

/// Slots are a page apart: no device tears a write across that.
inline constexpr std::size_t kMarkSlotSize = 4096;
inline constexpr std::size_t kMarkSize = 2 * kMarkSlotSize;

inline constexpr std::uint32_t kMarkMagic = 0x4d4b5354; // "TSKM" in a little-endian file

/// 1: by 1.0.0 and 1.1.0, up to `unused`, with the checksum after it.
/// 2: the run that wrote it.
inline constexpr std::uint32_t kMarkVersion = 2;

/// The layout that held before the present one, and the first ID of the present
/// one. `node_id_bits` is 0 if there has been no change.
struct LayoutChange
{
    std::int64_t since_id;
    std::int64_t custom_epoch;
    std::int32_t node_id_bits;
    std::int32_t unused;
};

/// One run of a postmaster. Restarts of its sessions after a crash belong to it. The
/// time alone would do, if clocks never stood still.
struct ServerRun
{
    std::int64_t started_at; ///< in microseconds; 0 if unknown
    std::int32_t postmaster; ///< its process ID

    constexpr bool IsSame(const ServerRun &other) const
    {
        return started_at != 0 && started_at == other.started_at && postmaster == other.postmaster;
    }
};

/// As it stands in the file, in the machine's byte order.
struct MarkRecord
{
    std::uint32_t magic;
    std::uint32_t version;
    std::uint64_t generation;
    std::int64_t end; ///< IDs may have been issued in offsets below this one

    std::int64_t custom_epoch;
    std::int32_t node_id;
    std::int32_t node_id_bits;
    std::int32_t node_id_derived; ///< 1 if it was not configured
    std::uint32_t timeline;
    LayoutChange layout_change;

    std::uint64_t system_identifier;
    std::uint64_t inode; ///< of the file that was written: a copy has another

    std::uint32_t window_ms; ///< how far ahead of the clock `end` was; 0 before 1.2.0

    // The run that wrote it, and the rest of that run's identity.
    std::int32_t postmaster;
    std::int64_t started_at;
    std::int32_t node_id_source;
    char node_address[48];

    std::uint32_t checksum; ///< CRC-32C of all before it
};

/// A record of version 1 in the file has its checksum here.
inline constexpr std::size_t kMarkChecksumOf1 = 92;
static_assert(offsetof(MarkRecord, postmaster) == kMarkChecksumOf1);
static_assert(offsetof(MarkRecord, checksum) == 156 && sizeof(MarkRecord) == 160);
static_assert(sizeof(MarkRecord) <= 512, "a sector, the least that a disk writes whole");

/// The window of a record, as the next run has to take it.
constexpr std::int64_t WindowOf(const MarkRecord &record)
{
    return std::clamp<std::int64_t>(record.window_ms, kMinWindowMs, kMaxWindowMs);
}

constexpr ServerRun RunOf(const MarkRecord &record)
{
    return {record.started_at, record.postmaster};
}

/// Clears what a record of version 1 does not have.
constexpr void ForgetRun(MarkRecord &record)
{
    record.postmaster = 0;
    record.started_at = 0;
    record.node_id_source = 0;
    for (char &byte : record.node_address)
        byte = '\0';
    record.checksum = 0;
}

constexpr std::size_t MarkSlotOf(std::uint64_t generation)
{
    return static_cast<std::size_t>(generation % 2) * kMarkSlotSize;
}

/// True if the record, whose checksum has been found right, makes sense.
constexpr bool IsSound(const MarkRecord &record)
{
    return record.magic == kMarkMagic && record.version >= 1 && record.version <= kMarkVersion &&
           record.end >= 0 && record.end <= kMaxOffset + 1 && record.custom_epoch >= kMinEpoch &&
           record.custom_epoch <= kMaxEpoch && record.node_id_bits >= kMinNodeIdBits &&
           record.node_id_bits <= kMaxNodeIdBits && record.node_id >= 0 &&
           record.node_id <= Layout(record.node_id_bits).MaxNodeId();
}

/// The one of two slots that counts; either may be null, which is not sound.
constexpr const MarkRecord *Newer(const MarkRecord *a, const MarkRecord *b)
{
    if (a == nullptr || b == nullptr)
        return a == nullptr ? b : a;
    return b->generation > a->generation ? b : a;
}

} // namespace timeshard
