/// What doc/growth.md says of node IDs that servers derive from their addresses:
/// how often two have the same.

#include "manual_page.hpp"
#include "node_address.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace {

using namespace timeshard;
using test::Number;
using test::TableOfThePage;

/// The node ID that a server derives from such an address.
std::int32_t DerivedNodeId(std::uint32_t address, int bits)
{
    NodeAddressChooser chooser("");
    chooser.Consider(
        {"eth0",
         true,
         false,
         {static_cast<std::uint8_t>(address >> 24), static_cast<std::uint8_t>(address >> 16),
          static_cast<std::uint8_t>(address >> 8), static_cast<std::uint8_t>(address)}});
    return chooser.NodeId(bits);
}

/// The chance that among so many servers with random addresses two have one node ID.
double ChanceOfCollision(int servers, int bits)
{
    double none = 1;
    for (int i = 0; i < servers; i++)
        none *= std::max(0.0, 1 - std::ldexp(i, -bits));
    return 1 - none;
}

/// How often it was so.
double ShareOfCollisions(int servers, int bits, int trials)
{
    std::mt19937 random(static_cast<std::uint32_t>(servers * 100 + bits));
    std::vector<int> trial_of(std::size_t{1} << bits, -1);
    int collided = 0;
    for (int trial = 0; trial < trials; trial++)
        for (int i = 0; i < servers; i++) {
            const auto address = static_cast<std::uint32_t>(10 << 24 | random() % (1 << 24));
            int &seen_in = trial_of[static_cast<std::size_t>(DerivedNodeId(address, bits))];
            if (seen_in == trial) {
                collided++;
                break;
            }
            seen_in = trial;
        }
    return static_cast<double>(collided) / trials;
}

TEST(Growth, DerivedNodeIdsCollideAsThePageSays)
{
    constexpr int kTrials = 20000 / SCALE;
    const auto rows = TableOfThePage("servers");
    std::vector<int> shown;
    for (const auto &row : rows) {
        ASSERT_EQ(row.size(), 4u);
        const int servers = static_cast<int>(Number(row[0]));
        shown.push_back(servers);
        for (std::size_t column = 1; column < row.size(); column++) {
            const int bits = std::vector<int>{0, 10, 14, 16}[column];
            const std::string &cell = row[column];
            const double chance = ChanceOfCollision(servers, bits);

            // As many digits as are shown are right.
            const std::size_t point = cell.find('.');
            const auto digits = point == std::string::npos
                                    ? 0
                                    : static_cast<int>(cell.find(' ', point) - point) - 1;
            EXPECT_LE(std::abs(Number(cell) - chance * 100), 0.50001 * std::pow(10, -digits))
                << servers << " servers, " << bits << " bits: " << cell;

            const double deviation = std::sqrt(chance * (1 - chance) / kTrials);
            EXPECT_NEAR(ShareOfCollisions(servers, bits, kTrials), chance,
                        4 * deviation + 1.0 / kTrials)
                << servers << " servers, " << bits << " bits";
        }
    }
    EXPECT_EQ(shown, (std::vector<int>{2, 5, 10, 20, 50, 100, 200, 500, 1000}));
}

/// Within a network of as many addresses as there are node IDs, none collide; with
/// one address more, two do.
TEST(Growth, DerivedNodeIdsOfANetworkThatFitsAreDistinct)
{
    for (const int bits : {8, 10, 16})
        for (const std::uint32_t begin : {0x0a141e00u, 0xc0a80180u}) { // any, aligned or not
            std::vector<bool> taken(std::size_t{1} << bits);
            for (std::uint32_t i = 0; i < 1u << bits; i++) {
                const auto id = static_cast<std::size_t>(DerivedNodeId(begin + i, bits));
                EXPECT_FALSE(taken[id]) << bits << " bits, address " << i;
                taken[id] = true;
            }
            EXPECT_EQ(DerivedNodeId(begin + (1u << bits), bits), DerivedNodeId(begin, bits));
        }
}

} // namespace
