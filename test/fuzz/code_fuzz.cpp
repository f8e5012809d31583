/// ParseCode. The input is the text.

#include "base32.hpp"
#include "fuzz.hpp"

#include <optional>

namespace timeshard::fuzz {
namespace {

Answers<3> answers({"code", "no-code", "too-large"});

enum Answer { kCode, kNoCode, kTooLarge };

struct Reading
{
    Answer answer;
    std::uint64_t value;
};

/// Crockford's rule put down a second time: each character by its name.
std::optional<unsigned> Digit(char c)
{
    constexpr std::string_view kUpper = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    constexpr std::string_view kLower = "0123456789abcdefghjkmnpqrstvwxyz";
    if (std::string_view("oO").find(c) != std::string_view::npos)
        return 0;
    if (std::string_view("iIlL").find(c) != std::string_view::npos)
        return 1;
    for (unsigned value = 0; value < 32; value++)
        if (kUpper[value] == c || kLower[value] == c)
            return value;
    return std::nullopt;
}

Reading Reference(std::string_view text)
{
    if (text.size() != 13)
        return {kNoCode, 0};
    unsigned __int128 value = 0;
    for (const char c : text) {
        const std::optional<unsigned> digit = Digit(c);
        if (!digit)
            return {kNoCode, 0};
        value = value * 32 + *digit;
    }
    if (value > static_cast<unsigned __int128>(INT64_MAX))
        return {kTooLarge, 0};
    return {kCode, static_cast<std::uint64_t>(value)};
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    const std::string_view text = Input(data, size).Rest();
    const Reading expected = Reference(text);
    const DecodedCode decoded = ParseCode(ExactText(text));

    answers.NextInput();
    answers.Count(expected.answer);
    Require((decoded.error == CodeError::kNone) == (expected.answer == kCode) &&
                (decoded.error == CodeError::kTooLarge) == (expected.answer == kTooLarge),
            "agrees what is a code", {text});
    if (decoded.error != CodeError::kNone)
        return 0;
    std::string written(kCodeLength, ' ');
    WriteCode(decoded.id, written.data());
    Require(static_cast<std::uint64_t>(decoded.id) == expected.value, "agrees with the reference",
            {text, written});
    Require(ParseCode(ExactText(written)).id == decoded.id, "what is written again reads alike",
            {text, written});
    return 0;
}

} // namespace timeshard::fuzz
