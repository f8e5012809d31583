// Preloaded into a server, stands between it and the files timeshard.mark and
// timeshard.mark.tmp alone: makes their calls slow, fail, stop or die, logs
// them, and keeps a journal from which the state after a power loss is worked
// out. What to do stands in the file `control` of the folder MARK_SHIM_CONTROL,
// looked at on every call; MARK_SHIM_DATA is the data directory. MarkShim.pm
// says what the lines mean. For 64-bit Linux: the calls themselves are made
// directly, so that nothing here depends on what else is preloaded.
#include "mark_shim.h"

static int Open(int directory, const char *path, int flags, mode_t mode)
{
    const enum File file = Classify(path);
    if (file == kOther) {
        const int fd = (int)syscall(SYS_openat, directory, path, flags, mode);
        if (FileOf(fd) != kOther)
            file_of[fd] = kOther;
        return fd;
    }
    const struct Orders orders = Begin("open", file);
    const bool was_there = syscall(SYS_faccessat, directory, path, F_OK) == 0;
    errno = orders.error;
    const int fd = orders.error ? -1 : (int)syscall(SYS_openat, directory, path, flags, mode);
    if (fd >= 0 && fd < (int)sizeof file_of)
        file_of[fd] = (unsigned char)file;
    if (fd >= 0 && orders.record) {
        Keep(path, Inode(fd));
        if (!was_there)
            Record(NULL, 0, "C %lu %s\n", Inode(fd), file_names[file]);
        else if (flags & O_TRUNC)
            Record(NULL, 0, "Z %lu 0\n", Inode(fd));
    }
    return (int)End(&orders, "open", file, fd, 0, flags & O_TRUNC ? 1 : 0);
}

static mode_t Mode(int flags, va_list arguments)
{
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
}

#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        va_list arguments;                                                                         \
        va_start(arguments, flags);                                                                \
        const mode_t mode = Mode(flags, arguments);                                                \
        va_end(arguments);                                                                         \
        return Open(AT_FDCWD, path, flags, mode);                                                  \
    }
OPEN(open)
OPEN(open64)
// What _FORTIFY_SOURCE makes of a call without a mode.
OPEN(__open_2)
OPEN(__open64_2)

#define OPENAT(name)                                                                               \
    int name(int directory, const char *path, int flags, ...)                                      \
    {                                                                                              \
        va_list arguments;                                                                         \
        va_start(arguments, flags);                                                                \
        const mode_t mode = Mode(flags, arguments);                                                \
        va_end(arguments);                                                                         \
        return Open(directory, path, flags, mode);                                                 \
    }
OPENAT(openat)
OPENAT(openat64)

int creat(const char *path, mode_t mode)
{
    return Open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

int close(int fd)
{
    const enum File file = FileOf(fd);
    if (file == kOther)
        return (int)syscall(SYS_close, fd);
    const struct Orders orders = Begin("close", file);
    file_of[fd] = kOther;
    int result = (int)syscall(SYS_close, fd);
    if (orders.error)
        errno = orders.error, result = -1;
    return (int)End(&orders, "close", file, result, 0, 0);
}

static long Write(int fd, const struct iovec *parts, int count, long offset)
{
    const enum File file = FileOf(fd);
    if (file == kOther)
        return offset < 0 ? syscall(SYS_writev, fd, parts, count)
                          : syscall(SYS_pwritev, fd, parts, count, offset, 0L);
    char data[65536];
    size_t size = 0;
    for (int i = 0; i < count; i++) {
        if (size + parts[i].iov_len > sizeof data)
            abort();
        memcpy(data + size, parts[i].iov_base, parts[i].iov_len);
        size += parts[i].iov_len;
    }
    const struct Orders orders = Begin("write", file);
    size_t told = size;
    if (orders.short_bytes >= 0 && (size_t)orders.short_bytes < size)
        told = (size_t)orders.short_bytes;
    const long at = offset < 0 ? syscall(SYS_lseek, fd, 0L, SEEK_CUR) : offset;
    errno = orders.error;
    long result = orders.error ? -1 : syscall(SYS_pwrite64, fd, data, told, at);
    if (result > 0 && offset < 0)
        syscall(SYS_lseek, fd, at + result, SEEK_SET);
    if (result > 0 && orders.record)
        Record(data, (size_t)result, "W %lu %ld %ld\n", Inode(fd), at, result);
    return End(&orders, "write", file, result, at, (long)size);
}

ssize_t write(int fd, const void *data, size_t size)
{
    if (FileOf(fd) == kOther)
        return syscall(SYS_write, fd, data, size);
    const struct iovec part = {(void *)data, size};
    return Write(fd, &part, 1, -1);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
    if (FileOf(fd) == kOther)
        return syscall(SYS_pwrite64, fd, data, size, offset);
    const struct iovec part = {(void *)data, size};
    return Write(fd, &part, 1, offset);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return pwrite64(fd, data, size, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return Write(fd, parts, count, -1);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset)
{
    return Write(fd, parts, count, offset);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    return Write(fd, parts, count, offset);
}

static long Read(int fd, void *data, size_t size, long offset)
{
    const enum File file = FileOf(fd);
    struct Orders orders = {0};
    if (file != kOther)
        orders = Begin("read", file);
    const long result = orders.error ? -1
                        : offset < 0 ? syscall(SYS_read, fd, data, size)
                                     : syscall(SYS_pread64, fd, data, size, offset);
    return file == kOther ? result : End(&orders, "read", file, result, offset, (long)size);
}

ssize_t read(int fd, void *data, size_t size)
{
    return Read(fd, data, size, -1);
}
ssize_t pread64(int fd, void *data, size_t size, off64_t at)
{
    return Read(fd, data, size, at);
}
ssize_t pread(int fd, void *data, size_t size, off_t at)
{
    return Read(fd, data, size, at);
}

static bool IsDataDirectory(int fd)
{
    struct stat one, other;
    const char *directory = getenv("MARK_SHIM_DATA");
    return directory != NULL && getenv("MARK_SHIM_CONTROL") != NULL && Status(fd, "", &one) &&
           S_ISDIR(one.st_mode) && Status(AT_FDCWD, directory, &other) &&
           one.st_ino == other.st_ino && one.st_dev == other.st_dev;
}

static int Sync(int fd, const char *call, long number)
{
    enum File file = FileOf(fd);
    if (file == kOther && IsDataDirectory(fd))
        file = kDir, call = "fsyncdir";
    if (file == kOther)
        return (int)syscall(number, fd);
    const struct Orders orders = Begin(call, file);
    const int result = orders.error ? -1 : (int)syscall(number, fd);
    if (orders.record && (file != kDir || result == 0))
        Record(NULL, 0, "%c %lu\n", file == kDir ? 'D' : result == 0 ? 'S' : 'F', Inode(fd));
    return (int)End(&orders, call, file, result, 0, 0);
}

int fsync(int fd)
{
    return Sync(fd, "fsync", SYS_fsync);
}
int fdatasync(int fd)
{
    return Sync(fd, "fdatasync", SYS_fdatasync);
}

static int Truncate(int fd, long size)
{
    const enum File file = FileOf(fd);
    if (file == kOther)
        return (int)syscall(SYS_ftruncate, fd, size);
    const struct Orders orders = Begin("truncate", file);
    const int result = orders.error ? -1 : (int)syscall(SYS_ftruncate, fd, size);
    if (orders.record && result == 0)
        Record(NULL, 0, "Z %lu %ld\n", Inode(fd), size);
    return (int)End(&orders, "truncate", file, result, 0, size);
}

int ftruncate(int fd, off_t size)
{
    return Truncate(fd, size);
}
int ftruncate64(int fd, off64_t size)
{
    return Truncate(fd, size);
}

int rename(const char *from, const char *to)
{
    const enum File file = Classify(from), becomes = Classify(to);
    if (file == kOther && becomes == kOther)
        return (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
    const struct Orders orders = Begin("rename", file);
    const int result = orders.error ? -1 : (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
    struct stat status = {0};
    if (orders.record && result == 0 && Status(AT_FDCWD, to, &status))
        Record(NULL, 0, "M %lu %s %s\n", (unsigned long)status.st_ino, file_names[file],
               file_names[becomes]);
    return (int)End(&orders, "rename", file, result, 0, 0);
}

int unlink(const char *path)
{
    const enum File file = Classify(path);
    if (file == kOther)
        return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    const struct Orders orders = Begin("unlink", file);
    const int result = orders.error ? -1 : (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (orders.record && result == 0)
        Record(NULL, 0, "U %s\n", file_names[file]);
    return (int)End(&orders, "unlink", file, result, 0, 0);
}
