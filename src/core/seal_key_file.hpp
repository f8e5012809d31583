#pragma once

#include "core_only.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

/// The file with the keys of public codes. Each line is a key: its number, 0 to 3, then
/// spaces or tabs, then 64 hexadecimal digits. The first key seals, all of them open.
namespace timeshard {

inline constexpr std::size_t kMaxSealKeys = 4; // the numbers that two spare bits can hold
inline constexpr std::size_t kSealKeyBytes = 32;

/// More than four lines need.
inline constexpr std::size_t kMaxSealKeyFile = 1024;

/// Why a file is not one of keys.
enum class SealKeyFileError : std::uint8_t {
    kNone,
    kEmpty,    ///< no line
    kLine,     ///< a line of another form
    kRepeated, ///< a line with an earlier one's number
};

struct SealKey
{
    unsigned number;
    std::uint8_t bytes[kSealKeyBytes];
};

/// The keys of a file; meaningful if `error` is kNone. Whoever has it erases it after use.
struct SealKeyFile
{
    SealKeyFileError error = SealKeyFileError::kNone;
    int line = 0; ///< the line that the error is about, from 1
    std::size_t count = 0;
    SealKey keys[kMaxSealKeys + 1] = {}; ///< the last is for a line too many
};

/// Reads the content of a file into `file`, which is a new one. Lines end in LF or CR LF,
/// the last one may end without.
void ParseSealKeyFile(std::string_view content, SealKeyFile *file);

} // namespace timeshard
