/// Seals IDs to public codes and opens them again, on all processors: half of them random,
/// half of them neighbours as a server makes them. Every ID must come back. Of neighbours'
/// codes it reports how many of the 65 bits differ.
///
///     trips IDS SEED

#include "base32.hpp"
#include "public_code.hpp"

#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "aes_of_openssl.hpp"

namespace {

using namespace timeshard;

struct Tally
{
    std::uint64_t trips = 0;
    std::uint64_t pairs = 0;
    std::uint64_t differing = 0; ///< bits, summed over all pairs
    std::uint64_t squares = 0;   ///< the same, squared
    std::uint64_t flips[63] = {};
    int least = 65, most = 0;
};

/// There and back by way of the 13 characters. Returns the sealed bits.
std::int64_t Trip(const test::OpensslAes &aes, std::string_view tweak, std::int64_t id)
{
    const auto number = static_cast<unsigned>(tweak[0]);
    char code[kCodeLength];
    WriteCode(SealBits(aes, tweak, id), code, number);
    const DecodedCode decoded = ParseCodeWithSpare({code, kCodeLength});
    if (decoded.error != CodeError::kNone || decoded.spare != number ||
        OpenBits(aes, tweak, decoded.id) != id) {
        std::fprintf(stderr, "%lld does not come back\n", static_cast<long long>(id));
        std::exit(EXIT_FAILURE);
    }
    return decoded.id;
}

void Compare(std::int64_t a, std::int64_t b, Tally *tally)
{
    const auto difference = static_cast<std::uint64_t>(a ^ b);
    const int bits = std::popcount(difference);
    tally->pairs++;
    tally->differing += static_cast<std::uint64_t>(bits);
    tally->squares += static_cast<std::uint64_t>(bits) * static_cast<std::uint64_t>(bits);
    for (int bit = 0; bit < 63; bit++)
        tally->flips[bit] += difference >> bit & 1;
    tally->least = bits < tally->least ? bits : tally->least;
    tally->most = bits > tally->most ? bits : tally->most;
}

void Run(std::uint64_t ids, std::uint64_t seed, Tally *tally)
{
    constexpr std::uint64_t kIdsOfAKey = 100000;
    std::mt19937_64 random(seed);
    while (tally->trips < ids) {
        std::string key(32, '\0');
        for (char &byte : key)
            byte = static_cast<char>(random());
        const test::OpensslAes aes(key);
        std::string tweak(1 + random() % 20, 'p');
        tweak[0] = static_cast<char>(random() % 4);

        auto id = static_cast<std::int64_t>(random() >> 2);
        std::int64_t last = Trip(aes, tweak, id);
        for (std::uint64_t i = 0; i < kIdsOfAKey / 2; i++) {
            const std::int64_t next = Trip(aes, tweak, ++id);
            Compare(last, next, tally);
            last = next;
            Trip(aes, tweak, static_cast<std::int64_t>(random() >> (1 + random() % 63)));
        }
        tally->trips += kIdsOfAKey + 1;
    }
}

} // namespace

int main(int, char **arguments)
{
    const std::uint64_t ids = std::strtoull(arguments[1], nullptr, 10);
    const std::uint64_t seed = std::strtoull(arguments[2], nullptr, 10);
    const unsigned threads = std::max(1U, std::thread::hardware_concurrency());

    std::vector<Tally> tallies(threads);
    std::vector<std::thread> running;
    for (unsigned i = 0; i < threads; i++)
        running.emplace_back(Run, ids / threads, seed + i, &tallies[i]);
    Tally all;
    for (unsigned i = 0; i < threads; i++) {
        running[i].join();
        all.trips += tallies[i].trips;
        all.pairs += tallies[i].pairs;
        all.differing += tallies[i].differing;
        all.squares += tallies[i].squares;
        for (int bit = 0; bit < 63; bit++)
            all.flips[bit] += tallies[i].flips[bit];
        all.least = std::min(all.least, tallies[i].least);
        all.most = std::max(all.most, tallies[i].most);
    }
    const auto pairs = static_cast<double>(all.pairs);
    const double mean = static_cast<double>(all.differing) / pairs;
    const double spread = std::sqrt(static_cast<double>(all.squares) / pairs - mean * mean);
    double rarest = 1, commonest = 0;
    for (const std::uint64_t flips : all.flips) {
        rarest = std::min(rarest, static_cast<double>(flips) / pairs);
        commonest = std::max(commonest, static_cast<double>(flips) / pairs);
    }
    std::printf("%llu IDs sealed and opened: all came back\n",
                static_cast<unsigned long long>(all.trips));
    std::printf("neighbours' codes: %.3f of 65 bits differ, standard deviation %.3f, "
                "from %d to %d in %llu pairs\n",
                mean, spread, all.least, all.most, static_cast<unsigned long long>(all.pairs));
    std::printf("each of the 63 sealed bits differs in %.2f %% to %.2f %% of the pairs\n",
                100 * rarest, 100 * commonest);
}
