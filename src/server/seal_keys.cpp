#include "../core/seal_key_file.hpp"

#include "seal_keys.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compat.hpp"
#include "settings.hpp"

namespace timeshard {
namespace {

static_assert(kAesKeyBytes == kSealKeyBytes);

/// This session's keys. They are those of the file as the session found it after the
/// server's last reload that it has noticed.
struct KeyRing
{
    bool loaded = false;
    TimestampTz reload_time;
    std::size_t count = 0;
    LiveSealKey keys[kMaxSealKeys];
};

KeyRing ring;

[[noreturn]] void RaiseAccessError(const char *path, const char *action)
{
    ereport(ERROR,
            (errcode_for_file_access(), errmsg("could not %s key file \"%s\": %m", action, path)));
    pg_unreachable();
}

/// As PostgreSQL checks its own key files (be-secure-common.c,
/// check_ssl_key_file_permissions): owned by the server's user and closed to all others,
/// or owned by root and at most readable for a group.
void CheckOwnerAndMode(const char *path, const struct stat &status)
{
    if (!S_ISREG(status.st_mode))
        ereport(ERROR, (errcode(ERRCODE_CONFIG_FILE_ERROR),
                        errmsg("key file \"%s\" is not a regular file", path)));
    if (status.st_uid != geteuid() && status.st_uid != 0)
        ereport(ERROR,
                (errcode(ERRCODE_CONFIG_FILE_ERROR),
                 errmsg("key file \"%s\" must be owned by the database user or root", path)));
    const mode_t forbidden =
        status.st_uid == geteuid() ? S_IRWXG | S_IRWXO : S_IWGRP | S_IXGRP | S_IRWXO;
    if ((status.st_mode & forbidden) != 0)
        ereport(ERROR,
                (errcode(ERRCODE_CONFIG_FILE_ERROR),
                 errmsg("key file \"%s\" has group or world access", path),
                 errdetail("File must have permissions u=rw (0600) or less if owned by the "
                           "database user, or permissions u=rw,g=r (0640) or less if owned by "
                           "root.")));
}

/// Reads at most `size` bytes and returns how many; negative with errno set on an error.
ssize_t ReadAll(int file, char *buffer, std::size_t size)
{
    std::size_t filled = 0;
    while (filled < size) {
        const ssize_t count = read(file, buffer + filled, size - filled);
        if (count == 0)
            break;
        if (count < 0 && errno != EINTR)
            return -1;
        filled += static_cast<std::size_t>(count > 0 ? count : 0);
    }
    return static_cast<ssize_t>(filled);
}

/// Reads and parses the file. What is checked is the file that was opened, and a FIFO,
/// which could keep the session waiting, is opened without waiting and then refused.
void ReadKeyFile(const char *path, SealKeyFile *keys)
{
    const int file = OpenTransientFile(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (file < 0)
        RaiseAccessError(path, "open");
    struct stat status;
    if (fstat(file, &status) != 0)
        RaiseAccessError(path, "stat");
    CheckOwnerAndMode(path, status);

    char content[kMaxSealKeyFile + 1];
    const ssize_t size = ReadAll(file, content, sizeof(content));
    if (size > 0 && static_cast<std::size_t>(size) <= kMaxSealKeyFile)
        ParseSealKeyFile({content, static_cast<std::size_t>(size)}, keys);
    explicit_bzero(content, sizeof(content));
    if (size < 0)
        RaiseAccessError(path, "read");
    CloseTransientFile(file);

    if (size == 0)
        keys->error = SealKeyFileError::kEmpty;
    if (static_cast<std::size_t>(size) > kMaxSealKeyFile)
        ereport(ERROR,
                (errcode(ERRCODE_CONFIG_FILE_ERROR), errmsg("key file \"%s\" is too large", path),
                 errdetail("It can have at most %zu bytes.", kMaxSealKeyFile),
                 errhint("See \"Set up\" in " TIMESHARD_MANUAL "doc/public-codes.md.")));
}

/// Raises the error of a file that is none of keys. The line's number is all that is told
/// of its content.
void CheckForm(const char *path, const SealKeyFile &keys)
{
    if (keys.error == SealKeyFileError::kNone)
        return;
    ereport(ERROR,
            (errcode(ERRCODE_CONFIG_FILE_ERROR), errmsg("invalid key file \"%s\"", path),
             keys.error == SealKeyFileError::kEmpty ? errdetail("It has no key.")
             : keys.error == SealKeyFileError::kRepeated
                 ? errdetail("The key in line %d has the number of an earlier one.", keys.line)
                 : errdetail("Line %d is not a key's number from 0 to 3, a space and 64 "
                             "hexadecimal digits.",
                             keys.line),
             errhint("See \"Set up\" in " TIMESHARD_MANUAL "doc/public-codes.md.")));
}

/// Makes the session's keys of the file's.
bool SetKeys(const SealKeyFile &keys)
{
    for (std::size_t i = 0; i < keys.count; i++) {
        ring.keys[i].number = keys.keys[i].number;
        if (!ring.keys[i].cipher.Set(keys.keys[i].bytes))
            return false;
    }
    ring.count = keys.count;
    return true;
}

void Load()
{
    CheckAesIsAvailable();
    ring.loaded = false;
    for (LiveSealKey &key : ring.keys)
        key.cipher.End();

    const char *const path = SealKeyFilePath();
    if (path[0] == '\0')
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("no key file for public codes is configured"),
                        errhint("Set timeshard.seal_key_file in the server's configuration; see "
                                "\"Set up\" in " TIMESHARD_MANUAL "doc/public-codes.md.")));
    const TimestampTz reload_time = PgReloadTime;
    SealKeyFile keys;
    ReadKeyFile(path, &keys);
    const bool set = keys.error == SealKeyFileError::kNone && SetKeys(keys);
    explicit_bzero(keys.keys, sizeof(keys.keys));
    CheckForm(path, keys);
    if (!set)
        ereport(ERROR, (errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
                        errmsg("OpenSSL could not run AES-256")));
    ring.reload_time = reload_time;
    ring.loaded = true;
}

/// PostgreSQL notes in every process when it has last reloaded the configuration.
void LoadIfNeeded()
{
    if (!ring.loaded || ring.reload_time != PgReloadTime)
        Load();
}

} // namespace

const LiveSealKey &CurrentSealKey()
{
    LoadIfNeeded();
    return ring.keys[0];
}

const LiveSealKey *FindSealKey(unsigned number)
{
    LoadIfNeeded();
    for (std::size_t i = 0; i < ring.count; i++)
        if (ring.keys[i].number == number)
            return &ring.keys[i];
    return nullptr;
}

} // namespace timeshard
