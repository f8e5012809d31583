/// Typed keys in text.

#include "key_text.hpp"

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace {

using namespace timeshard;
using namespace std::string_literals;

constexpr char kGuard = '#';

/// WriteKey, with a look at the bytes on either side.
std::string Written(std::int64_t key, std::string_view prefix, KeyStyle style)
{
    std::string out(MaxKeyText(prefix) + 2, kGuard);
    const char *end = WriteKey(key, prefix, style, out.data() + 1);
    const std::size_t size = end - out.data() - 1;
    EXPECT_LE(size, MaxKeyText(prefix));
    EXPECT_EQ(out.front(), kGuard);
    EXPECT_EQ(out[size + 1], kGuard);
    return out.substr(1, size);
}

std::optional<std::int64_t> Read(std::string_view text, std::string_view prefix)
{
    std::int64_t key;
    return ParseKey(text, prefix, &key) ? std::optional(key) : std::nullopt;
}

TEST(Key, IsThePrefixAndTheIdInEitherStyle)
{
    EXPECT_EQ(Written(390236751975849984, "ORD_", KeyStyle::kDigits), "ORD_0390236751975849984");
    EXPECT_EQ(Written(388400145978465528, "ORD_", KeyStyle::kCode), "ORD_0ARYZVZXW377R");
    EXPECT_EQ(Read("ORD_0390236751975849984", "ORD_"), 390236751975849984);
    EXPECT_EQ(Read("ORD_0ARYZVZXW377R", "ORD_"), 388400145978465528);
    EXPECT_EQ(Read("ORD_0aryzvzxw377r", "ORD_"), 388400145978465528);
}

TEST(Key, EndsReadBack)
{
    EXPECT_EQ(Written(0, "A", KeyStyle::kDigits), "A0000000000000000000");
    EXPECT_EQ(Written(INT64_MAX, "A", KeyStyle::kDigits), "A9223372036854775807");
    EXPECT_EQ(Written(INT64_MAX, "A", KeyStyle::kCode), "A7ZZZZZZZZZZZZ");
    EXPECT_EQ(Read("A9223372036854775807", "A"), INT64_MAX);
    EXPECT_EQ(Read("A7ZZZZZZZZZZZZ", "A"), INT64_MAX);
    EXPECT_EQ(Read("A9223372036854775808", "A"), std::nullopt);
    EXPECT_EQ(Read("A8000000000000", "A"), std::nullopt);
    EXPECT_EQ(Read("A9999999999999999999", "A"), std::nullopt);
    EXPECT_EQ(Read("AZZZZZZZZZZZZZ", "A"), std::nullopt);
}

TEST(Key, BelowZeroHasAMinusBehindThePrefix)
{
    EXPECT_EQ(Written(-1, "A-", KeyStyle::kDigits), "A--0000000000000000001");
    EXPECT_EQ(Written(INT64_MIN, "A", KeyStyle::kDigits), "A-9223372036854775808");
    EXPECT_EQ(Written(INT64_MIN, "A", KeyStyle::kCode), "A-8000000000000");
    EXPECT_EQ(Read("A--0000000000000000001", "A-"), -1);
    EXPECT_EQ(Read("A-9223372036854775808", "A"), INT64_MIN);
    EXPECT_EQ(Read("A-8000000000000", "A"), INT64_MIN);
    EXPECT_EQ(Read("A-9223372036854775809", "A"), std::nullopt);
    EXPECT_EQ(Read("A-8000000000001", "A"), std::nullopt);
    EXPECT_EQ(Read("A-0000000000000000000", "A"), std::nullopt);
    EXPECT_EQ(Read("A-0000000000000", "A"), std::nullopt);
}

TEST(Key, EveryValueReadsBack)
{
    std::mt19937_64 random(24);
    for (int i = 0; i < 100000 / SCALE; i++) {
        const auto key = static_cast<std::int64_t>(random() >> random() % 64);
        for (const KeyStyle style : {KeyStyle::kDigits, KeyStyle::kCode})
            for (const std::int64_t signed_key : {key, -key})
                EXPECT_EQ(Read(Written(signed_key, "ORD_", style), "ORD_"), signed_key);
    }
}

TEST(Key, AnythingElseIsRefused)
{
    for (const char *text : {"",
                             "ORD_",
                             "ORD",
                             "ORD_0",
                             "ORD_390236751975849984",
                             "ORD_00390236751975849984",
                             "CUS_0390236751975849984",
                             "ord_0390236751975849984",
                             "0390236751975849984",
                             " ORD_0390236751975849984",
                             "ORD_0390236751975849984 ",
                             "ORD_+390236751975849984",
                             "ORD_ 390236751975849984",
                             "ORD_-0390236751975849984-",
                             "ORD_--390236751975849984",
                             "ORD_039023675197584998x",
                             "ORD_0ARYZVZXW377",
                             "ORD_0ARYZVZXW377RR",
                             "ORD_UARYZVZXW377R",
                             "ORD_ORD_0390236751975849984",
                             "-ORD_0390236751975849984",
                             "ORD_0x90236751975849984"})
        EXPECT_EQ(Read(text, "ORD_"), std::nullopt) << text;
    EXPECT_EQ(Read("ORD_0390236751975849984\0"s, "ORD_"), std::nullopt);
    EXPECT_EQ(Read("ORD_\0ARYZVZXW377R"s, "ORD_"), std::nullopt);
}

TEST(KeyPrefix, HasLettersDigitsAndFourMore)
{
    for (const char *prefix :
         {"O", "z", "ORD_", "ord-", "a.b:c-d_e", "A1_", "A12345678901234567890123456789_"})
        EXPECT_EQ(CheckKeyPrefix(prefix), KeyPrefixError::kNone) << prefix;
    EXPECT_EQ(CheckKeyPrefix(""), KeyPrefixError::kLength);
    EXPECT_EQ(CheckKeyPrefix(std::string(32, 'a')), KeyPrefixError::kNone);
    EXPECT_EQ(CheckKeyPrefix(std::string(33, 'a')), KeyPrefixError::kLength);
    EXPECT_EQ(CheckKeyPrefix("_ORD"), KeyPrefixError::kStart);
    EXPECT_EQ(CheckKeyPrefix("1ORD_"), KeyPrefixError::kStart);
    EXPECT_EQ(CheckKeyPrefix("ORD1"), KeyPrefixError::kEnd);
    for (int c = 0; c < 256; c++) {
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        const bool digit = c >= '0' && c <= '9';
        const bool accepted =
            letter || digit ||
            std::string_view("_-.:").find(static_cast<char>(c)) != std::string_view::npos;
        EXPECT_EQ(CheckKeyPrefix("a"s + static_cast<char>(c) + "b") == KeyPrefixError::kNone,
                  accepted)
            << c;
    }
}

} // namespace
