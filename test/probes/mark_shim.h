// What mark_shim.c does about a call: the orders in the control file, the notes of
// stopped processes, the log and the journal.
#pragma once
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum File { kOther, kMark, kTmp, kDir };
static const char *const file_names[] = {"-", "mark", "tmp", "dir"};

// What each descriptor of this process is. A fork copies it with the descriptors.
static unsigned char file_of[65536];

struct Orders
{
    long slow_ms, short_bytes;
    int error;
    bool stop_before, stop_after, kill_before, kill_after, log, record;
};

static enum File FileOf(int fd)
{
    return fd >= 0 && fd < (int)sizeof file_of ? (enum File)file_of[fd] : kOther;
}

static bool EndsWith(const char *text, const char *end)
{
    const size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

static enum File Classify(const char *path)
{
    if (path == NULL || getenv("MARK_SHIM_CONTROL") == NULL)
        return kOther;
    return EndsWith(path, "timeshard.mark")       ? kMark
           : EndsWith(path, "timeshard.mark.tmp") ? kTmp
                                                  : kOther;
}

static const char *Path(char *buffer, size_t size, const char *name)
{
    snprintf(buffer, size, "%s/%s", getenv("MARK_SHIM_CONTROL"), name);
    return buffer;
}

static int OpenOurs(const char *name, int flags)
{
    char path[1024];
    return (int)syscall(SYS_openat, AT_FDCWD, Path(path, sizeof path, name), flags | O_CLOEXEC,
                        0600);
}

// The lock is gone with the descriptor, so a process that is killed frees it.
static int Lock(void)
{
    const int lock = OpenOurs("lock", O_RDWR | O_CREAT);
    while (lock >= 0 && syscall(SYS_flock, lock, LOCK_EX) != 0 && errno == EINTR)
        ;
    return lock;
}

static void Append(const char *name, const char *text, size_t size, const void *data, size_t more)
{
    const int out = OpenOurs(name, O_WRONLY | O_CREAT | O_APPEND);
    const struct iovec parts[] = {{(void *)text, size}, {(void *)data, more}};
    if (out < 0 || syscall(SYS_writev, out, parts, more > 0 ? 2 : 1) < 0)
        abort(); // a journal with a hole would prove anything
    syscall(SYS_close, out);
}

static int ErrorNumber(const char *name)
{
    static const struct
    {
        const char *name;
        int number;
    } known[] = {{"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EROFS", EROFS}, {"EACCES", EACCES}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i].name, name) == 0)
            return known[i].number;
    return EINVAL;
}

// Takes one line of the control file into the orders for this call. Returns
// whether the line stays, in line as it is to stand from now on.
static bool TakeLine(char *line, size_t size, const char *call, enum File file,
                     struct Orders *orders)
{
    char verb[16] = "", target[64] = "", argument[32] = "", how[16] = "";
    sscanf(line, "%15s %63s %31s %15s", verb, target, argument, how);
    orders->log |= strcmp(verb, "log") == 0;
    orders->record |= strcmp(verb, "record") == 0;

    char *number = strchr(target, '#');
    if (number != NULL)
        *number++ = '\0';
    char *of = strchr(target, '@');
    if (of != NULL)
        *of++ = '\0';
    if (strcmp(target, call) != 0 || (of != NULL && strcmp(of, file_names[file]) != 0))
        return true;
    if (number != NULL && atol(number) > 1) {
        snprintf(line, size, "%s %s%s%s#%ld %s %s", verb, target, of ? "@" : "", of ? of : "",
                 atol(number) - 1, argument, how);
        return true;
    }
    const bool before = strcmp(argument, "before") == 0;
    if (strcmp(verb, "slow") == 0)
        orders->slow_ms = atol(argument);
    else if (strcmp(verb, "fail") == 0)
        orders->error = ErrorNumber(argument);
    else if (strcmp(verb, "short") == 0)
        orders->short_bytes = atol(argument);
    else if (strcmp(verb, "stop") == 0)
        *(before ? &orders->stop_before : &orders->stop_after) = true;
    else if (strcmp(verb, "kill") == 0)
        *(before ? &orders->kill_before : &orders->kill_after) = true;
    return strcmp(verb, "stop") != 0 && strcmp(verb, "kill") != 0 && strcmp(how, "once") != 0;
}

// Under the lock, so that what is to happen once happens once in the server.
static void ReadControl(const char *call, enum File file, struct Orders *orders)
{
    char old[8192], new[sizeof old + 256], path[1024], new_path[1024];
    const int lock = Lock();
    const int control = OpenOurs("control", O_RDONLY);
    const long size = control < 0 ? 0 : syscall(SYS_read, control, old, sizeof old - 1);
    if (control >= 0)
        syscall(SYS_close, control);
    old[size > 0 ? size : 0] = '\0';

    size_t at = 0;
    bool changed = false;
    char *rest = old;
    for (char *line; (line = strsep(&rest, "\n")) != NULL && *line != '\0';) {
        char copy[200];
        snprintf(copy, sizeof copy, "%s", line);
        const bool stays = TakeLine(copy, sizeof copy, call, file, orders);
        changed |= !stays || strcmp(copy, line) != 0;
        if (stays && at < sizeof new)
            at += (size_t)snprintf(new + at, sizeof new - at, "%s\n", copy);
    }
    if (changed) {
        const int out = OpenOurs("control.new", O_WRONLY | O_CREAT | O_TRUNC);
        if (out < 0 || syscall(SYS_write, out, new, at) != (long)at)
            abort();
        syscall(SYS_close, out);
        syscall(SYS_renameat, AT_FDCWD, Path(new_path, sizeof new_path, "control.new"), AT_FDCWD,
                Path(path, sizeof path, "control"));
    }
    syscall(SYS_close, lock);
}

static double Now(void)
{
    struct timespec now;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

// As a slow disk does, whatever signal comes.
static void SleepMs(long ms)
{
    struct timespec left = {ms / 1000, ms % 1000 * 1000000};
    while (syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &left, &left) != 0)
        ;
}

// Leaves a note first; the test takes it up when the process has stopped.
static void Stop(const char *call, enum File file, const char *where)
{
    char name[40], text[100];
    snprintf(name, sizeof name, "stopped.%d", (int)getpid());
    Append(name, text,
           (size_t)snprintf(text, sizeof text, "%s %s %s\n", call, file_names[file], where), NULL,
           0);
    kill(getpid(), SIGSTOP);
}

static struct Orders Begin(const char *call, enum File file)
{
    struct Orders orders = {.short_bytes = -1};
    ReadControl(call, file, &orders);
    if (orders.slow_ms > 0)
        SleepMs(orders.slow_ms);
    if (orders.stop_before)
        Stop(call, file, "before");
    if (orders.kill_before)
        kill(getpid(), SIGKILL);
    errno = orders.error;
    return orders;
}

static long End(const struct Orders *orders, const char *call, enum File file, long result,
                long offset, long size)
{
    const int error = errno;
    if (orders->log) {
        char text[200];
        Append("log", text,
               (size_t)snprintf(text, sizeof text, "%.6f %d %s %s %ld %ld %ld %d\n", Now(),
                                (int)getpid(), call, file_names[file], offset, size, result,
                                result < 0 ? error : 0),
               NULL, 0);
    }
    if (orders->stop_after)
        Stop(call, file, "after");
    if (orders->kill_after)
        kill(getpid(), SIGKILL);
    errno = error;
    return result;
}

// The journal: a line for each thing that changes the files, with the data.
__attribute__((format(printf, 3, 4))) static void Record(const void *data, size_t size,
                                                         const char *format, ...)
{
    const int error = errno;
    char text[200];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const int lock = Lock();
    Append("journal", text, (size_t)length, data, size);
    syscall(SYS_close, lock);
    errno = error;
}

static bool Status(int directory, const char *path, struct stat *status)
{
    return syscall(SYS_newfstatat, directory, path, status, *path == '\0' ? AT_EMPTY_PATH : 0) == 0;
}

static unsigned long Inode(int fd)
{
    struct stat status = {0};
    Status(fd, "", &status);
    return status.st_ino;
}

// A file that is replaced is kept by a second name, to be put back as it is.
static void Keep(const char *path, unsigned long inode)
{
    const int error = errno;
    char kept[1024], name[40];
    snprintf(name, sizeof name, "inode.%lu", inode);
    syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, Path(kept, sizeof kept, name), 0);
    errno = error;
}
