/// IDs from text: many texts held against a second, plain reading of the
/// rules, and everything that is formatted read back.

#include "text.hpp"
#include "text_reference.hpp"

#include <cstdint>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace {

using namespace timeshard;
using namespace std::string_literals;
using timeshard::test::ReferenceParse;

constexpr ParsedId Id(std::int64_t id)
{
    return {TextError::kNone, id};
}

std::string Format(std::int64_t id, std::string_view prefix, std::size_t position)
{
    std::string out(kIdDigits + prefix.size(), '#');
    WriteFormatted(id, prefix, position, out.data());
    return out;
}

/// Holds both forms against the reference, and counts what was answered.
class Comparison
{
public:
    void Compare(const std::string &text)
    {
        const ParsedId parsed = ParseFormatted(text);
        ASSERT_EQ(parsed, ReferenceParse(text)) << '"' << text << '"';
        answers_[parsed.error]++;
    }

    void Compare(const std::string &text, const std::string &prefix)
    {
        const ParsedId parsed = ParseFormatted(text, prefix);
        const ParsedId expected = ReferenceParse(text, prefix);
        answers_with_prefix_[parsed.error]++;
        // Which reason is given for what is too long and no number is a matter
        // of taste.
        if (prefix.empty() && text.size() > kIdDigits) {
            ASSERT_NE(parsed.error, TextError::kNone) << '"' << text << '"';
        } else {
            ASSERT_EQ(parsed, expected) << '"' << text << "\" less \"" << prefix << '"';
        }
    }

    int Answers(TextError error) { return answers_[error]; }
    int AnswersWithPrefix(TextError error) { return answers_with_prefix_[error]; }

private:
    std::map<TextError, int> answers_, answers_with_prefix_;
};

/// Every text of up to `length` characters of `alphabet`.
std::vector<std::string> AllTexts(std::string_view alphabet, std::size_t length)
{
    std::vector<std::string> texts = {""};
    for (std::size_t i = 0; i < texts.size() && texts[i].size() < length; i++)
        for (const char c : alphabet)
            texts.push_back(texts[i] + c);
    return texts;
}

TEST(ParseFormatted, EveryShortText)
{
    Comparison comparison;
    for (const std::string &text : AllTexts("05a-", 7))
        ASSERT_NO_FATAL_FAILURE(comparison.Compare(text));

    const std::vector<std::string> prefixes = AllTexts("05a", 3);
    for (const std::string &text : AllTexts("05a", 6))
        for (const std::string &prefix : prefixes)
            ASSERT_NO_FATAL_FAILURE(comparison.Compare(text, prefix));
}

/// Texts around the length of an ID: mostly digits, some of them so many and so
/// large that the limits matter, and prefixes that are often part of them.
TEST(ParseFormatted, RandomTextsAroundAnIdsLength)
{
    std::mt19937_64 random(2031);
    const auto pick = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    const auto digits = [&](std::size_t n) {
        const std::string_view alphabet = pick(2) ? "0123456789" : "019";
        std::string text;
        while (text.size() < n)
            text += alphabet[pick(alphabet.size())];
        return text;
    };
    Comparison comparison;

    for (int i = 0; i < 300000 / SCALE; i++) {
        std::string text = pick(8) ? digits(17 + pick(5)) : digits(pick(5));
        const std::string others[] = {"a", "-", "№", "a1b", "2", "24", "X2", "3-", ""};
        for (std::size_t n = pick(3); n > 0; n--) {
            const std::size_t at = pick(3) ? pick(text.size() + 1) : 0;
            text.insert(at, others[pick(std::size(others))]);
        }
        ASSERT_NO_FATAL_FAILURE(comparison.Compare(text));

        const std::size_t begin = pick(text.size() + 1);
        ASSERT_NO_FATAL_FAILURE(comparison.Compare(text, text.substr(begin, pick(5))));
        ASSERT_NO_FATAL_FAILURE(comparison.Compare(text, others[pick(std::size(others))]));
    }

    // The plays were wide enough to reach every answer.
    for (const TextError error :
         {TextError::kNone, TextError::kEmpty, TextError::kNegative, TextError::kNoDigits,
          TextError::kTooManyDigits, TextError::kAmbiguous, TextError::kAmbiguousEnd,
          TextError::kTooLarge})
        EXPECT_GT(comparison.Answers(error), 20) << static_cast<int>(error);
    for (const TextError error :
         {TextError::kNone, TextError::kEmpty, TextError::kTooManyDigits, TextError::kTooLarge,
          TextError::kPrefixAbsent, TextError::kPrefixTwice})
        EXPECT_GT(comparison.AnswersWithPrefix(error), 20) << static_cast<int>(error);
}

/// What one server formats every server reads: given the prefix always, unless
/// it is of digits that can stand elsewhere; without it always if it has no
/// digits and the ID starts with a 0, until 2031; and never as another ID.
TEST(ParseFormatted, ReadsBackWhatIsFormatted)
{
    const std::string prefixes[] = {"",  "A", "TXN_", "№-客户", "a\0b"s, "\xff\x80", "/",  ":",
                                    "7", "0", "2024", "2024-",  "V2",    "a1b",      "-7-"};
    std::mt19937_64 random(64);
    std::vector<std::int64_t> ids = {0,
                                     1,
                                     9,
                                     2024,
                                     2024202420242024202,
                                     7777777777777777777,
                                     999999999999999999,
                                     1000000000000000000,
                                     INT64_MAX};
    for (int i = 0; i < 1000 / SCALE; i++)
        ids.push_back(static_cast<std::int64_t>(random() >> (1 + random() % 63)));

    for (const std::int64_t id : ids)
        for (const std::string &prefix : prefixes)
            for (std::size_t position = 0; position <= kIdDigits; position++) {
                const std::string text = Format(id, prefix, position);
                const bool has_digit = prefix.find_first_of("0123456789") != prefix.npos;
                const bool has_other = prefix.find_first_not_of("0123456789") != prefix.npos;
                const ParsedId alone = ParseFormatted(text);
                const ParsedId with_prefix = ParseFormatted(text, prefix);

                if (prefix.empty() || (!has_digit && id < 1000000000000000000) ||
                    alone.error == TextError::kNone) {
                    ASSERT_EQ(alone, Id(id)) << text;
                }
                if (has_other || prefix.empty() || with_prefix.error != TextError::kPrefixTwice) {
                    ASSERT_EQ(with_prefix, Id(id)) << text << " less " << prefix;
                }
            }
}

} // namespace
