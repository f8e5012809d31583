/// NodeAddressChooser. The input is the length of the name of the default route's
/// interface, that name, and addresses: a byte of flags, the interface's name if
/// the flags say so, and 16 bytes.

#include "fuzz.hpp"
#include "node_address.hpp"

#include <algorithm>
#include <deque>

namespace timeshard::fuzz {
namespace {

Answers<4> answers({"default-route", "ipv4", "ipv6", "none"});

enum Answer { kDefaultRoute, kIpv4, kIpv6, kNone };

struct Address
{
    std::string interface;
    bool usable;
    bool is_ipv6;
    std::array<std::uint8_t, 16> bytes;
};

constexpr unsigned kDown = 1, kIsIpv6 = 2, kLowAddress = 16;

/// A name of its own is rarely that of the default route, or one that begins
/// alike; so the flags can ask for these.
std::string TakeName(unsigned flags, const std::string &default_interface, Input &input)
{
    switch (flags >> 2 & 3) {
    case 0:
        return default_interface;
    case 1:
        return default_interface + '0';
    case 2:
        return default_interface.substr(0, default_interface.size() / 2);
    default:
        return std::string(input.Text(input.Count()));
    }
}

Address TakeAddress(const std::string &default_interface, Input &input)
{
    const unsigned flags = input.Byte();
    Address address{TakeName(flags, default_interface, input),
                    (flags & kDown) == 0,
                    (flags & kIsIpv6) != 0,
                    {}};
    // Below ::1:0:0:0:0, which sixteen bytes at random never are.
    const std::size_t begin = (flags & kLowAddress) != 0 ? 8 : 0;
    const std::string_view bytes = input.Text(address.bytes.size() - begin);
    std::copy(bytes.begin(), bytes.end(), address.bytes.begin() + begin);
    return address;
}

bool TellsMachinesApart(const Address &address)
{
    if (!address.usable)
        return false;
    if (!address.is_ipv6)
        return address.bytes[0] != 127;
    const unsigned first_16_bits = address.bytes[0] * 256u + address.bytes[1];
    const bool link_local = first_16_bits >= 0xfe80 && first_16_bits <= 0xfebf;
    const bool multicast = first_16_bits >= 0xff00;
    const std::array<std::uint8_t, 8> zeros{};
    return !link_local && !multicast &&
           !std::equal(zeros.begin(), zeros.end(), address.bytes.begin());
}

struct Choice
{
    Answer answer;
    const Address *address;
};

/// The rule put down a second time: three searches, the first that finds wins.
Choice Reference(const std::deque<Address> &addresses, const std::string &default_interface)
{
    for (const Address &address : addresses)
        if (TellsMachinesApart(address) && !address.is_ipv6 && !default_interface.empty() &&
            address.interface == default_interface)
            return {kDefaultRoute, &address};
    for (const Address &address : addresses)
        if (TellsMachinesApart(address) && !address.is_ipv6)
            return {kIpv4, &address};
    for (const Address &address : addresses)
        if (TellsMachinesApart(address) && address.is_ipv6)
            return {kIpv6, &address};
    return {kNone, nullptr};
}

/// After each address, so that every beginning of the list is tried as well.
void Check(const NodeAddressChooser &chooser, const Choice &expected)
{
    Require(chooser.Found() == (expected.address != nullptr), "agrees whether there is an address");
    std::int32_t last_bits = 0;
    if (expected.address != nullptr) {
        const auto &bytes = expected.address->bytes;
        const std::size_t last = expected.address->is_ipv6 ? 15 : 3;
        last_bits = bytes[last - 1] * 256 + bytes[last];
        Require(chooser.IsIpv6() == expected.address->is_ipv6 && chooser.Bytes() == bytes,
                "agrees which address it is");
    }
    for (int bits = 1; bits <= 16; bits++) {
        std::int32_t nodes = 1;
        for (int i = 0; i < bits; i++)
            nodes *= 2;
        Require(chooser.NodeId(bits) == last_bits % nodes, "agrees which node ID that is");
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    Input input(data, size);
    const std::string default_interface(input.Text(input.Count()));
    const ExactText exact_default(default_interface);
    NodeAddressChooser chooser(exact_default);
    std::deque<Address> addresses;

    answers.NextInput();
    Check(chooser, {kNone, nullptr});
    while (!input.Empty()) {
        const Address &address = addresses.emplace_back(TakeAddress(default_interface, input));
        {
            // Gone before the next: the chooser keeps a copy of the address only.
            const ExactText interface(address.interface);
            const auto host = std::make_unique<HostAddress>(
                HostAddress{interface, address.usable, address.is_ipv6, address.bytes});
            chooser.Consider(*host);
        }
        Check(chooser, Reference(addresses, default_interface));
    }
    answers.Count(Reference(addresses, default_interface).answer);
    return 0;
}

} // namespace timeshard::fuzz
