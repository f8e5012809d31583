#include "identity.hpp"

#include "../core/layout.hpp"
#include "../core/node_address.hpp"

#include <arpa/inet.h>
#include <cstring>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string_view>
#include <sys/socket.h>

#include "postgres.hpp"
#include "settings.hpp"

namespace timeshard {
namespace {

/// Finds the interface of the preferred default route; empty if there is none,
/// or on a system without /proc/net/route.
void FindDefaultInterface(char (&name)[IF_NAMESIZE])
{
    char line[512];
    std::uint32_t best_metric = 0;

    name[0] = '\0';
    FILE *routes = AllocateFile("/proc/net/route", "r");
    if (routes == nullptr)
        return;
    while (fgets(line, sizeof(line), routes) != nullptr) {
        const auto route = ParseRouteLine(line);
        if (!route || (name[0] != '\0' && route->metric >= best_metric))
            continue;
        best_metric = route->metric;
        strlcpy(name, route->interface.data(), Min(route->interface.size() + 1, sizeof(name)));
    }
    FreeFile(routes);
}

void ConsiderInterface(NodeAddressChooser &chooser, const ifaddrs &entry)
{
    if (entry.ifa_addr == nullptr)
        return;
    HostAddress address{};
    address.interface = entry.ifa_name;
    address.usable = (entry.ifa_flags & IFF_UP) != 0 && (entry.ifa_flags & IFF_LOOPBACK) == 0;
    if (entry.ifa_addr->sa_family == AF_INET) {
        const auto *ipv4 = reinterpret_cast<const sockaddr_in *>(entry.ifa_addr);
        std::memcpy(address.bytes.data(), &ipv4->sin_addr, 4);
    } else if (entry.ifa_addr->sa_family == AF_INET6) {
        const auto *ipv6 = reinterpret_cast<const sockaddr_in6 *>(entry.ifa_addr);
        std::memcpy(address.bytes.data(), &ipv6->sin6_addr, 16);
        address.is_ipv6 = true;
    } else {
        return;
    }
    chooser.Consider(address);
}

/// Fills in the node ID that the machine's address gives.
void DeriveNodeId(Identity &identity)
{
    char default_interface[IF_NAMESIZE];
    FindDefaultInterface(default_interface);

    NodeAddressChooser chooser(default_interface);
    ifaddrs *addresses = nullptr;
    if (getifaddrs(&addresses) != 0)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("could not list the machine's addresses: %m"),
                        errdetail("No node ID is configured, so one would be derived from them."),
                        errhint("Set timeshard.node_id to a number that no other server has, and "
                                "restart the server.")));
    for (const ifaddrs *entry = addresses; entry != nullptr; entry = entry->ifa_next)
        ConsiderInterface(chooser, *entry);
    freeifaddrs(addresses);

    identity.node_id = chooser.NodeId(identity.node_id_bits);
    identity.node_id_source = NodeIdSource::kNone;
    if (!chooser.Found())
        return;
    identity.node_id_source = NodeIdSource::kAddress;
    inet_ntop(chooser.IsIpv6() ? AF_INET6 : AF_INET, chooser.Bytes().data(), identity.node_address,
              sizeof(identity.node_address));
}

/// Says that the derived number may be another server's. Not the address: it tells where
/// in the network the server is, and any role can be the first to take an ID.
void WarnOfDerivation(const Identity &identity)
{
    in_addr address;
    std::string_view network;
    if (inet_pton(AF_INET, identity.node_address, &address) == 1)
        network = SharedNetwork(ntohl(address.s_addr));

    // A name ends where its string does.
    ereport(
        WARNING,
        (errmsg("timeshard's node ID %d is derived from the machine's address", identity.node_id),
         network.empty()
             ? errdetail("Every other server on this machine derives the same number, and "
                         "servers elsewhere can. Two servers with one number issue the same "
                         "IDs.")
             : errdetail("Every other server on this machine derives the same number, and "
                         "servers elsewhere can. Two servers with one number issue the same "
                         "IDs. The address is in %s, a network that every host has, with the "
                         "same addresses.",
                         network.data()),
         errhint("If no other server has the number %d, put \"timeshard.node_id = %d\" into "
                 "the server's configuration, otherwise another number. Restart the server.",
                 identity.node_id, identity.node_id)));
}

} // namespace

const char *NodeIdSourceName(NodeIdSource source)
{
    switch (source) {
    case NodeIdSource::kConfiguration:
        return "configuration";
    case NodeIdSource::kEnvironment:
        return "environment";
    case NodeIdSource::kAddress:
        return "address";
    case NodeIdSource::kRegistry:
        return "registry";
    case NodeIdSource::kNone:
        break;
    }
    return "none";
}

Identity MakeIdentity()
{
    CheckConfiguredIdentity();
    Identity identity{};
    identity.custom_epoch = ConfiguredEpoch();
    identity.node_id_bits = ConfiguredNodeIdBits();
    identity.configured_node_id = ConfiguredNodeId();
    if (identity.configured_node_id == kNodeIdFromRegistry) {
        identity.node_id_source = NodeIdSource::kRegistry;
        return identity;
    }
    if (identity.configured_node_id < 0) {
        DeriveNodeId(identity);
        return identity;
    }

    const Layout layout(identity.node_id_bits);
    identity.node_id = identity.configured_node_id;
    identity.node_id_source =
        NodeIdIsFromEnvironment() ? NodeIdSource::kEnvironment : NodeIdSource::kConfiguration;
    if (identity.node_id > layout.MaxNodeId())
        ereport(ERROR, (errcode(ERRCODE_CONFIG_FILE_ERROR),
                        errmsg("node ID must be between 0 and %d", layout.MaxNodeId()),
                        errdetail("The node ID is %d, from the server's %s, and "
                                  "timeshard.node_id_bits is %d.",
                                  identity.node_id, NodeIdSourceName(identity.node_id_source),
                                  identity.node_id_bits),
                        errhint("Choose a smaller timeshard.node_id, or raise "
                                "timeshard.node_id_bits (up to %d) on every server.",
                                kMaxNodeIdBits)));
    return identity;
}

void ReportIdentity(const Identity &identity)
{
    if (identity.node_id_source == NodeIdSource::kNone) {
        if (!IsUnderPostmaster) // a session gets the error
            WarnOfNodeId(identity);
        return;
    }
    if (identity.node_id_source == NodeIdSource::kRegistry) {
        ereport(LOG_SERVER_ONLY,
                (errmsg("timeshard claims its node ID from a registry, layout %d-%d-%d, epoch %lld",
                        kOffsetBits, identity.node_id_bits, kLowerBits - identity.node_id_bits,
                        static_cast<long long>(identity.custom_epoch)),
                 errhidestmt(true)));
        return;
    }
    ereport(LOG_SERVER_ONLY,
            (errmsg("timeshard issues IDs as node %d (from %s%s%s), layout %d-%d-%d, epoch "
                    "%lld",
                    identity.node_id, NodeIdSourceName(identity.node_id_source),
                    identity.node_address[0] != '\0' ? " " : "", identity.node_address, kOffsetBits,
                    identity.node_id_bits, kLowerBits - identity.node_id_bits,
                    static_cast<long long>(identity.custom_epoch)),
             errhidestmt(true)));
}

void WarnOfNodeId(const Identity &identity)
{
    if (identity.node_id_source == NodeIdSource::kAddress)
        WarnOfDerivation(identity);
    else if (identity.node_id_source == NodeIdSource::kNone)
        ereport(WARNING,
                (errmsg("this server has no node ID yet, and will issue no IDs"),
                 errdetail("No node ID is configured, and the machine has no address to derive "
                           "one from: loopback and link-local addresses do not tell machines "
                           "apart."),
                 errhint("Choose a number that no other server has, such as 1, put "
                         "\"timeshard.node_id = 1\" into the server's configuration, and restart "
                         "it.")));
}

void RaiseNoNodeIdError()
{
    ereport(
        ERROR,
        (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
         errmsg("this server has no node ID, and issues no IDs"),
         errdetail("No node ID is configured, and the machine has no address to derive one "
                   "from: loopback and link-local addresses do not tell machines apart."),
         errhint("Choose a number that no other server has, such as 1, put "
                 "\"timeshard.node_id = 1\" into the server's configuration, and restart it.")));
    pg_unreachable();
}

bool IdentityWouldChange(const Identity &identity)
{
    return !ConfiguredIdentityIsReadable() || identity.configured_node_id != ConfiguredNodeId() ||
           identity.node_id_bits != ConfiguredNodeIdBits() ||
           identity.custom_epoch != ConfiguredEpoch();
}

} // namespace timeshard
