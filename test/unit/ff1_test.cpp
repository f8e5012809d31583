/// FF1, against NIST's samples, and its use for public codes.

#include "base32.hpp"
#include "public_code.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "aes_of_openssl.hpp"

namespace {

using namespace timeshard;
using test::OpensslAes;

std::string FromHex(std::string_view hex)
{
    std::string bytes;
    for (std::size_t i = 0; i < hex.size(); i += 2)
        bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
    return bytes;
}

std::uint64_t Number(std::string_view digits, unsigned radix)
{
    std::uint64_t value = 0;
    for (const char c : digits)
        value = value * radix + static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10);
    return value;
}

std::string Digits(std::uint64_t value, unsigned radix, std::size_t count)
{
    std::string digits(count, '0');
    for (std::size_t i = count; i-- > 0; value /= radix)
        digits[i] = "0123456789abcdefghijklmnopqrstuvwxyz"[value % radix];
    return digits;
}

Numeral Cut(std::string_view digits, unsigned radix)
{
    const std::size_t u = digits.size() / 2;
    return {Number(digits.substr(0, u), radix), Number(digits.substr(u), radix)};
}

std::string Joined(Numeral x, unsigned radix, std::size_t n)
{
    return Digits(x.a, radix, n / 2) + Digits(x.b, radix, n - n / 2);
}

constexpr char kKey128[] = "2B7E151628AED2A6ABF7158809CF4F3C";
constexpr char kKey192[] = "2B7E151628AED2A6ABF7158809CF4F3CEF4359D8D580AA4F";
constexpr char kKey256[] = "2B7E151628AED2A6ABF7158809CF4F3CEF4359D8D580AA4F7F036D6F04FC6A94";
constexpr char kTweak10[] = "39383736353433323130";
constexpr char kTweak11[] = "3737373770717273373737";

/// NIST's nine samples: "FF1 Samples", csrc.nist.gov, Cryptographic Standards and
/// Guidelines, Examples with Intermediate Values. Compared with the tests of Bouncy
/// Castle (bcgit/bc-java, SP80038GTest.java).
TEST(Ff1, AgreesWithNistsSamples)
{
    const struct
    {
        const char *key, *tweak;
        unsigned radix;
        const char *plain, *sealed;
    } samples[] = {
        {kKey128, "", 10, "0123456789", "2433477484"},
        {kKey128, kTweak10, 10, "0123456789", "6124200773"},
        {kKey128, kTweak11, 36, "0123456789abcdefghi", "a9tv40mll9kdu509eum"},
        {kKey192, "", 10, "0123456789", "2830668132"},
        {kKey192, kTweak10, 10, "0123456789", "2496655549"},
        {kKey192, kTweak11, 36, "0123456789abcdefghi", "xbj3kv35jrawxv32ysr"},
        {kKey256, "", 10, "0123456789", "6657667009"},
        {kKey256, kTweak10, 10, "0123456789", "1001623463"},
        {kKey256, kTweak11, 36, "0123456789abcdefghi", "xs8a0azh2avyalyzuwd"},
    };
    for (const auto &sample : samples) {
        OpensslAes aes(FromHex(sample.key));
        const std::string tweak = FromHex(sample.tweak);
        const auto n = static_cast<std::uint32_t>(std::strlen(sample.plain));
        const Ff1<OpensslAes> ff1(aes, sample.radix, n, tweak);
        const Numeral plain = Cut(sample.plain, sample.radix);
        const Numeral sealed = ff1.Encrypt(plain);
        EXPECT_EQ(Joined(sealed, sample.radix, n), sample.sealed);
        EXPECT_EQ(ff1.Decrypt(sealed), plain);
    }
}

/// Every radix up to the largest halves, and tweaks around the ends of blocks.
TEST(Ff1, DecryptsWhatItEncrypts)
{
    OpensslAes aes(FromHex(kKey256));
    std::mt19937_64 random(7);
    const struct
    {
        unsigned radix;
        std::uint32_t n;
    } forms[] = {{2, 20},  {2, 63},  {2, 64},  {2, 127}, {2, 128},  {3, 40},   {10, 6},
                 {10, 19}, {10, 38}, {36, 24}, {62, 10}, {256, 16}, {65536, 8}};
    for (const auto &form : forms)
        for (const std::size_t tweak_size : {0, 1, 3, 6, 7, 10, 11, 12, 15, 16, 17, 27, 28, 100}) {
            const std::string tweak(tweak_size, 't');
            const Ff1<OpensslAes> ff1(aes, form.radix, form.n, tweak);
            const auto half = [&](std::uint32_t digits) {
                unsigned __int128 modulus = 1;
                for (std::uint32_t i = 0; i < digits; i++)
                    modulus *= form.radix;
                return std::pair{static_cast<std::uint64_t>(random() % modulus), modulus};
            };
            for (int i = 0; i < 20; i++) {
                const auto [a, u_modulus] = half(form.n / 2);
                const auto [b, v_modulus] = half(form.n - form.n / 2);
                const Numeral sealed = ff1.Encrypt({a, b});
                ASSERT_LT(sealed.a, u_modulus);
                ASSERT_LT(sealed.b, v_modulus);
                ASSERT_EQ(ff1.Decrypt(sealed), (Numeral{a, b})) << form.radix << " " << form.n;
            }
        }
}

TEST(PublicCode, IsAPermutationOfAllIds)
{
    OpensslAes aes(FromHex(kKey256));
    std::mt19937_64 random(8);
    constexpr std::int64_t kLargest = INT64_MAX;
    for (int i = 0; i < 400000 / SCALE; i++) {
        const auto id = i == 0   ? 0
                        : i == 1 ? kLargest
                                 : static_cast<std::int64_t>(random() >> (1 + random() % 63));
        const std::int64_t sealed = SealBits(aes, "\1video", id);
        ASSERT_GE(sealed, 0);
        ASSERT_EQ(OpenBits(aes, "\1video", sealed), id);
        ASSERT_EQ(SealBits(aes, "\1video", OpenBits(aes, "\1video", id)), id);
    }
}

/// Of 63 sealed bits each differs with an even chance: a mean of 31.5 and a standard
/// deviation of 3.97 in a hundred thousand pairs.
TEST(PublicCode, NeighboursHaveNothingInCommon)
{
    OpensslAes aes(FromHex(kKey256));
    constexpr int kPairs = 100000;
    int differing = 0;
    int flips[63] = {};
    std::int64_t last = SealBits(aes, "\1video", 390233979859673088);
    for (int i = 1; i <= kPairs; i++) {
        const std::int64_t next = SealBits(aes, "\1video", 390233979859673088 + i);
        const auto difference = static_cast<std::uint64_t>(last ^ next);
        differing += std::popcount(difference);
        for (int bit = 0; bit < 63; bit++)
            flips[bit] += difference >> bit & 1;
        last = next;
    }
    EXPECT_NEAR(static_cast<double>(differing) / kPairs, 31.5, 0.07);
    for (const int count : flips)
        EXPECT_NEAR(count, kPairs / 2, 1000);
}

TEST(PublicCode, DependsOnThePurposeAndTheKeysNumber)
{
    OpensslAes aes(FromHex(kKey256));
    std::vector<std::int64_t> sealed;
    for (const char *tweak :
         {"", "\1", "\2", "\1video", "\2video", "\1vide", "\1Video", "\1video "})
        sealed.push_back(SealBits(aes, tweak, 390233979859673088));
    sealed.push_back(SealBits(aes, std::string_view("\0", 1), 390233979859673088));
    std::sort(sealed.begin(), sealed.end());
    EXPECT_EQ(std::unique(sealed.begin(), sealed.end()), sealed.end());
}

TEST(PublicCode, SpareBitsCarryTheKeysNumber)
{
    for (unsigned number = 0; number < 4; number++)
        for (const std::int64_t sealed : {std::int64_t{0}, std::int64_t{5}, INT64_MAX}) {
            char code[kCodeLength];
            WriteCode(sealed, code, number);
            const DecodedCode decoded = ParseCodeWithSpare({code, kCodeLength});
            EXPECT_EQ(decoded.error, CodeError::kNone);
            EXPECT_EQ(decoded.spare, number);
            EXPECT_EQ(decoded.id, sealed);
        }
    EXPECT_EQ(ParseCodeWithSpare("zzzzzzzzzzzzz").spare, 3U);
    EXPECT_EQ(ParseCodeWithSpare("8000000000000").spare, 1U);
    EXPECT_EQ(ParseCodeWithSpare("U000000000000").error, CodeError::kCharacter);
    EXPECT_EQ(ParseCodeWithSpare("000000000000").error, CodeError::kLength);
}

} // namespace
