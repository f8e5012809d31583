/// ParseKey, WriteKey and CheckKeyPrefix. The input is how many of its bytes are the
/// prefix, as a digit, the prefix, and the text.

#include "base32.hpp"
#include "fuzz.hpp"
#include "key_text.hpp"

#include <optional>

namespace timeshard::fuzz {
namespace {

Answers<5> answers({"digits", "code", "below-zero", "no-key", "bad-prefix"});

enum Answer { kDigits, kCode, kBelowZero, kNoKey, kBadPrefix };

struct Reading
{
    Answer answer;
    __int128 value;
};

constexpr Reading kNothing{kNoKey, 0};

/// 19 digits or 13 characters of base32, by hand. ParseCode, which has a target of its
/// own, says what a character is worth.
Reading ReferenceOf(std::string_view text)
{
    const bool code = text.size() == 13;
    if (!code && (text.size() != 19 || HasOther(text)))
        return kNothing;
    __int128 value = 0;
    for (const char c : text) {
        const DecodedCode digit = ParseCode(std::string(12, '0') + c);
        if (digit.error != CodeError::kNone)
            return kNothing;
        value = value * (code ? 32 : 10) + digit.id;
    }
    return {code ? kCode : kDigits, value};
}

Reading Reference(std::string_view text, std::string_view prefix)
{
    if (text.substr(0, prefix.size()) != prefix)
        return kNothing;
    text.remove_prefix(prefix.size());
    if (text.empty() || text[0] != '-') {
        const Reading reading = ReferenceOf(text);
        return reading.value <= INT64_MAX ? reading : kNothing;
    }
    const Reading reading = ReferenceOf(text.substr(1));
    if (reading.answer == kNoKey || reading.value == 0 || -reading.value < INT64_MIN)
        return kNothing;
    return {kBelowZero, -reading.value};
}

void CheckWritten(std::int64_t key, std::string_view prefix)
{
    for (const KeyStyle style : {KeyStyle::kDigits, KeyStyle::kCode}) {
        ExactText out(std::string(MaxKeyText(prefix), '#'));
        const std::string_view written(out.data(),
                                       WriteKey(key, prefix, style, out.data()) - out.data());
        std::int64_t back = ~key;
        Require(ParseKey(ExactText(written), prefix, &back) && back == key,
                "what is written is read alike", {written, prefix});
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    Input input(data, size);
    const ExactText prefix(input.Text(input.Count()));
    const std::string_view text = input.Rest();
    answers.NextInput();
    if (CheckKeyPrefix(prefix) != KeyPrefixError::kNone) {
        answers.Count(kBadPrefix);
        return 0;
    }
    const Reading expected = Reference(text, prefix);
    answers.Count(expected.answer);
    std::int64_t key = 0;
    const bool parsed = ParseKey(ExactText(text), prefix, &key);
    Require(parsed == (expected.answer != kNoKey), "agrees what is a key", {text, prefix});
    if (!parsed)
        return 0;
    Require(key == expected.value, "agrees with the reference", {text, prefix});
    CheckWritten(key, prefix);
    return 0;
}

} // namespace timeshard::fuzz
