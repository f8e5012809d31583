/* Preloaded into a server: its machine has the loopback address and that of the
 * environment variable ONE_ADDRESS, an IPv4 address, or no more if it is empty. */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>

static struct sockaddr_in sockets[2];
static struct ifaddrs entries[2];

static void fill(int index, char *interface, unsigned flags, const char *address)
{
    sockets[index].sin_family = AF_INET;
    if (inet_pton(AF_INET, address, &sockets[index].sin_addr) != 1)
        abort();
    entries[index].ifa_name = interface;
    entries[index].ifa_flags = flags;
    entries[index].ifa_addr = (struct sockaddr *)&sockets[index];
}

int getifaddrs(struct ifaddrs **addresses)
{
    const char *address = getenv("ONE_ADDRESS");
    fill(0, "lo", IFF_UP | IFF_LOOPBACK, "127.0.0.1");
    entries[0].ifa_next = NULL;
    if (address != NULL && *address != '\0') {
        fill(1, "one0", IFF_UP, address);
        entries[0].ifa_next = &entries[1];
    }
    *addresses = entries;
    return 0;
}

void freeifaddrs(struct ifaddrs *addresses)
{
    (void)addresses;
}
