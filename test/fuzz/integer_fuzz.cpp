/// ParseInteger. The input is the text.

#include "fuzz.hpp"
#include "text.hpp"

#include <optional>

namespace timeshard::fuzz {
namespace {

Answers<3> answers({"number", "no-number", "out-of-range"});

enum Answer { kNumber, kNoNumber, kOutOfRange };

struct Reading
{
    Answer answer;
    std::int64_t value;
};

/// The rule put down a second time: a minus sign or none, then digits only.
Reading Reference(std::string_view text)
{
    const bool negative = text.substr(0, 1) == "-";
    const std::string_view digits = text.substr(negative ? 1 : 0);
    if (digits.empty() || HasOther(digits))
        return {kNoNumber, 0};

    constexpr __int128 kFarOutside = static_cast<__int128>(1) << 100;
    __int128 value = 0;
    for (const char digit : digits)
        if (value < kFarOutside)
            value = value * 10 + (digit - '0');
    if (negative)
        value = -value;
    if (value < INT64_MIN || value > INT64_MAX)
        return {kOutOfRange, 0};
    return {kNumber, static_cast<std::int64_t>(value)};
}

std::optional<std::int64_t> Parse(std::string_view text)
{
    std::int64_t value = 0;
    if (!ParseInteger(ExactText(text), &value))
        return std::nullopt;
    return value;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    const std::string_view text = Input(data, size).Rest();
    const Reading expected = Reference(text);
    const std::optional<std::int64_t> value = Parse(text);

    answers.NextInput();
    answers.Count(expected.answer);
    Require(value.has_value() == (expected.answer == kNumber), "agrees what is a number", {text});
    if (!value)
        return 0;
    const std::string written = std::to_string(*value);
    Require(*value == expected.value, "agrees with the reference", {text, written});
    Require(Parse(written) == value, "what is written again reads alike", {text, written});
    return 0;
}

} // namespace timeshard::fuzz
