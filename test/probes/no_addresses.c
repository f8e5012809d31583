/* Preloaded into a server: its machine's addresses cannot be listed. */
#include <errno.h>
#include <ifaddrs.h>

int getifaddrs(struct ifaddrs **addresses)
{
    (void)addresses;
    errno = EAFNOSUPPORT;
    return -1;
}
