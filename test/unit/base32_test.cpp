/// Short codes, against TSID's published strings and an independent reading.

#include "base32.hpp"
#include "text.hpp"

#include <cstdint>
#include <limits>
#include <random>
#include <string>

#include <gtest/gtest.h>

namespace {

using namespace timeshard;

std::string Code(std::int64_t id)
{
    std::string code(kCodeLength, ' ');
    WriteCode(id, code.data());
    return code;
}

std::int64_t Decoded(std::string_view code)
{
    const DecodedCode decoded = ParseCode(code);
    EXPECT_EQ(decoded.error, CodeError::kNone) << code;
    return decoded.id;
}

/// Numbers and canonical strings that belong together: from the README of
/// vladmihalcea/hypersistence-tsid and of yubinTW/tsid-ts, and the tests of
/// f4b6a3/tsid-creator.
TEST(Code, AgreesWithTsid)
{
    EXPECT_EQ(Code(388400145978465528), "0ARYZVZXW377R");
    EXPECT_EQ(Decoded("0ARYZVZXW377R"), 388400145978465528);
    EXPECT_EQ(Code(501438102971408389), "0DXBQ9H279R05");
    EXPECT_EQ(Code(10), "000000000000A");
}

TEST(Code, Ends)
{
    EXPECT_EQ(Code(0), "0000000000000");
    EXPECT_EQ(Code(31), "000000000000Z");
    EXPECT_EQ(Code(32), "0000000000010");
    EXPECT_EQ(Code(std::numeric_limits<std::int64_t>::max()), "7ZZZZZZZZZZZZ");
    EXPECT_EQ(Decoded("7ZZZZZZZZZZZZ"), std::numeric_limits<std::int64_t>::max());
}

TEST(Code, ReadsEitherCaseAndLettersThatLookLikeDigits)
{
    EXPECT_EQ(Decoded("0aryzvzxw377r"), 388400145978465528);
    EXPECT_EQ(Decoded("oO000000000iL"), 33);
    EXPECT_EQ(Decoded("0O000000000Il"), 33);
}

TEST(Code, ReadsEachCharacterAsCrockfordDoes)
{
    const std::string alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    for (int c = 0; c < 256; c++) {
        const std::string code = std::string(12, '0') + static_cast<char>(c);
        const char upper = static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
        std::size_t expected = alphabet.find(upper);
        if (upper == 'I' || upper == 'L')
            expected = 1;
        if (upper == 'O')
            expected = 0;
        const DecodedCode decoded = ParseCode(code);
        if (expected == std::string::npos || c == 0)
            EXPECT_EQ(decoded.error, CodeError::kCharacter) << c;
        else
            EXPECT_EQ(decoded.id, static_cast<std::int64_t>(expected)) << c;
    }
}

TEST(Code, RefusesTheRest)
{
    EXPECT_EQ(ParseCode("").error, CodeError::kLength);
    EXPECT_EQ(ParseCode("000000000000").error, CodeError::kLength);
    EXPECT_EQ(ParseCode("00000000000000").error, CodeError::kLength);
    EXPECT_EQ(ParseCode("U000000000000").error, CodeError::kCharacter);
    EXPECT_EQ(ParseCode("8000000000000").error, CodeError::kTooLarge);
    EXPECT_EQ(ParseCode("ZZZZZZZZZZZZZ").error, CodeError::kTooLarge);
    EXPECT_EQ(ParseCode("FZZZZZZZZZZZZ").error, CodeError::kTooLarge);
}

TEST(Code, SortsAsTheIdsDo)
{
    std::mt19937_64 random(5);
    for (int i = 0; i < 100000; i++) {
        const auto a = static_cast<std::int64_t>(random() >> (1 + random() % 63));
        const auto b = static_cast<std::int64_t>(random() >> (1 + random() % 63));
        ASSERT_EQ(a < b, Code(a) < Code(b)) << a << " " << b;
        ASSERT_EQ(Decoded(Code(a)), a);
    }
}

} // namespace
