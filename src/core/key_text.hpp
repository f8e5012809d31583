#pragma once

#include "base32.hpp"
#include "core_only.hpp"
#include "text.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

/// The text of a typed key: the prefix of its type, and the ID as 19 digits or as
/// a code. A value below 0, which no generator makes but a cast lets in, has a minus
/// behind the prefix: a dump of it must restore.
namespace timeshard {

inline constexpr std::size_t kMaxKeyPrefix = 32;

/// How a type writes its keys. It reads both.
enum class KeyStyle : std::uint8_t {
    kDigits, ///< 19 digits
    kCode,   ///< 13 characters of Crockford's base32
};

/// Why a text is no prefix of a type.
enum class KeyPrefixError : std::uint8_t {
    kNone,
    kLength,    ///< not 1 to 32 bytes
    kStart,     ///< the first character is no letter
    kEnd,       ///< the last character is a digit, which would run into the ID's
    kCharacter, ///< one that is not a letter, a digit or one of "_-.:", all ASCII
};

KeyPrefixError CheckKeyPrefix(std::string_view prefix);

/// The most bytes that WriteKey() writes.
constexpr std::size_t MaxKeyText(std::string_view prefix)
{
    return prefix.size() + 1 + kIdDigits;
}

/// Writes a key to `out`, no terminator. Returns the end of what is written.
char *WriteKey(std::int64_t key, std::string_view prefix, KeyStyle style, char *out);

/// Reads a key with that prefix, in either style. Returns false if `text` is
/// anything else: another prefix, unpadded digits, blanks, a value past 63 bits,
/// a minus before 0.
bool ParseKey(std::string_view text, std::string_view prefix, std::int64_t *key);

} // namespace timeshard
