#include "node_address.hpp"

#include <algorithm>
#include <charconv>

namespace timeshard {
namespace {

/// Takes the next white-space separated field off `line`.
std::string_view NextField(std::string_view *line)
{
    constexpr std::string_view kSpace = " \t\n";
    const std::size_t begin = std::min(line->find_first_not_of(kSpace), line->size());
    const std::size_t end = std::min(line->find_first_of(kSpace, begin), line->size());
    const std::string_view field = std::string_view(line->data() + begin, end - begin);
    line->remove_prefix(end);
    return field;
}

bool ParseNumber(std::string_view field, int base, std::uint32_t *value)
{
    const char *end = field.data() + field.size();
    const auto [stop, error] = std::from_chars(field.data(), end, *value, base);
    return error == std::errc{} && stop == end;
}

/// A network that some software makes on every machine, with the same addresses.
struct SharedIpv4Network
{
    std::uint32_t address;
    int bits;
    std::string_view name;
};

constexpr SharedIpv4Network kSharedIpv4Networks[] = {
    {0xac110000, 16, "172.17.0.0/16, Docker's default bridge"},
    {0x0a580000, 16, "10.88.0.0/16, Podman's default network"},
    {0xc0a87a00, 24, "192.168.122.0/24, libvirt's default network"},
    {0x0a000200, 24, "10.0.2.0/24, the default of QEMU and VirtualBox"},
};

/// The loopback (127.0.0.0/8) and link-local (169.254.0.0/16) networks do not tell
/// machines apart.
bool IsGlobalIpv4(const std::array<std::uint8_t, 16> &bytes)
{
    const bool link_local = bytes[0] == 169 && bytes[1] == 254;
    return bytes[0] != 127 && !link_local;
}

/// Unspecified, loopback and IPv4-mapped (all below ::1:0:0:0:0), link-local
/// (fe80::/10) and multicast (ff00::/8) addresses do not tell machines apart.
bool IsGlobalIpv6(const std::array<std::uint8_t, 16> &bytes)
{
    const bool low = std::all_of(bytes.begin(), bytes.begin() + 8, [](auto b) { return b == 0; });
    const bool link_local = bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
    return !low && !link_local && bytes[0] != 0xff;
}

} // namespace

std::optional<DefaultRoute> ParseRouteLine(std::string_view line)
{
    constexpr std::uint32_t kRouteUp = 0x0001; // RTF_UP in linux/route.h
    const std::string_view interface = NextField(&line);
    std::uint32_t destination, gateway, flags, ignored, metric, mask;

    // Iface Destination Gateway Flags RefCnt Use Metric Mask …
    if (!ParseNumber(NextField(&line), 16, &destination) ||
        !ParseNumber(NextField(&line), 16, &gateway) ||
        !ParseNumber(NextField(&line), 16, &flags) ||
        !ParseNumber(NextField(&line), 10, &ignored) ||
        !ParseNumber(NextField(&line), 10, &ignored) ||
        !ParseNumber(NextField(&line), 10, &metric) || !ParseNumber(NextField(&line), 16, &mask))
        return std::nullopt;
    if (destination != 0 || mask != 0 || (flags & kRouteUp) == 0)
        return std::nullopt;
    return DefaultRoute{interface, metric};
}

int NodeAddressChooser::RankOf(const HostAddress &address) const
{
    if (!address.usable)
        return 0;
    if (address.is_ipv6)
        return IsGlobalIpv6(address.bytes) ? 1 : 0;
    if (!IsGlobalIpv4(address.bytes))
        return 0;
    return !default_interface_.empty() && address.interface == default_interface_ ? 3 : 2;
}

void NodeAddressChooser::Consider(const HostAddress &address)
{
    const int rank = RankOf(address);
    if (rank <= rank_)
        return;
    rank_ = rank;
    is_ipv6_ = address.is_ipv6;
    bytes_ = address.bytes;
}

std::int32_t NodeAddressChooser::NodeId(int node_id_bits) const
{
    if (!Found())
        return 0;
    const std::size_t last = is_ipv6_ ? 14 : 2;
    const std::int32_t lower = bytes_[last] << 8 | bytes_[last + 1];
    return lower & ((1 << node_id_bits) - 1);
}

std::string_view SharedNetwork(std::uint32_t address)
{
    for (const SharedIpv4Network &network : kSharedIpv4Networks) {
        if (((address ^ network.address) >> (32 - network.bits)) == 0)
            return network.name;
    }
    return {};
}

} // namespace timeshard
