#include "mark.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "postgres.hpp"
#include "wait_events.hpp"

namespace timeshard {
namespace {

// Relative to the data directory, the current one of every server process.
constexpr char kMarkPath[] = "timeshard.mark";
constexpr char kTemporaryPath[] = "timeshard.mark.tmp";

std::uint32_t Checksum(const MarkRecord &record, std::size_t size)
{
    pg_crc32c crc;
    INIT_CRC32C(crc);
    COMP_CRC32C(crc, &record, size);
    FIN_CRC32C(crc);
    return crc;
}

/// The record in a slot of the file's contents, null if it is not sound. One of version
/// 1 is of no known run.
const MarkRecord *SoundRecord(const char *contents, std::size_t size, std::size_t slot,
                              MarkRecord *record, std::uint32_t *newer_version)
{
    if (size < slot + sizeof(*record))
        return nullptr;
    std::memcpy(record, contents + slot, sizeof(*record));
    if (record->magic == kMarkMagic && record->version > kMarkVersion)
        *newer_version = record->version;
    const bool first = record->version == 1;
    std::uint32_t checksum = record->checksum;
    if (first)
        std::memcpy(&checksum, contents + slot + kMarkChecksumOf1, sizeof(checksum));
    if (checksum != Checksum(*record, first ? kMarkChecksumOf1 : offsetof(MarkRecord, checksum)))
        return nullptr;
    if (first)
        ForgetRun(*record);
    return IsSound(*record) ? record : nullptr;
}

void Judge(const char *contents, std::size_t size, std::uint64_t inode, MarkReading *reading)
{
    MarkRecord records[2];
    std::uint32_t newer_version = 0;
    const MarkRecord *first = SoundRecord(contents, size, 0, &records[0], &newer_version);
    const MarkRecord *second =
        SoundRecord(contents, size, kMarkSlotSize, &records[1], &newer_version);
    const MarkRecord *newest = Newer(first, second);
    if (newest != nullptr && newer_version == 0) {
        reading->settled = first != nullptr && second != nullptr &&
                           std::memcmp(first, second, sizeof(*first)) == 0;
        reading->state = MarkState::kSound;
        reading->record = *newest;
        reading->same_file = newest->inode == inode;
        return;
    }
    reading->newer = newer_version != 0;
    if (reading->newer)
        snprintf(reading->trouble, sizeof(reading->trouble),
                 "The file has version %u, and this library reads versions up to %u.",
                 newer_version, kMarkVersion);
    else
        strlcpy(reading->trouble, "Neither of its two records is sound.", sizeof(reading->trouble));
}

/// Opens a file; the caller closes it. Not by PostgreSQL's functions, which raise an
/// error in a session that has many files open.
int Open(const char *path, int flags)
{
    return open(path, flags | PG_BINARY | O_CLOEXEC, pg_file_create_mode);
}

MarkResult FileFailure(const char *path, MarkFailure failure = MarkFailure::kWrite)
{
    MarkResult result;
    result.failure = failure;
    result.error = errno != 0 ? errno : ENOSPC; // a short write that says no more
    result.file = path;
    return result;
}

int Sync(int file, int (*sync)(int))
{
    pgstat_report_wait_start(MarkWaitEvent());
    const int result = sync(file);
    pgstat_report_wait_end();
    return result;
}

bool Write(int file, const void *bytes, std::size_t size, std::size_t position)
{
    errno = 0;
    return pg_pwrite(file, bytes, size, static_cast<off_t>(position)) == static_cast<ssize_t>(size);
}

MarkRecord Sealed(MarkRecord record, int file)
{
    struct stat status;
    if (record.inode == 0 && fstat(file, &status) == 0)
        record.inode = status.st_ino;
    record.magic = kMarkMagic;
    record.version = kMarkVersion;
    record.checksum = Checksum(record, offsetof(MarkRecord, checksum));
    return record;
}

/// Makes the file with the record in both slots, in place of any that there is. Every
/// byte is written, so that no later write needs space on the disk. Not by
/// durable_rename, which opens the old file: that may be unreadable.
MarkResult Create(MarkRecord record)
{
    const int file = Open(kTemporaryPath, O_RDWR | O_CREAT | O_TRUNC);
    if (file < 0)
        return FileFailure(kTemporaryPath);

    char contents[kMarkSize] = {};
    record.inode = 0;
    record = Sealed(record, file);
    std::memcpy(contents, &record, sizeof(record));
    std::memcpy(contents + kMarkSlotSize, &record, sizeof(record));
    MarkResult result;
    if (!Write(file, contents, sizeof(contents), 0) || Sync(file, pg_fsync) != 0)
        result = FileFailure(kTemporaryPath);
    if (close(file) != 0 && result.Ok())
        result = FileFailure(kTemporaryPath);
    if (result.Ok() && rename(kTemporaryPath, kMarkPath) != 0)
        result = FileFailure(kMarkPath);
    return result;
}

/// Syncs the directory that holds the file's name, which is "." here.
MarkResult SyncName()
{
    // What PostgreSQL's fsync_fname() forgives: systems that open or sync no directory.
    const int directory = open(".", O_RDONLY | O_CLOEXEC);
    if (directory < 0)
        return errno == EISDIR || errno == EACCES ? MarkResult{}
                                                  : FileFailure(".", MarkFailure::kSync);
    MarkResult result;
    if (Sync(directory, pg_fsync) != 0 && errno != EBADF && errno != EINVAL)
        result = FileFailure(".", MarkFailure::kSync);
    close(directory);
    return result;
}

} // namespace

MarkReading ReadMark()
{
    MarkReading reading{};
    char contents[kMarkSize];
    struct stat status;

    const int file = Open(kMarkPath, O_RDONLY);
    if (file < 0 && errno == ENOENT) {
        reading.state = MarkState::kMissing;
        return reading;
    }
    reading.state = MarkState::kDamaged;
    const ssize_t size = file < 0 ? -1 : pg_pread(file, contents, sizeof(contents), 0);
    if (size < 0 || fstat(file, &status) != 0)
        snprintf(reading.trouble, sizeof(reading.trouble), "It could not be read: %s.",
                 strerror(errno));
    else
        Judge(contents, static_cast<std::size_t>(size), status.st_ino, &reading);
    if (file >= 0)
        close(file);
    return reading;
}

MarkResult Mark::Commit(MarkRecord record, bool anew)
{
    MarkResult result;
    if (!PostmasterIsAlive()) {
        result.failure = MarkFailure::kOrphan;
        return result;
    }
    const int file = anew ? -1 : Open(kMarkPath, O_RDWR);
    const bool create = anew || (file < 0 && errno == ENOENT);
    if (file < 0 && !create)
        return FileFailure(kMarkPath);

    if (create) {
        named = 0;
        result = Create(record);
    } else {
        record = Sealed(record, file);
        if (!Write(file, &record, sizeof(record), MarkSlotOf(record.generation)) ||
            Sync(file, pg_fdatasync) != 0)
            result = FileFailure(kMarkPath);
    }
    if (result.Ok() && named == 0) {
        result = SyncName();
        named = result.Ok() ? 1 : 0;
    }
    // The copy may fail: the next commit starts with that slot.
    if (result.Ok() && !create)
        (void)Write(file, &record, sizeof(record), MarkSlotOf(record.generation + 1));
    if (file >= 0)
        close(file);
    return result;
}

MarkResult Mark::CommitNext(MarkRecord record)
{
    record.generation = generation + 1;
    const MarkResult result = Commit(record);
    if (result.Ok()) {
        generation = record.generation;
        end = record.end;
        window_ms = record.window_ms;
    }
    return result;
}

MarkResult DamageOf(const MarkReading &reading)
{
    MarkResult result;
    result.failure = reading.newer ? MarkFailure::kNewer : MarkFailure::kDamaged;
    strlcpy(result.trouble, reading.trouble, sizeof(result.trouble));
    return result;
}

void RaiseMarkError(const MarkResult &result)
{
    if (result.failure == MarkFailure::kOrphan)
        ereport(FATAL, (errcode(ERRCODE_ADMIN_SHUTDOWN),
                        errmsg("terminating connection because the postmaster is gone")));
    if (result.failure == MarkFailure::kNewer)
        ereport(
            ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("file \"%s\" was written by a newer version of timeshard", kMarkPath),
             errdetail("%s It records how far earlier runs of this server may have issued IDs.",
                       result.trouble),
             errhint("Install that version of timeshard or a later one, and restart the server.")));
    if (result.failure != MarkFailure::kDamaged) {
        errno = result.error;
        ereport(ERROR,
                (errcode_for_file_access(),
                 result.failure == MarkFailure::kSync
                     ? errmsg("could not fsync file \"%s\": %m", result.file)
                     : errmsg("could not write file \"%s\": %m", result.file),
                 errdetail("No ID was issued, because it could have been issued again after a "
                           "crash. The next call tries again.")));
    }
    ereport(
        ERROR,
        (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
         errmsg("file \"%s\" is damaged", kMarkPath),
         errdetail("%s It records how far earlier runs of this server may have issued IDs.",
                   result.trouble),
         errhint("Restore the file, or have a superuser run SELECT timeshard_raise_floor(id) with "
                 "the largest ID that this server has issued. See \"A damaged mark\" "
                 "in " TIMESHARD_MANUAL "doc/operations.md.")));
    pg_unreachable();
}

} // namespace timeshard
