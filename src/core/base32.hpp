#pragma once

#include "core_only.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

/// IDs as short codes: Douglas Crockford's base32, as TSID's canonical string
/// has it. 13 characters of 5 bits, the largest first, so that the codes of IDs
/// sort by bytes as the IDs do.
namespace timeshard {

inline constexpr std::size_t kCodeLength = 13;

/// Writes the 13 characters of a `value`, such as an ID, to `out`, no terminator. The two
/// bits that an ID leaves free are `spare`, 0 to 3.
void WriteCode(std::uint64_t value, char *out, unsigned spare = 0);

/// Why a text is not a code.
enum class CodeError : std::uint8_t {
    kNone,
    kLength,    ///< not 13 characters
    kCharacter, ///< one that is not of the alphabet
    kTooLarge,  ///< past the largest value
};

/// A decoded code; meaningful if `error` is kNone.
struct DecodedCode
{
    CodeError error;
    std::int64_t id;
    unsigned spare = 0; ///< the two largest bits
};

/// Reads a code of at most `largest`, 2^63 - 1 for an ID: digits and letters of either
/// case, I and L as 1 and O as 0.
DecodedCode ParseCode(std::string_view text, std::uint64_t largest = INT64_MAX);

/// Reads a code whose two spare bits may be set. kTooLarge does not happen.
DecodedCode ParseCodeWithSpare(std::string_view text);

} // namespace timeshard
