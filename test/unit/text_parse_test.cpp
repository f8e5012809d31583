/// IDs from text: chosen examples of every rule.

#include "text.hpp"
#include "text_reference.hpp"

#include <cstdint>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace {

using namespace timeshard;
using namespace std::string_literals;

constexpr ParsedId Id(std::int64_t id)
{
    return {TextError::kNone, id};
}

constexpr ParsedId Error(TextError error)
{
    return {error, 0};
}

TEST(ParseFormatted, PlainIds)
{
    EXPECT_EQ(ParseFormatted("0"), Id(0));
    EXPECT_EQ(ParseFormatted("5"), Id(5));
    EXPECT_EQ(ParseFormatted("0000000000000000005"), Id(5));
    EXPECT_EQ(ParseFormatted("262834567890123456"), Id(262834567890123456));
    EXPECT_EQ(ParseFormatted("9223372036854775807"), Id(INT64_MAX));
    EXPECT_EQ(ParseFormatted("9223372036854775808"), Error(TextError::kTooLarge));
    EXPECT_EQ(ParseFormatted("9999999999999999999"), Error(TextError::kTooLarge));
    EXPECT_EQ(ParseFormatted("00000000000000000005"), Error(TextError::kTooManyDigits));
    EXPECT_EQ(ParseFormatted("18446744073709551621"), Error(TextError::kTooManyDigits));
    EXPECT_EQ(ParseFormatted(std::string(1000000, '1')), Error(TextError::kTooManyDigits));
    EXPECT_EQ(ParseFormatted(""), Error(TextError::kEmpty));
}

TEST(ParseFormatted, LeadingPrefixes)
{
    EXPECT_EQ(ParseFormatted("TXN_0262834567890123456"), Id(262834567890123456));
    // Made elsewhere, unpadded.
    EXPECT_EQ(ParseFormatted("TXN_262834567890123456"), Id(262834567890123456));
    EXPECT_EQ(ParseFormatted("TXN_5"), Id(5));
    EXPECT_EQ(ParseFormatted("A1B2024-0262834567890123456"), Id(262834567890123456));
    EXPECT_EQ(ParseFormatted("Bestellung-№-客户-0000000000000000005"), Id(5));
    EXPECT_EQ(ParseFormatted(" 5"), Id(5));
    EXPECT_EQ(ParseFormatted("+5"), Id(5));
    EXPECT_EQ(ParseFormatted("--5"), Id(5));
    EXPECT_EQ(ParseFormatted("-X5"), Id(5));
    EXPECT_EQ(ParseFormatted("\xff\x80"s + "5"), Id(5));
    EXPECT_EQ(ParseFormatted(std::string(20000000, 'p') + "0000000000000000005"), Id(5));

    EXPECT_EQ(ParseFormatted("-5"), Error(TextError::kNegative));
    EXPECT_EQ(ParseFormatted("-9223372036854775808"), Error(TextError::kNegative));
    EXPECT_EQ(ParseFormatted("-0000000000000000000000005"), Error(TextError::kNegative));
    EXPECT_EQ(ParseFormatted("-"), Error(TextError::kNoDigits));
    EXPECT_EQ(ParseFormatted("X"), Error(TextError::kNoDigits));
    EXPECT_EQ(ParseFormatted("X0262834567890123456 "), Error(TextError::kNoDigits));
    EXPECT_EQ(ParseFormatted("X٣"), Error(TextError::kNoDigits));
}

TEST(ParseFormatted, InsertedPrefixes)
{
    EXPECT_EQ(ParseFormatted("0TXN_000000000000000005"), Id(5));
    EXPECT_EQ(ParseFormatted("026283-4567890123456"), Id(262834567890123456));
    EXPECT_EQ(ParseFormatted("0262834567890123456USD"), Id(262834567890123456));
    EXPECT_EQ(ParseFormatted("0262834-№-客户-567890123456"), Id(262834567890123456));
    for (const char *text :
         {"5USD", "0-5", "026-2834567890123", "26283-4567890123456", "00262834567890123456USD",
          "5-", "0262834-5-67890123456", "2024-0262834567890123456", "5a5b5",
          "0262834A567890123456B", "026283A1B4567890123456"})
        EXPECT_EQ(ParseFormatted(text), Error(TextError::kAmbiguous)) << text;
}

/// NUL is a character like any other, and no end.
TEST(ParseFormatted, EmbeddedNul)
{
    EXPECT_EQ(ParseFormatted("\0"s), Error(TextError::kNoDigits));
    EXPECT_EQ(ParseFormatted("5\0"s), Error(TextError::kAmbiguous));
    EXPECT_EQ(ParseFormatted("\0"s + "5"), Id(5));
    EXPECT_EQ(ParseFormatted("0262834\0"s + "567890123456"), Id(262834567890123456));
    EXPECT_EQ(ParseFormatted("a\0b"s + "5", "a\0b"s), Id(5));
    EXPECT_EQ(ParseFormatted("a\0c"s + "5", "a\0b"s), Error(TextError::kPrefixAbsent));
}

TEST(ParseFormattedWithPrefix, RemovesItFromWhereItStands)
{
    EXPECT_EQ(ParseFormatted("TXN_5", "TXN_"), Id(5));
    EXPECT_EQ(ParseFormatted("5TXN_", "TXN_"), Id(5));
    EXPECT_EQ(ParseFormatted("26TXN_283", "TXN_"), Id(26283));
    EXPECT_EQ(ParseFormatted("2024-0262834567890123456", "2024-"), Id(262834567890123456));
    // Behind a prefix that ends in a digit, unpadded.
    EXPECT_EQ(ParseFormatted("V2262834567890123456", "V2"), Id(262834567890123456));
    EXPECT_EQ(ParseFormatted("-5", "-"), Id(5));
    EXPECT_EQ(ParseFormatted("77", "7"), Id(7));
    EXPECT_EQ(ParseFormatted("5", ""), Id(5));
    EXPECT_EQ(ParseFormatted("0262834567890123456", ""), Id(262834567890123456));
    EXPECT_EQ(ParseFormatted("№5", "№"), Id(5));
    const std::string huge(20000000, 'p');
    EXPECT_EQ(ParseFormatted("02628" + huge + "34567890123456", huge), Id(262834567890123456));
    const std::string huge_digits(1000000, '1');
    EXPECT_EQ(ParseFormatted(huge_digits + "11111", huge_digits), Id(11111));
}

TEST(ParseFormattedWithPrefix, Refuses)
{
    const struct
    {
        std::string text, prefix;
        TextError error;
    } cases[] = {
        {"", "", TextError::kEmpty},
        {"", "X", TextError::kEmpty},
        {"X", "X", TextError::kPrefixAbsent},
        {"X", "XX", TextError::kPrefixAbsent},
        {"5", "X", TextError::kPrefixAbsent},
        {"Y5", "X", TextError::kPrefixAbsent},
        {"x5", "X", TextError::kPrefixAbsent},
        {"XX5", "X", TextError::kPrefixAbsent},
        {"X5 ", "X", TextError::kPrefixAbsent},
        {"aX5", "X", TextError::kPrefixAbsent},
        {"5X5Y", "X", TextError::kPrefixAbsent},
        {"a5", "", TextError::kPrefixAbsent},
        {"X00000000000000000005", "X", TextError::kPrefixAbsent},
        {"00000000000000000005", "", TextError::kTooManyDigits},
        {"9223372036854775808", "", TextError::kTooLarge},
        {"9223372036854775X808", "X", TextError::kTooLarge},
    };
    for (const auto &[text, prefix, error] : cases)
        EXPECT_EQ(ParseFormatted(text, prefix).error, error) << text << " less " << prefix;
}

/// Only a prefix of digits alone can stand in two places.
TEST(ParseFormattedWithPrefix, TwoPlaces)
{
    EXPECT_EQ(ParseFormatted("1213", "1"), Error(TextError::kPrefixTwice));
    EXPECT_EQ(ParseFormatted("0102", "0"), Error(TextError::kPrefixTwice));
    EXPECT_EQ(ParseFormatted("1121", "1"), Error(TextError::kPrefixTwice));
    EXPECT_EQ(ParseFormatted("12121", "121"), Error(TextError::kPrefixTwice));
    EXPECT_EQ(ParseFormatted("20240000002024000000005", "2024"), Error(TextError::kPrefixTwice));
    // The places leave the same ID.
    EXPECT_EQ(ParseFormatted("1212", "12"), Id(12));
    EXPECT_EQ(ParseFormatted("1115", "1"), Id(115));
    EXPECT_EQ(ParseFormatted("005", "0"), Id(5));
    EXPECT_EQ(ParseFormatted("20242024", "2024"), Id(2024));
    // Overlapping itself, it still stands once.
    EXPECT_EQ(ParseFormatted("1215", "12"), Id(15));
    // One of the places leaves no ID, whichever comes first.
    EXPECT_EQ(ParseFormatted("19500000000000000001", "1"), Id(1950000000000000000));
    EXPECT_EQ(ParseFormatted("99223372036854775808", "8"), Error(TextError::kTooLarge));
    EXPECT_EQ(ParseFormatted("95000000000000000009", "9"), Id(5000000000000000009));
}

} // namespace
