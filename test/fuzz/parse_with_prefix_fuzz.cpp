/// ParseFormatted(text, prefix). The input is the prefix's length, a position,
/// the prefix and the text. The prefix is looked for in the text as it is, in
/// the text with the prefix inserted, and a part of the text is taken for it.

#include "text_fuzz.hpp"

#include <algorithm>

namespace timeshard::fuzz {
namespace {

/// In the order of TextError; four of it are about a prefix that is not known.
Answers<10> answers({"read", "empty", nullptr, nullptr, "too-many", nullptr, nullptr, "too-large",
                     "prefix-absent", "prefix-twice"});

ParsedId Check(std::string_view text, std::string_view prefix)
{
    const ParsedId parsed = Parse(text, prefix);

    Require(parsed == test::ReferenceParse(text, prefix), "agrees with the reference",
            {text, prefix});
    answers.Count(static_cast<std::size_t>(parsed.error));
    if (parsed.error != TextError::kNone)
        return parsed;

    // A text of full length is what the server writes for that ID, with the
    // prefix in one of the places.
    if (text.size() == prefix.size() + kIdDigits) {
        bool written = false;
        for (std::size_t position = 0; position <= kIdDigits && !written; position++)
            written = Format(parsed.id, prefix, position) == text;
        Require(written, "the ID formatted with the prefix is the text", {text, prefix});
        if (HasOther(prefix) && !HasDigit(prefix)) {
            const ParsedId alone = Parse(text);
            Require(alone == parsed || (prefix == "-" && alone.error == TextError::kNegative) ||
                        (alone.error != TextError::kNone && parsed.id >= kFirstWithoutZero),
                    "a prefix without digits need not be given", {text, prefix});
        }
    }
    return parsed;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    Input input(data, size);
    const std::size_t prefix_size = input.Count();
    const std::size_t at = input.Count();
    const std::string_view prefix = input.Text(prefix_size);
    const std::string_view text = input.Rest();
    const std::size_t position = at % (text.size() + 1);

    answers.NextInput();
    Check(text, prefix);
    Check(text, text.substr(position, prefix_size));

    std::string inserted(text);
    inserted.insert(position, prefix);
    const ParsedId parsed = Check(inserted, prefix);
    if (text.empty() || text.size() > kIdDigits || HasOther(text))
        return 0;
    const ParsedId id = test::ValueOf(text);
    if (id.error == TextError::kNone) {
        const bool can_stand_twice = !prefix.empty() && !HasOther(prefix);
        Require(parsed == id || (can_stand_twice && parsed.error == TextError::kPrefixTwice),
                "an inserted prefix is removed, or seen to be in two places", {inserted, prefix});
    }
    return 0;
}

} // namespace timeshard::fuzz
