/// An ID with something beside it is read as that ID or not at all: texts by
/// name, and by the hundred thousand.

#include "text.hpp"
#include "text_reference.hpp"

#include <cstdint>
#include <random>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace {

using namespace timeshard;

constexpr ParsedId Id(std::int64_t id)
{
    return {TextError::kNone, id};
}

constexpr std::int64_t kId = 390233979859673088;

/// Each was once read as another ID.
TEST(ParseFormattedBeside, RefusesWhatMayBeAnotherId)
{
    for (const char *text :
         {"390233979859673088.0", "390233979859673088-1", "7-390233979859673088",
          "2FA_390233979859673088", "1767225600000-123456", "92233720368547758-07"})
        EXPECT_EQ(ParseFormatted(text).error, TextError::kAmbiguous) << text;

    for (const char *text :
         {"REG7390233979859673088", "REG73390233979859673088", "TXN_390233979859673088-1",
          "TXN_390233979859673088.0", "TXN_0390233979859673088/2", "TXN_5.0", "A5-7", "X3.9e17",
          "$390,233,979,859,673,088", "TXN_1390233979859673088", "TXN_9223372036854775807",
          "TXN_9999999999999999999",
          // 309023397985967308 and two digits, or 12 hidden in the prefix of a padded ID.
          "A30902339798596730812", "ACME20390233979859673088",
          // 5, padded, and a 7.
          "A00000000000000000057",
          // Two padded ones.
          "A0390233979859673088-0390233979859673089", "A390233979859673088-0390233979859673089",
          "A390233979859673088-390233979859673089"})
        EXPECT_EQ(ParseFormatted(text).error, TextError::kAmbiguousEnd) << text;
}

/// The zero of a padded ID may as well be the end of a prefix, and other digits
/// too few to be an ID stand in no one's way.
TEST(ParseFormattedBeside, ReadsWhatCanBeNoOther)
{
    for (const char *text :
         {"TXN_390233979859673088", "TXN_0390233979859673088", "REG0390233979859673088",
          "0-390233979859673088", "0FA_390233979859673088", "0390233979859673088.",
          "0390-233979859673088", "B2B-390233979859673088", "B2B-0390233979859673088",
          "A17-12345678901234567-0390233979859673088"})
        EXPECT_EQ(ParseFormatted(text), Id(kId)) << text;
}

/// The prefix tells what the text alone does not.
TEST(ParseFormattedBeside, ReadsThemWithThePrefix)
{
    EXPECT_EQ(ParseFormatted("390233979859673088.0", ".0"), Id(kId));
    EXPECT_EQ(ParseFormatted("390233979859673088-1", "-1"), Id(kId));
    EXPECT_EQ(ParseFormatted("7-390233979859673088", "7-"), Id(kId));
    EXPECT_EQ(ParseFormatted("2FA_390233979859673088", "2FA_"), Id(kId));
    EXPECT_EQ(ParseFormatted("REG7390233979859673088", "REG7"), Id(kId));
    EXPECT_EQ(ParseFormatted("REG7390233979859673088", "REG"), Id(7390233979859673088));
    EXPECT_EQ(ParseFormatted("ACME20390233979859673088", "ACME2"), Id(kId));
    EXPECT_EQ(ParseFormatted("TXN_9223372036854775807", "TXN_"), Id(INT64_MAX));
    EXPECT_EQ(ParseFormatted("92233720368547758-07", "-"), Id(INT64_MAX));
}

/// Random IDs, padded to 19 digits or not, with random digits and other
/// characters on either side. Unpadded, they have 18 or 19 digits: shorter ones
/// are read behind letters, where a digit in front of them cannot be told.
TEST(ParseFormattedBeside, ThatIdOrAnError)
{
    std::mt19937_64 random(18);
    const auto side = [&] {
        // Few digits, so that 18, 19 or 20 together are frequent; zeros, which look
        // like padding; and letters.
        static constexpr std::string_view kCharacters = "0011279_-.aX";
        std::string text;
        for (std::size_t n = random() % 4; n > 0; n--)
            text += kCharacters[random() % kCharacters.size()];
        return text;
    };
    int read = 0, refused = 0, unpadded_read = 0;

    for (int i = 0; i < 2000000 / SCALE; i++) {
        const bool padded = random() % 2 == 0;
        auto id = static_cast<std::int64_t>(random() >> 1);
        if (padded)
            id >>= random() % 63;
        else if (random() % 4 != 0)
            id = 100000000000000000 + id % 900000000000000000;
        else if (id < 100000000000000000)
            continue;
        std::string digits = std::to_string(id);
        if (padded)
            digits.insert(0, kIdDigits - digits.size(), '0');

        const std::string text = side() + digits + side();
        // Only digits are a number, and nothing beside one.
        if (timeshard::test::OnlyDigits(text))
            continue;
        const ParsedId parsed = ParseFormatted(text);
        if (parsed.error != TextError::kNone) {
            refused++;
            continue;
        }
        ASSERT_EQ(parsed.id, id) << '"' << text << '"';
        read++;
        unpadded_read += !padded;
    }
    EXPECT_GT(read, 50000 / SCALE);
    EXPECT_GT(unpadded_read, 20000 / SCALE);
    EXPECT_GT(refused, 50000 / SCALE);
}

/// Short IDs: a digit that touches them belongs to them, but none behind another
/// character does.
TEST(ParseFormattedBeside, ShortIdsOrAnError)
{
    for (const char *id : {"0", "5", "42", "1730", "90233979859673088"})
        for (const char *before : {"", "X", "X-", "7-", "A1-", "A1B"})
            for (const char *behind : {"", ".0", "-1", "/12", "e0", "X"}) {
                const std::string text = std::string(before) + id + behind;
                const ParsedId parsed = ParseFormatted(text);
                if (parsed.error == TextError::kNone) {
                    EXPECT_EQ(std::to_string(parsed.id), id) << text;
                }
            }
    EXPECT_EQ(ParseFormatted("X-42"), Id(42));
    EXPECT_EQ(ParseFormatted("A1B42").error, TextError::kAmbiguousEnd);
}

} // namespace
