/// WriteDigits and WriteFormatted. The input is a position, how far to shift the
/// IDs to the right (so that short ones are as frequent as long ones), two IDs
/// of 8 bytes, and the prefix.

#include "text_fuzz.hpp"

namespace timeshard::fuzz {
namespace {

/// What parsing without the prefix answers; only these can be.
Answers<5> answers({"read", "ambiguous", "too-many", "negative", "ambiguous-end"});

/// Digit by digit from the end.
std::string ReferenceDigits(std::int64_t id)
{
    std::string digits(19, '0');
    for (std::size_t i = digits.size(); id > 0; id /= 10)
        digits[--i] = static_cast<char>('0' + id % 10);
    return digits;
}

std::string Check(std::int64_t id, std::string_view prefix, std::size_t position)
{
    const std::string digits = ReferenceDigits(id);
    ExactText out(std::string(kIdDigits, '#'));
    WriteDigits(id, out.data());
    Require(std::string_view(out) == digits, "the 19 digits of the ID", {out, digits});

    const std::string text = Format(id, prefix, position);
    Require(text == std::string(digits).insert(position, prefix),
            "the digits with the prefix inserted", {text, digits, prefix});
    return text;
}

/// Read back as the same ID, or refused where the contract says so, and never
/// as another one.
void CheckReadBack(const std::string &text, std::int64_t id, std::string_view prefix,
                   std::size_t position)
{
    const ParsedId expected{TextError::kNone, id};
    const ParsedId with_prefix = Parse(text, prefix);
    const bool can_stand_twice = !prefix.empty() && !HasOther(prefix);
    Require(with_prefix == expected ||
                (can_stand_twice && with_prefix.error == TextError::kPrefixTwice),
            "read back with the prefix", {text, prefix});

    const ParsedId alone = Parse(text);
    switch (alone.error) {
    case TextError::kNone:
        answers.Count(0);
        Require(alone == expected, "read back as the same ID", {text, prefix});
        break;
    case TextError::kAmbiguous:
        answers.Count(1);
        Require((HasDigit(prefix) && HasOther(prefix)) || id >= kFirstWithoutZero,
                "ambiguous only by the prefix's digits or without a zero in front", {text, prefix});
        break;
    case TextError::kAmbiguousEnd:
        answers.Count(4);
        Require(HasDigit(prefix) || id >= kFirstWithoutZero,
                "ambiguous only by the prefix's digits or without a zero in front", {text, prefix});
        break;
    case TextError::kTooManyDigits:
        answers.Count(2);
        Require(can_stand_twice, "more digits only by the prefix's", {text, prefix});
        break;
    case TextError::kNegative:
        answers.Count(3);
        Require(position == 0 && prefix.front() == '-' && !HasOther(prefix.substr(1)),
                "negative only by the prefix's sign", {text, prefix});
        break;
    default:
        Fail("what is formatted is read, or needs its prefix", {text, prefix});
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    Input input(data, size);
    const std::size_t position = input.Count() % (kIdDigits + 1);
    const int shift = 1 + input.Count() % 63;
    const auto id = static_cast<std::int64_t>(input.Number() >> shift);
    const auto other = static_cast<std::int64_t>(input.Number() >> shift);
    const std::string_view prefix = input.Rest();

    answers.NextInput();
    const std::string text = Check(id, prefix, position);
    const std::string other_text = Check(other, prefix, position);
    // Bytes compare as unsigned ones, as in the server's "C" collation.
    Require((id < other) == (text < other_text) && (id == other) == (text == other_text),
            "text order is ID order", {text, other_text});
    CheckReadBack(text, id, prefix, position);
    CheckReadBack(other_text, other, prefix, position);
    return 0;
}

} // namespace timeshard::fuzz
