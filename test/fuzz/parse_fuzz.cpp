/// ParseFormatted(text). The input is the text.

#include "text_fuzz.hpp"

#include <algorithm>

namespace timeshard::fuzz {
namespace {

/// In the order of TextError; its last two are about a given prefix.
Answers<8> answers({"read", "empty", "negative", "no-digits", "too-many", "ambiguous",
                    "ambiguous-end", "too-large"});

/// The prefix that a text was found to have, if it was read as an ID.
std::string_view PrefixOf(std::string_view text)
{
    if (!HasOther(text))
        return {};
    const std::size_t digits_from = text.find_last_not_of("0123456789") + 1;
    if (HasDigit(text.substr(0, 1))) {
        const std::size_t begin = text.find_first_not_of("0123456789");
        return text.substr(begin, digits_from - begin);
    }
    return text.substr(0, digits_from);
}

/// True if every ID that may stand in `text`, padded or with 18 or 19 digits of
/// its own, whatever touches it, is `id`.
bool CanBeNoOther(std::string_view text, std::int64_t id)
{
    for (const std::size_t size : {kUnpaddedDigits, kIdDigits})
        for (std::size_t at = 0; at + size <= text.size(); at++) {
            const std::string_view part = text.substr(at, size);
            if (HasOther(part) || (size < kIdDigits && part.front() == '0'))
                continue;
            const ParsedId other = test::ValueOf(part);
            if (other.error == TextError::kNone && other.id != id)
                return false;
        }
    return true;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    const std::string_view text = Input(data, size).Rest();
    const ParsedId parsed = Parse(text);

    answers.NextInput();
    answers.Count(static_cast<std::size_t>(parsed.error));
    Require(parsed == test::ReferenceParse(text), "agrees with the reference", {text});

    if (parsed.error != TextError::kNone)
        return 0;
    Require(parsed.id >= 0, "an ID is not negative", {text});
    Require(!HasOther(text) || CanBeNoOther(text, parsed.id), "no other ID can stand in the text",
            {text});
    const std::string_view prefix = PrefixOf(text);
    Require(Parse(text, prefix) == parsed, "given its prefix, a text is read alike",
            {text, prefix});

    // What the server would write for this ID and prefix is the text again, if
    // that was padded, and reads as the same ID.
    const std::size_t position = std::min(text.find_first_not_of("0123456789"), kIdDigits);
    const std::string formatted = Format(parsed.id, prefix, HasOther(text) ? position : 0);
    Require(Parse(formatted) == parsed, "what is formatted again reads alike", {text, formatted});
    Require(formatted.size() != text.size() || formatted == text,
            "what is formatted again is the same text", {text, formatted});
    return 0;
}

} // namespace timeshard::fuzz
