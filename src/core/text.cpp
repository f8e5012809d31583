#include "text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace timeshard {
namespace {

/// "00" to "99" in a row: two digits for one division.
constexpr std::array<char, 200> kDigitPairs = [] {
    std::array<char, 200> pairs{};
    for (int i = 0; i < 100; i++) {
        pairs[i * 2] = static_cast<char>('0' + i / 10);
        pairs[i * 2 + 1] = static_cast<char>('0' + i % 10);
    }
    return pairs;
}();

/// `count` bytes of `text` from `begin`, which are there: unlike substr, which
/// would throw, and so need the C++ runtime.
constexpr std::string_view Slice(std::string_view text, std::size_t begin, std::size_t count)
{
    return {text.data() + begin, count};
}

constexpr bool IsOther(char c)
{
    return !IsDigit(c);
}

bool AllDigits(std::string_view text)
{
    return std::all_of(text.begin(), text.end(), IsDigit);
}

/// True if `count` digits or more stand in a row somewhere.
bool HasDigits(std::string_view text, std::size_t count)
{
    const auto digit = [](char c, bool) { return IsDigit(c); };
    return std::search_n(text.begin(), text.end(), count, true, digit) != text.end();
}

/// Eight digits of a number below 10^8.
void WriteEightDigits(std::uint32_t value, char *out)
{
    for (int pair = 3; pair >= 0; pair--) {
        std::memcpy(out + pair * 2, &kDigitPairs[value % 100 * 2], 2);
        value /= 100;
    }
}

/// The value of `head` followed by `tail`, at most 19 digits in all.
ParsedId FromDigits(std::string_view head, std::string_view tail)
{
    std::array<char, kIdDigits> digits;
    std::copy(head.begin(), head.end(), digits.begin());
    std::copy(tail.begin(), tail.end(), digits.begin() + head.size());

    std::int64_t id = 0;
    const char *end = digits.data() + head.size() + tail.size();
    if (std::from_chars(digits.data(), end, id).ec != std::errc{})
        return {TextError::kTooLarge, 0};
    return {TextError::kNone, id};
}

/// An ID around an inserted prefix that is not known: digits, one run of other
/// characters, digits. A prefix with digits of its own leaves more than 19.
/// Without the 0 in front, 19 digits can also be an unpadded ID and one more,
/// such as "390233979859673088.0", or no ID at all.
ParsedId ParseInserted(std::string_view text)
{
    const auto first = std::find_if(text.begin(), text.end(), IsOther);
    const auto last = std::find_if(text.rbegin(), text.rend(), IsOther).base();
    const std::string_view head(text.begin(), first);
    const std::string_view tail(last, text.end());

    if (std::any_of(first, last, IsDigit) || head.size() + tail.size() != kIdDigits ||
        head.front() != '0')
        return {TextError::kAmbiguous, 0};
    return FromDigits(head, tail);
}

/// An ID behind a leading prefix that is not known. If it is padded or has the 18
/// digits of an unpadded one, it is the only part with so many digits. If it has
/// fewer, every other digit may be the ID's.
ParsedId ParseBehind(std::string_view text)
{
    const auto begin = std::find_if(text.rbegin(), text.rend(), IsOther).base();
    const std::string_view prefix(text.begin(), begin);
    const std::string_view digits(begin, text.end());

    if (digits.empty())
        return {TextError::kNoDigits, 0};
    const bool padded = digits.size() == kIdDigits && digits.front() == '0';
    if ((digits.size() >= kIdDigits && !padded) ||
        HasDigits(prefix, digits.size() >= kUnpaddedDigits ? kUnpaddedDigits : 1))
        return {TextError::kAmbiguousEnd, 0};
    return FromDigits(digits, {});
}

} // namespace

void WriteDigits(std::uint64_t value, char *out)
{
    const auto top = static_cast<std::uint32_t>(value / 10000000000000000);
    const std::uint64_t rest = value % 10000000000000000;

    out[0] = static_cast<char>('0' + top / 100);
    std::memcpy(out + 1, &kDigitPairs[top % 100 * 2], 2);
    WriteEightDigits(static_cast<std::uint32_t>(rest / 100000000), out + 3);
    WriteEightDigits(static_cast<std::uint32_t>(rest % 100000000), out + 11);
}

/// The digits are written once, where those behind the prefix belong; the few in
/// front of it are then moved. Going by way of a buffer would read back what has
/// just been written in pieces, which stalls a processor's store buffer.
void WriteFormatted(std::int64_t id, std::string_view prefix, std::size_t position, char *out)
{
    WriteDigits(static_cast<std::uint64_t>(id), out + prefix.size());
    if (position > 0)
        std::memmove(out, out + prefix.size(), position);
    std::memcpy(out + position, prefix.data(), prefix.size());
}

ParsedId ParseFormatted(std::string_view text)
{
    if (text.empty())
        return {TextError::kEmpty, 0};
    if (AllDigits(text)) {
        if (text.size() > kIdDigits)
            return {TextError::kTooManyDigits, 0};
        return FromDigits(text, {});
    }
    if (IsDigit(text.front()))
        return ParseInserted(text);
    if (text.front() == '-' && text.size() > 1 && AllDigits(Slice(text, 1, text.size() - 1)))
        return {TextError::kNegative, 0};
    return ParseBehind(text);
}

ParsedId ParseFormatted(std::string_view text, std::string_view prefix)
{
    if (text.size() <= prefix.size())
        return {text.empty() ? TextError::kEmpty : TextError::kPrefixAbsent, 0};

    const std::size_t digits = text.size() - prefix.size();
    if (digits > kIdDigits) {
        const bool only_digits = prefix.empty() && AllDigits(text);
        return {only_digits ? TextError::kTooManyDigits : TextError::kPrefixAbsent, 0};
    }

    ParsedId found{TextError::kPrefixAbsent, 0};
    for (std::size_t position = 0; position <= digits; position++) {
        const std::string_view head = Slice(text, 0, position);
        const std::string_view tail = Slice(text, position + prefix.size(), digits - position);
        if (!AllDigits(head))
            break;
        if (!AllDigits(tail) || Slice(text, position, prefix.size()) != prefix)
            continue;
        const ParsedId candidate = FromDigits(head, tail);
        if (found.error == TextError::kNone && candidate.error == TextError::kNone &&
            candidate.id != found.id)
            return {TextError::kPrefixTwice, 0};
        if (found.error != TextError::kNone)
            found = candidate;
    }
    return found;
}

bool ParseInteger(std::string_view text, std::int64_t *value)
{
    const char *end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, *value);
    return error == std::errc{} && stop == end;
}

} // namespace timeshard
