#pragma once

#include "../core/mark_record.hpp"

#include <cstdint>

/// The durable mark, a file in the data directory: read in one way, written in one
/// way. Nothing here raises an error or writes to the log but RaiseMarkError(), so
/// all else can be called under the state's lock.
namespace timeshard {

/// What stands in the file.
enum class MarkState : std::uint8_t {
    kMissing,
    kSound,
    kDamaged, ///< or unreadable, or of a version that this library does not know
};

struct MarkReading
{
    MarkState state;
    MarkRecord record; ///< if kSound
    bool settled;      ///< if kSound: both slots hold it; the second is written after a sync only
    bool same_file;    ///< if kSound: the record was written to this file, not to its original
    bool newer;        ///< if kDamaged: a newer version wrote it, so it must not be replaced
    char trouble[160]; ///< if kDamaged: what is wrong with it
};

/// Why the mark was not written.
enum class MarkFailure : std::uint8_t {
    kNone,
    kWrite,   ///< a system call failed with `error`, an errno, on `file`
    kSync,    ///< likewise; the file may have been written
    kDamaged, ///< `trouble`; see MarkReading
    kNewer,   ///< likewise
    kOrphan,  ///< the postmaster is gone, and a new server may be using the file
};

struct MarkResult
{
    MarkFailure failure = MarkFailure::kNone;
    int error = 0;
    const char *file = nullptr;
    char trouble[160] = "";

    bool Ok() const { return failure == MarkFailure::kNone; }
};

/// The mark of the running server. Stands in shared memory; its lock is the state's.
struct Mark
{
    // What is on disk, known once the floor is taken.
    std::int64_t end; ///< at least the end of the reservation
    std::uint64_t generation;
    std::uint32_t window_ms; ///< how far ahead of the clock `end` was
    LayoutChange layout_change;

    std::uint32_t named; ///< 1 once this run has synced the file's name

    /// Puts `record` on disk: writes it into the slot of its generation and syncs it,
    /// makes the file if there is none, syncs the file's name unless this run has done
    /// so, and copies the record into the other slot without a sync. The only way to
    /// write. When it returns kNone, the record is durable (unless fsync is off).
    ///
    /// Fills in magic, version and checksum, and the inode unless `record.inode` says
    /// another. With `anew` the file is replaced, whatever is in it.
    MarkResult Commit(MarkRecord record, bool anew = false);

    /// Commits the record as the next generation after what is on disk.
    MarkResult CommitNext(MarkRecord record);
};

/// Reads the file. Damage is the caller's to judge.
MarkReading ReadMark();

/// The failure that a damaged mark is.
MarkResult DamageOf(const MarkReading &reading);

/// Raises the error of a failure, with the way out. FATAL for an orphan.
[[noreturn]] void RaiseMarkError(const MarkResult &result);

} // namespace timeshard
