#pragma once

#include "text.hpp"

#include <algorithm>
#include <cstdint>
#include <ostream>
#include <set>
#include <string>
#include <string_view>

namespace timeshard {

inline void PrintTo(const ParsedId &parsed, std::ostream *out)
{
    *out << "error " << static_cast<int>(parsed.error) << ", ID " << parsed.id;
}

inline bool operator==(const ParsedId &a, const ParsedId &b)
{
    return a.error == b.error && (a.error != TextError::kNone || a.id == b.id);
}

} // namespace timeshard

/// The rules for reading an ID from text, put down a second time as plainly as
/// they can be said, to hold the real ones against.
namespace timeshard::test {

inline bool OnlyDigits(std::string_view text)
{
    return text.find_first_not_of("0123456789") == text.npos;
}

/// The value of digits, at most 19 of them.
inline ParsedId ValueOf(std::string_view digits)
{
    unsigned __int128 value = 0;
    for (const char digit : digits)
        value = value * 10 + static_cast<unsigned>(digit - '0');
    if (value > static_cast<std::uint64_t>(INT64_MAX))
        return {TextError::kTooLarge, 0};
    return {TextError::kNone, static_cast<std::int64_t>(value)};
}

inline ParsedId ReferenceParse(std::string_view text)
{
    if (text.empty())
        return {TextError::kEmpty, 0};
    if (OnlyDigits(text))
        return text.size() > 19 ? ParsedId{TextError::kTooManyDigits, 0} : ValueOf(text);

    const std::size_t first_other = text.find_first_not_of("0123456789");
    const std::size_t last_other = text.find_last_not_of("0123456789");
    const std::string head(text.substr(0, first_other));
    const std::string middle(text.substr(first_other, last_other + 1 - first_other));
    const std::string tail(text.substr(last_other + 1));
    if (!head.empty()) {
        if (middle.find_first_of("0123456789") != middle.npos || head.size() + tail.size() != 19 ||
            head[0] != '0')
            return {TextError::kAmbiguous, 0};
        return ValueOf(head + tail);
    }
    if (tail.empty())
        return {TextError::kNoDigits, 0};
    if (middle == "-")
        return {TextError::kNegative, 0};
    // The longest run of digits before the end.
    std::size_t longest = 0, run = 0;
    for (const char c : middle)
        longest = std::max(longest, run = OnlyDigits({&c, 1}) ? run + 1 : 0);
    if (tail.size() > 19 || (tail.size() == 19 && tail[0] != '0') || longest >= 18 ||
        (longest > 0 && tail.size() < 18))
        return {TextError::kAmbiguousEnd, 0};
    return ValueOf(tail);
}

inline ParsedId ReferenceParse(std::string_view text, std::string_view prefix)
{
    if (text.empty())
        return {TextError::kEmpty, 0};
    if (prefix.empty() && OnlyDigits(text) && text.size() > 19)
        return {TextError::kTooManyDigits, 0};

    std::set<std::int64_t> ids;
    bool too_large = false;
    for (std::size_t at = text.find(prefix); at != text.npos; at = text.find(prefix, at + 1)) {
        const std::string rest =
            std::string(text.substr(0, at)) + std::string(text.substr(at + prefix.size()));
        if (rest.empty() || rest.size() > 19 || !OnlyDigits(rest))
            continue;
        const ParsedId value = ValueOf(rest);
        if (value.error == TextError::kNone)
            ids.insert(value.id);
        else
            too_large = true;
    }
    if (ids.size() > 1)
        return {TextError::kPrefixTwice, 0};
    if (ids.size() == 1)
        return {TextError::kNone, *ids.begin()};
    return {too_large ? TextError::kTooLarge : TextError::kPrefixAbsent, 0};
}

} // namespace timeshard::test
