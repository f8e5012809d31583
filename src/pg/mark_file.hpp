#pragma once

#include "../core/mark.hpp"

#include <cstdint>

/// The file of the durable mark, in the data directory. Whoever writes it holds
/// the shared state's lock. A failed write or sync is an error, but for the copy's.
namespace timeshard::pg {

/// What stands in the file.
enum class MarkState {
    kMissing,
    kSound,
    kDamaged, ///< or unreadable, or of a version that this library does not know
};

struct MarkReading
{
    MarkState state;
    MarkRecord record; ///< if kSound
    bool settled;      ///< if kSound: both slots hold it, which is written after a sync only
    bool same_file;    ///< if kSound: it is the file that the record was written to, not a copy
    char trouble[160]; ///< if kDamaged: what is wrong with it
};

/// Reads the file. Damage is the caller's to judge and raises no error.
MarkReading ReadMark();

/// Raises the error that the mark is damaged, with the way out.
[[noreturn]] void RefuseDamagedMark(const MarkReading &reading);

/// Writes the record into its slot and syncs it; makes the file if there is
/// none, and then returns true. When it returns, the record is on disk (but with
/// fsync = off), though a new file's name is not: SyncMarkDirectory(). Fills in
/// magic, version, checksum, and the inode unless `record.inode` says another.
bool WriteMark(MarkRecord record);

/// Syncs the directory that the file's name stands in.
void SyncMarkDirectory();

/// Writes the record into the other slot too, without a sync. It may fail: the
/// next extension starts with that slot.
void CopyMark(MarkRecord record);

/// Makes the file anew, with the record in both slots, whatever file stands
/// there. Its name is not on disk before SyncMarkDirectory().
void CreateMark(MarkRecord record);

} // namespace timeshard::pg
