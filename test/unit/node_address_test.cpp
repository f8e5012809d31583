#include "node_address.hpp"

#include <array>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include <arpa/inet.h>
#include <gtest/gtest.h>

namespace {

using timeshard::DefaultRoute;
using timeshard::HostAddress;
using timeshard::NodeAddressChooser;
using timeshard::ParseRouteLine;
using namespace std::string_literals;
using namespace std::string_view_literals;

/// An address of an interface that is up, unless said otherwise.
HostAddress On(std::string_view interface, const char *address, bool usable = true)
{
    HostAddress host{interface, usable, std::strchr(address, ':') != nullptr, {}};
    EXPECT_EQ(inet_pton(host.is_ipv6 ? AF_INET6 : AF_INET, address, host.bytes.data()), 1)
        << address;
    return host;
}

NodeAddressChooser Choose(std::string_view default_interface,
                          std::initializer_list<HostAddress> addresses)
{
    NodeAddressChooser chooser(default_interface);
    for (const HostAddress &address : addresses)
        chooser.Consider(address);
    return chooser;
}

/// The chosen address as text, or "none".
std::string Chosen(std::string_view default_interface, std::initializer_list<HostAddress> addresses)
{
    const NodeAddressChooser chooser = Choose(default_interface, addresses);
    if (!chooser.Found())
        return "none";
    char text[INET6_ADDRSTRLEN];
    inet_ntop(chooser.IsIpv6() ? AF_INET6 : AF_INET, chooser.Bytes().data(), text, sizeof text);
    return text;
}

std::int32_t NodeId(const char *address, int bits)
{
    return Choose("", {On("eth0", address)}).NodeId(bits);
}

TEST(NodeId, IsTheEndOfTheAddress)
{
    EXPECT_EQ(NodeId("192.168.1.42", 10), 298);
    EXPECT_EQ(NodeId("192.168.1.42", 16), 298);
    EXPECT_EQ(NodeId("192.168.1.42", 8), 42);
    EXPECT_EQ(NodeId("10.1.255.255", 16), 65535);
    EXPECT_EQ(NodeId("10.1.0.0", 16), 0);
    EXPECT_EQ(NodeId("2001:db8::4:c12a", 16), 0xc12a);
    EXPECT_EQ(NodeId("2001:db8::4:c12a", 10), 0x12a);
}

TEST(NodeId, DistantAddressesCollideWhereTheBitsAreFew)
{
    EXPECT_EQ(NodeId("10.244.0.5", 10), NodeId("10.244.4.5", 10));
    EXPECT_NE(NodeId("10.244.0.5", 16), NodeId("10.244.4.5", 16));
}

TEST(NodeId, IsMaskedToEveryWidth)
{
    for (int bits = 1; bits <= 16; bits++) {
        const std::int32_t largest = (1 << bits) - 1;
        EXPECT_EQ(NodeId("10.1.255.255", bits), largest);
        EXPECT_EQ(NodeId("2001:db8::ffff", bits), largest);
        EXPECT_EQ(NodeId("10.1.170.85", bits), 0xaa55 % (largest + 1));
        EXPECT_EQ(NodeId("2001:db8::aa55", bits), 0xaa55 % (largest + 1));
    }
}

TEST(NodeId, IsZeroWithoutAnAddress)
{
    const NodeAddressChooser chooser = Choose("eth0", {});

    EXPECT_FALSE(chooser.Found());
    for (int bits = 1; bits <= 16; bits++)
        EXPECT_EQ(chooser.NodeId(bits), 0);
}

TEST(NodeAddressChooser, PrefersTheInterfaceOfTheDefaultRoute)
{
    EXPECT_EQ(Chosen("eth1", {On("docker0", "172.17.0.1"), On("eth1", "192.168.1.42"),
                              On("eth2", "10.0.0.9")}),
              "192.168.1.42");
    EXPECT_EQ(Chosen("eth1", {On("eth1", "192.168.1.42"), On("docker0", "172.17.0.1")}),
              "192.168.1.42");
    // A name that only begins alike is another interface.
    EXPECT_EQ(
        Chosen("eth1", {On("eth10", "10.0.0.1"), On("eth", "10.0.0.2"), On("eth1", "10.0.0.3")}),
        "10.0.0.3");
}

TEST(NodeAddressChooser, TakesTheFirstAddressOfAnInterface)
{
    EXPECT_EQ(Chosen("eth0", {On("eth0", "192.168.1.42"), On("eth0", "192.168.1.43")}),
              "192.168.1.42");
    EXPECT_EQ(Chosen("", {On("eth0", "2001:db8::1"), On("eth0", "2001:db8::2")}), "2001:db8::1");
}

TEST(NodeAddressChooser, FallsBackToTheFirstThatIsUpAndNotLoopback)
{
    const auto down = On("eth0", "192.168.1.42", false);
    const auto loopback = On("lo", "127.0.0.1", false);

    EXPECT_EQ(Chosen("", {loopback, down, On("eth1", "10.0.0.9"), On("eth2", "10.0.0.10")}),
              "10.0.0.9");
    // The interface with the default route is gone, or down.
    EXPECT_EQ(Chosen("ppp0", {loopback, On("eth1", "10.0.0.9")}), "10.0.0.9");
    EXPECT_EQ(Chosen("eth0", {down, On("eth1", "10.0.0.9")}), "10.0.0.9");
    EXPECT_EQ(Chosen("eth0", {loopback, down}), "none");
}

TEST(NodeAddressChooser, AnUnnamedInterfaceIsNotTheDefaultRoutes)
{
    EXPECT_EQ(Chosen("", {On("eth0", "10.0.0.1"), On("", "10.0.0.2")}), "10.0.0.1");
}

/// The block can stand on an interface that is not the loopback one.
TEST(NodeAddressChooser, NeverTakesALoopbackAddress)
{
    EXPECT_EQ(Chosen("eth0", {On("eth0", "127.0.1.1")}), "none");
    EXPECT_EQ(Chosen("eth0", {On("eth0", "127.255.255.254"), On("eth1", "10.0.0.9")}), "10.0.0.9");
    EXPECT_EQ(Chosen("eth0", {On("eth0", "128.0.0.1")}), "128.0.0.1");
    EXPECT_EQ(Chosen("eth0", {On("eth0", "126.255.255.254")}), "126.255.255.254");
}

/// A machine gives itself such an address where nobody assigns one.
TEST(NodeAddressChooser, NeverTakesALinkLocalIpv4)
{
    EXPECT_EQ(Chosen("eth0", {On("eth0", "169.254.0.0")}), "none");
    EXPECT_EQ(Chosen("eth0", {On("eth0", "169.254.255.255"), On("eth1", "10.0.0.9")}), "10.0.0.9");
    EXPECT_EQ(Chosen("eth0", {On("eth0", "169.254.3.4"), On("eth0", "2001:db8::1")}),
              "2001:db8::1");
    for (const char *address : {"169.253.255.255", "169.255.0.0", "168.254.0.1", "170.254.0.1"})
        EXPECT_EQ(Chosen("eth0", {On("eth0", address)}), address);
}

/// The network that many machines have alike, or "".
std::string NetworkOf(const char *address)
{
    in_addr parsed{};
    EXPECT_EQ(inet_pton(AF_INET, address, &parsed), 1) << address;
    return std::string(timeshard::SharedNetwork(ntohl(parsed.s_addr)));
}

TEST(SharedNetwork, IsTheDefaultOfContainersAndVirtualMachines)
{
    EXPECT_EQ(NetworkOf("172.17.0.2"), "172.17.0.0/16, Docker's default bridge");
    EXPECT_EQ(NetworkOf("172.17.255.255"), "172.17.0.0/16, Docker's default bridge");
    EXPECT_EQ(NetworkOf("10.88.3.4"), "10.88.0.0/16, Podman's default network");
    EXPECT_EQ(NetworkOf("192.168.122.9"), "192.168.122.0/24, libvirt's default network");
    EXPECT_EQ(NetworkOf("10.0.2.15"), "10.0.2.0/24, the default of QEMU and VirtualBox");
}

TEST(SharedNetwork, IsNoOther)
{
    for (const char *address : {"172.16.255.255", "172.18.0.0", "10.17.0.1", "10.87.255.255",
                                "10.89.0.0", "192.168.121.255", "192.168.123.0", "10.0.1.255",
                                "10.0.3.0", "192.168.1.42", "0.0.0.0", "255.255.255.255"})
        EXPECT_EQ(NetworkOf(address), "") << address;
}

TEST(NodeAddressChooser, TakesIpv6OnlyWithoutIpv4)
{
    EXPECT_EQ(Chosen("eth0", {On("eth0", "2001:db8::42"), On("eth1", "10.0.0.9")}), "10.0.0.9");
    EXPECT_EQ(Chosen("eth0", {On("eth1", "10.0.0.9"), On("eth0", "2001:db8::42")}), "10.0.0.9");
    EXPECT_EQ(Chosen("eth0", {On("eth0", "fe80::1"), On("eth0", "2001:db8::42")}), "2001:db8::42");
    EXPECT_EQ(Chosen("", {On("eth0", "fd12:3456:789a::1")}), "fd12:3456:789a::1");
    EXPECT_EQ(Chosen("", {On("eth0", "2001:db8::42", false)}), "none");
}

TEST(NodeAddressChooser, RefusesIpv6ThatTellsNoMachinesApart)
{
    for (const char *address : {"::", "::1", "::ffff:192.168.1.42", "::192.168.1.42", "fe80::1",
                                "febf::1", "ff02::1", "ff0e::1"})
        EXPECT_EQ(Chosen("eth0", {On("eth0", address)}), "none") << address;
    // Their neighbours are none of those.
    for (const char *address : {"::1:0:0:0:1", "fe7f::1", "fec0::1", "feff::1", "fe::1"})
        EXPECT_EQ(Chosen("eth0", {On("eth0", address)}), address);
}

TEST(NodeAddressChooser, KeepsItsOwnCopyOfTheAddress)
{
    NodeAddressChooser chooser("eth0");
    {
        HostAddress host = On("eth0", "192.168.1.42");
        chooser.Consider(host);
        host.bytes.fill(0xff);
    }
    EXPECT_EQ(chooser.NodeId(10), 298);
}

/// "interface metric", or "none".
std::string Route(std::string_view line)
{
    const std::optional<DefaultRoute> route = ParseRouteLine(line);
    if (!route)
        return "none";
    return std::string(route->interface) + " " + std::to_string(route->metric);
}

TEST(ParseRouteLine, ReadsDefaultRoutes)
{
    EXPECT_EQ(Route("eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0"
                    "                                                              \n"),
              "eth0 0");
    EXPECT_EQ(Route("wlp0s20f3\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n"),
              "wlp0s20f3 600");
    // Up, without a gateway, as on a point-to-point link.
    EXPECT_EQ(Route("ppp0\t00000000\t00000000\t0001\t0\t0\t4294967295\t00000000\t0\t0\t0\n"),
              "ppp0 4294967295");
    // No line end, and nothing after the mask.
    EXPECT_EQ(Route("eth0 00000000 0101A8C0 0003 0 0 100 00000000"), "eth0 100");
}

TEST(ParseRouteLine, PassesOverTheRest)
{
    const char *lines[] = {
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT   \n",
        // to a network, the same without its mask, to a half of the world, down
        "eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n",
        "eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n",
        "eth0\t00000080\t0101A8C0\t0003\t0\t0\t0\t00000080\t0\t0\t0\n",
        "tun0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000080\t0\t0\t0\n",
        "eth0\t00000000\t0101A8C0\t0002\t0\t0\t0\t00000000\t0\t0\t0\n",
        "",
        "\n",
        "      ",
        "eth0",
        "\t\t\t\t\t\t\t\t\t\t\t\t",
        "garbage all over the place and more of it still",
        "eth0\t0000000g\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n",
        "eth0\t-0\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n",
        "eth0\t000000000000000000000000000100000000\t0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n",
        "eth0\t00000000\t0101A8C0\t0003\t0\t0\t4294967296\t00000000\t0\t0\t0\n",
        "eth0\t00000000\t0101A8C0\t0003\t0\t0\t1x\t00000000\t0\t0\t0\n",
    };
    for (const char *line : lines)
        EXPECT_EQ(Route(line), "none") << line;
}

TEST(ParseRouteLine, ATruncatedLineIsNone)
{
    const std::string line = "eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000";

    // Cut within the mask, what is left of it still reads as zero.
    for (std::size_t size = 0; size < line.size() - 7; size++)
        EXPECT_EQ(Route(line.substr(0, size)), "none") << line.substr(0, size);
    EXPECT_EQ(Route(line), "eth0 100");
}

TEST(ParseRouteLine, TakesAnyBytes)
{
    for (int byte = 0; byte < 256; byte++) {
        const std::string line(40, static_cast<char>(byte));
        EXPECT_EQ(Route(line), "none") << byte;
    }
    EXPECT_EQ(Route("eth0\0 00000000 0101A8C0 0003 0 0 100 00000000"sv), "eth0\0 100"s);
}

} // namespace
