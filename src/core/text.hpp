#pragma once

#include "core_only.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

/// The text forms of an ID: always 19 digits, zero-padded, with an optional
/// prefix inserted after some of them. All text is bytes; only the ASCII
/// digits have a meaning, so every server encoding passes through unharmed.
namespace timeshard {

/// Digits of 2^63 - 1. Padded to them, text order is time order.
inline constexpr std::size_t kIdDigits = 19;

/// Digits of an ID that is not padded, from nine months after the epoch till
/// seven and a half years after it. A text that may carry such an ID is read as
/// that one or not at all.
inline constexpr std::size_t kUnpaddedDigits = 18;

constexpr bool IsDigit(char c)
{
    return c >= '0' && c <= '9';
}

/// Writes the 19 digits of a `value` below 10^19, which every ID is, to `out`, no
/// terminator.
void WriteDigits(std::uint64_t value, char *out);

/// Writes the 19 digits of a non-negative `id` with `prefix` inserted after
/// `position` of them (0 to 19) to `out`, which holds prefix.size() + 19 bytes.
void WriteFormatted(std::int64_t id, std::string_view prefix, std::size_t position, char *out);

/// Why a text is not an ID.
enum class TextError : std::uint8_t {
    kNone,
    kEmpty,         ///< nothing to read
    kNegative,      ///< a minus sign and digits: more likely a number than a prefix
    kNoDigits,      ///< no digits where the ID should end
    kTooManyDigits, ///< only digits, but more than an ID has
    kAmbiguous,     ///< a prefix inserted, and not exactly 19 digits from a 0 on around it
    kAmbiguousEnd,  ///< digits at the end that may be more, fewer or others than those of the ID
    kTooLarge,      ///< the digits are past 2^63 - 1
    kPrefixAbsent,  ///< the given prefix is not there, or not only digits are around it
    kPrefixTwice,   ///< the given prefix can stand in two places with different IDs left
};

/// A parsed ID; meaningful if `error` is kNone.
struct ParsedId
{
    TextError error;
    std::int64_t id;
};

/// Reads an ID from text with no, a leading or an inserted prefix that is not
/// known; refuses if the text can also be another ID with something beside it.
/// Only digits: the ID. A digit first: the prefix was inserted, and 19 digits,
/// the first a 0, must be around one run of other characters. Else the ID is the
/// digits at the end: 19 that start with a 0, or fewer. If there are at least 18,
/// no other 18 may be in a row before them; if fewer, no other digit.
ParsedId ParseFormatted(std::string_view text);

/// Reads an ID from text that carries `prefix` somewhere; what is left when it
/// is removed must be 1 to 19 digits.
ParsedId ParseFormatted(std::string_view text, std::string_view prefix);

/// A whole decimal number, with an optional minus sign, and nothing else.
/// Returns false if `text` is not one or does not fit 64 bits.
bool ParseInteger(std::string_view text, std::int64_t *value);

} // namespace timeshard
