#include "key_text.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace timeshard {
namespace {

constexpr std::uint64_t kLargest = INT64_MAX;

constexpr bool IsLetter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

constexpr bool IsForPrefix(char c)
{
    return IsLetter(c) || IsDigit(c) || c == '_' || c == '-' || c == '.' || c == ':';
}

/// Reads 19 digits up to `largest`.
bool ParseDigits(std::string_view text, std::uint64_t largest, std::uint64_t *value)
{
    const char *end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, *value);
    return error == std::errc{} && stop == end && *value <= largest;
}

bool ParseValue(std::string_view text, std::uint64_t largest, std::uint64_t *value)
{
    if (text.size() == kIdDigits)
        return ParseDigits(text, largest, value);
    const DecodedCode decoded = ParseCode(text, largest);
    *value = static_cast<std::uint64_t>(decoded.id);
    return decoded.error == CodeError::kNone;
}

} // namespace

KeyPrefixError CheckKeyPrefix(std::string_view prefix)
{
    if (prefix.empty() || prefix.size() > kMaxKeyPrefix)
        return KeyPrefixError::kLength;
    if (!std::all_of(prefix.begin(), prefix.end(), IsForPrefix))
        return KeyPrefixError::kCharacter;
    if (!IsLetter(prefix.front()))
        return KeyPrefixError::kStart;
    if (IsDigit(prefix.back()))
        return KeyPrefixError::kEnd;
    return KeyPrefixError::kNone;
}

char *WriteKey(std::int64_t key, std::string_view prefix, KeyStyle style, char *out)
{
    std::memcpy(out, prefix.data(), prefix.size());
    out += prefix.size();
    auto value = static_cast<std::uint64_t>(key);
    if (key < 0) {
        *out++ = '-';
        value = -value;
    }
    if (style == KeyStyle::kCode) {
        WriteCode(value, out);
        return out + kCodeLength;
    }
    WriteDigits(value, out);
    return out + kIdDigits;
}

bool ParseKey(std::string_view text, std::string_view prefix, std::int64_t *key)
{
    if (!text.starts_with(prefix))
        return false;
    text.remove_prefix(prefix.size());
    const bool negative = text.starts_with('-');
    if (negative)
        text.remove_prefix(1);

    std::uint64_t value = 0;
    if (!ParseValue(text, kLargest + negative, &value) || (negative && value == 0))
        return false;
    *key = static_cast<std::int64_t>(negative ? -value : value);
    return true;
}

} // namespace timeshard
