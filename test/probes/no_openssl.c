// Preloaded into a server, hides OpenSSL's ciphers from dlsym(), as on a server that was
// built without it. The rest of OpenSSL stays, since this server needs it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>

void *dlsym(void *restrict handle, const char *restrict name)
{
    static void *(*next)(void *, const char *);
    if (!next)
        *(void **)&next = dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.34");
    if (!next)
        *(void **)&next = dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.2.5");
    return strncmp(name, "EVP_", 4) == 0 ? NULL : next(handle, name);
}
