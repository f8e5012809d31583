// Preloaded into a server, answers fstat() on a file whose name ends in ".keys" with the
// owner and mode that OWNER and MODE in FILE.status say, if that is there: a test that is
// not root cannot give a file to another user.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int fstat(int file, struct stat *status)
{
    static int (*next)(int, struct stat *);
    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "fstat");
    const int result = next(file, status);

    char link[64], path[1024];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    const ssize_t size = readlink(link, path, sizeof path - 16);
    if (result != 0 || size < 5 || memcmp(path + size - 5, ".keys", 5) != 0)
        return result;
    strcpy(path + size, ".status");
    FILE *const told = fopen(path, "r");
    if (!told)
        return result;
    unsigned owner, mode;
    if (fscanf(told, "%u %o", &owner, &mode) == 2) {
        status->st_uid = owner;
        status->st_mode = (status->st_mode & S_IFMT) | mode;
    }
    fclose(told);
    return result;
}
