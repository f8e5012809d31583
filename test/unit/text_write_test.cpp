/// IDs to text, and whole numbers from it.

#include "text.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace {

using namespace timeshard;
using namespace std::string_literals;

constexpr char kGuard = '#';

/// WriteDigits, with a look at the bytes on either side.
std::string Digits(std::int64_t id)
{
    std::string out(kIdDigits + 2, kGuard);
    WriteDigits(id, out.data() + 1);
    EXPECT_EQ(out.front(), kGuard);
    EXPECT_EQ(out.back(), kGuard);
    return out.substr(1, kIdDigits);
}

std::string Formatted(std::int64_t id, std::string_view prefix, std::size_t position)
{
    std::string out(kIdDigits + prefix.size() + 2, kGuard);
    WriteFormatted(id, prefix, position, out.data() + 1);
    EXPECT_EQ(out.front(), kGuard);
    EXPECT_EQ(out.back(), kGuard);
    return out.substr(1, kIdDigits + prefix.size());
}

std::string Expected(std::int64_t id)
{
    char text[32];
    std::snprintf(text, sizeof text, "%019lld", static_cast<long long>(id));
    return text;
}

TEST(WriteDigits, PadsToNineteen)
{
    EXPECT_EQ(Digits(0), "0000000000000000000");
    EXPECT_EQ(Digits(1), "0000000000000000001");
    EXPECT_EQ(Digits(INT64_MAX), "9223372036854775807");
    EXPECT_EQ(Digits(INT64_MAX - 1), "9223372036854775806");
}

TEST(WriteDigits, AroundEveryPowerOfTenAndTwo)
{
    for (std::int64_t power = 1;; power *= 10) {
        for (const std::int64_t id : {power - 1, power, power + 1})
            EXPECT_EQ(Digits(id), Expected(id));
        if (power > INT64_MAX / 10)
            break;
    }
    for (int bit = 0; bit < 63; bit++)
        for (const std::int64_t delta : {-1, 0, 1}) {
            const std::int64_t id = (std::int64_t{1} << bit) + delta;
            EXPECT_EQ(Digits(id), Expected(id));
        }
}

TEST(WriteDigits, EveryPairOfDigitsInEveryPlace)
{
    for (std::int64_t place = 1; place <= 10000000000000000; place *= 10)
        for (std::int64_t pair = 0; pair < 100; pair++)
            EXPECT_EQ(Digits(pair * place), Expected(pair * place));
}

/// As text the order is that of the IDs, also over mid 2031, when IDs of the
/// default epoch grow from 18 digits to 19.
TEST(WriteDigits, TextOrderIsIdOrder)
{
    std::mt19937_64 random(19);
    std::vector<std::int64_t> ids = {0, 1, 999999999999999999, 1000000000000000000, INT64_MAX};
    for (int i = 0; i < 10000; i++)
        ids.push_back(static_cast<std::int64_t>(random() >> (1 + random() % 63)));
    std::sort(ids.begin(), ids.end());

    for (std::size_t i = 1; i < ids.size(); i++) {
        if (ids[i - 1] < ids[i]) {
            EXPECT_LT(Digits(ids[i - 1]), Digits(ids[i]));
        }
    }
}

TEST(WriteFormatted, InsertsThePrefixAtEveryPosition)
{
    const std::int64_t id = 123456789012345678;
    const std::string digits = "0123456789012345678";
    const std::string prefixes[] = {"",         "A",
                                    "TXN_",     "7",
                                    "2024",     "Bestellung-№-客户-",
                                    " ",        "a\0b"s,
                                    "\xff\x80", std::string(100, 'x')};

    for (const std::string &prefix : prefixes)
        for (std::size_t position = 0; position <= kIdDigits; position++)
            EXPECT_EQ(Formatted(id, prefix, position),
                      std::string(digits).insert(position, prefix));
}

TEST(WriteFormatted, TakesAHugePrefix)
{
    const std::string prefix(20000000, 'p');
    const std::string text = Formatted(INT64_MAX, prefix, 7);

    EXPECT_EQ(text.substr(0, 8), "9223372p");
    EXPECT_EQ(text.substr(text.size() - 13), "p036854775807");
}

TEST(ParseInteger, ReadsWholeNumbers)
{
    const struct
    {
        std::string_view text;
        std::int64_t value;
    } cases[] = {{"0", 0},
                 {"-0", 0},
                 {"7", 7},
                 {"-1", -1},
                 {"007", 7},
                 {"1702385533000", 1702385533000},
                 {"9223372036854775807", INT64_MAX},
                 {"-9223372036854775808", INT64_MIN},
                 {"00000000000000000000000001", 1}};
    for (const auto &[text, value] : cases) {
        std::int64_t parsed = 99;
        EXPECT_TRUE(ParseInteger(text, &parsed)) << text;
        EXPECT_EQ(parsed, value) << text;
    }
}

TEST(ParseInteger, RefusesAllElse)
{
    const std::string texts[] = {"",
                                 " ",
                                 "-",
                                 "+1",
                                 "--1",
                                 " 1",
                                 "1 ",
                                 "1\n",
                                 "1\0"s,
                                 "\0001"s,
                                 "0x10",
                                 "1e3",
                                 "1.0",
                                 "1_0",
                                 "1,000",
                                 "one",
                                 "٣",
                                 "9223372036854775808",
                                 "-9223372036854775809",
                                 "99999999999999999999999999"};
    for (const std::string &text : texts) {
        std::int64_t parsed;
        EXPECT_FALSE(ParseInteger(text, &parsed)) << text;
    }
}

} // namespace
