#pragma once

#include "core_only.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

/// The node ID that a server has from its address where none is configured.
namespace timeshard {

/// An address of one of the machine's network interfaces. An IPv4 address is
/// in the first four of the bytes, in network order.
struct HostAddress
{
    std::string_view interface;
    bool usable; ///< the interface is up and not the loopback
    bool is_ipv6;
    std::array<std::uint8_t, 16> bytes;
};

/// A default route of the machine: its interface, and the metric by which the
/// kernel prefers the lowest.
struct DefaultRoute
{
    std::string_view interface;
    std::uint32_t metric;
};

/// Reads one line of Linux's /proc/net/route; nothing if it is the heading or
/// no default route that is up.
std::optional<DefaultRoute> ParseRouteLine(std::string_view line);

/// The network of an IPv4 address, in host order, and its name, if some software makes
/// that network on every machine: many machines then have the same address. Else empty.
std::string_view SharedNetwork(std::uint32_t address);

/// Chooses among a machine's addresses, given to it one by one in the kernel's
/// order: the IPv4 address of the interface with the default route, else the
/// first IPv4 address, else the first global IPv6 address; of equals the
/// first. Loopback and link-local addresses do not count: they do not tell machines
/// apart. Owns nothing but a copy of the chosen address.
class NodeAddressChooser
{
public:
    /// `default_interface` is empty if there is no default route.
    explicit NodeAddressChooser(std::string_view default_interface)
        : default_interface_(default_interface)
    {}

    void Consider(const HostAddress &address);

    bool Found() const { return rank_ > 0; }
    bool IsIpv6() const { return is_ipv6_; }
    const std::array<std::uint8_t, 16> &Bytes() const { return bytes_; }

    /// The last 16 bits of the address, less those that do not fit: for IPv4
    /// (third octet << 8 | fourth). 0 if no address was found.
    std::int32_t NodeId(int node_id_bits) const;

private:
    int RankOf(const HostAddress &address) const;

    std::string_view default_interface_;
    int rank_ = 0;
    bool is_ipv6_ = false;
    std::array<std::uint8_t, 16> bytes_{};
};

} // namespace timeshard
