#include "mark_file.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "postgres.hpp"

namespace timeshard::pg {
namespace {

// Relative to the data directory, which is every server process's own.
constexpr char kMarkPath[] = "timeshard.mark";
constexpr char kTemporaryPath[] = "timeshard.mark.tmp";

std::uint32_t Checksum(const MarkRecord &record)
{
    pg_crc32c crc;
    INIT_CRC32C(crc);
    COMP_CRC32C(crc, &record, offsetof(MarkRecord, checksum));
    FIN_CRC32C(crc);
    return crc;
}

/// The record in a slot of the file's contents, null if it is not sound.
const MarkRecord *SoundRecord(const char *contents, std::size_t size, std::size_t slot,
                              MarkRecord *record, bool *newer_version)
{
    if (size < slot + sizeof(*record))
        return nullptr;
    std::memcpy(record, contents + slot, sizeof(*record));
    if (record->magic == kMarkMagic && record->version > kMarkVersion)
        *newer_version = true;
    return record->checksum == Checksum(*record) && IsSound(*record) ? record : nullptr;
}

void Judge(const char *contents, std::size_t size, std::uint64_t inode, MarkReading *reading)
{
    MarkRecord records[2];
    bool newer_version = false;
    const MarkRecord *first = SoundRecord(contents, size, 0, &records[0], &newer_version);
    const MarkRecord *second =
        SoundRecord(contents, size, kMarkSlotSize, &records[1], &newer_version);
    const MarkRecord *newest = Newer(first, second);
    if (newest != nullptr && !newer_version) {
        reading->settled = first != nullptr && second != nullptr &&
                           std::memcmp(first, second, sizeof(*first)) == 0;
        reading->state = MarkState::kSound;
        reading->record = *newest;
        reading->same_file = newest->inode == inode;
        return;
    }
    strlcpy(reading->trouble,
            newer_version ? "It was written by a newer version of timeshard."
                          : "Neither of its two records is sound.",
            sizeof(reading->trouble));
}

[[noreturn]] void FailToWrite(const char *path)
{
    if (errno == 0)
        errno = ENOSPC; // a short write that says no more
    ereport(ERROR, (errcode_for_file_access(), errmsg("could not write file \"%s\": %m", path),
                    errdetail("No ID was issued, because none could be kept from repeating after a "
                              "crash. The next call tries again.")));
    pg_unreachable();
}

/// A wait event while the disk is waited for.
int Sync(int file, int (*sync)(int))
{
    pgstat_report_wait_start(MarkWaitEvent());
    const int result = sync(file);
    pgstat_report_wait_end();
    return result;
}

bool WriteRecord(int file, const MarkRecord &record, std::size_t slot)
{
    errno = 0;
    return pg_pwrite(file, &record, sizeof(record), static_cast<off_t>(slot)) ==
           static_cast<ssize_t>(sizeof(record));
}

MarkRecord Sealed(MarkRecord record, int file)
{
    struct stat status;
    if (record.inode == 0 && fstat(file, &status) == 0)
        record.inode = status.st_ino;
    record.magic = kMarkMagic;
    record.version = kMarkVersion;
    record.checksum = Checksum(record);
    return record;
}

} // namespace

MarkReading ReadMark()
{
    MarkReading reading{};
    char contents[kMarkSize];
    struct stat status;

    const int file = OpenTransientFile(kMarkPath, O_RDONLY | PG_BINARY);
    if (file < 0 && errno == ENOENT) {
        reading.state = MarkState::kMissing;
        return reading;
    }
    reading.state = MarkState::kDamaged;
    const ssize_t size = file < 0 ? -1 : pg_pread(file, contents, sizeof(contents), 0);
    if (size < 0 || fstat(file, &status) != 0) {
        char why[80];
        strlcpy(why, strerror(errno), sizeof(why));
        snprintf(reading.trouble, sizeof(reading.trouble), "It could not be read: %s.", why);
    } else {
        Judge(contents, static_cast<std::size_t>(size), status.st_ino, &reading);
    }
    if (file >= 0)
        CloseTransientFile(file);
    return reading;
}

void RefuseDamagedMark(const MarkReading &reading)
{
    ereport(
        ERROR,
        (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
         errmsg("file \"%s\" is damaged", kMarkPath),
         errdetail("%s It says how far earlier runs of this server may have issued IDs.",
                   reading.trouble),
         errhint("Restore the file, or have a superuser run SELECT timeshard_raise_floor(id) with "
                 "the largest ID that this server has issued. See \"A damaged mark\" in "
                 "doc/operations.md.")));
    pg_unreachable();
}

bool WriteMark(MarkRecord record)
{
    const int file = OpenTransientFile(kMarkPath, O_RDWR | PG_BINARY);
    if (file < 0 && errno == ENOENT) {
        record.inode = 0;
        CreateMark(record);
        return true;
    }
    if (file < 0)
        FailToWrite(kMarkPath);
    record = Sealed(record, file);
    if (!WriteRecord(file, record, MarkSlotOf(record.generation)) || Sync(file, pg_fdatasync) != 0)
        FailToWrite(kMarkPath);
    CloseTransientFile(file);
    return false;
}

void CopyMark(MarkRecord record)
{
    const int file = OpenTransientFile(kMarkPath, O_RDWR | PG_BINARY);
    if (file < 0)
        return;
    record = Sealed(record, file);
    (void)WriteRecord(file, record, MarkSlotOf(record.generation + 1));
    CloseTransientFile(file);
}

void CreateMark(MarkRecord record)
{
    const int file = OpenTransientFile(kTemporaryPath, O_RDWR | O_CREAT | O_TRUNC | PG_BINARY);
    if (file < 0)
        FailToWrite(kTemporaryPath);
    // Every byte is written now, so that no later write needs space on the disk.
    char contents[kMarkSize] = {};
    record = Sealed(record, file);
    std::memcpy(contents, &record, sizeof(record));
    std::memcpy(contents + kMarkSlotSize, &record, sizeof(record));
    errno = 0;
    if (pg_pwrite(file, contents, sizeof(contents), 0) != static_cast<ssize_t>(sizeof(contents)) ||
        Sync(file, pg_fsync) != 0)
        FailToWrite(kTemporaryPath);
    if (CloseTransientFile(file) != 0)
        FailToWrite(kTemporaryPath);
    // Not durable_rename, which opens the old file: it may be unreadable.
    if (rename(kTemporaryPath, kMarkPath) != 0)
        FailToWrite(kMarkPath);
}

void SyncMarkDirectory()
{
    fsync_fname_ext(".", true, false, ERROR);
}

} // namespace timeshard::pg
