#include "base32.hpp"

namespace timeshard {
namespace {

/// Crockford's alphabet: no I, L, O, which read like digits, and no U.
constexpr char kAlphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr int kBitsPerCharacter = 5;
constexpr std::uint64_t kCharacterMask = (1 << kBitsPerCharacter) - 1;

/// Of the first character's bits, those of the ID; the two above them are spare.
constexpr int kIdBitsOfFirst = 3;

/// The bits of the twelve other characters.
constexpr int kBitsOfRest = (kCodeLength - 1) * kBitsPerCharacter;

/// The value of a character, -1 if it has none. Without a table, which would
/// have to be made before it is used.
constexpr int ValueOf(char c)
{
    if (c >= 'a' && c <= 'z')
        c = static_cast<char>(c - 'a' + 'A');
    if (c == 'I' || c == 'L')
        return 1;
    if (c == 'O')
        return 0;
    for (int value = 0; value <= static_cast<int>(kCharacterMask); value++)
        if (kAlphabet[value] == c)
            return value;
    return -1;
}

/// A code's characters: the value of the first, and of the others.
struct Characters
{
    CodeError error;
    std::uint64_t first;
    std::uint64_t rest;
};

Characters Read(std::string_view text)
{
    if (text.size() != kCodeLength)
        return {CodeError::kLength, 0, 0};

    Characters read{};
    for (std::size_t i = 0; i < kCodeLength; i++) {
        const int digit = ValueOf(text[i]);
        if (digit < 0)
            return {CodeError::kCharacter, 0, 0};
        std::uint64_t &value = i == 0 ? read.first : read.rest;
        value = value << kBitsPerCharacter | static_cast<std::uint64_t>(digit);
    }
    return read;
}

} // namespace

void WriteCode(std::uint64_t value, char *out, unsigned spare)
{
    for (std::size_t i = kCodeLength; i-- > 1; value >>= kBitsPerCharacter)
        out[i] = kAlphabet[value & kCharacterMask];
    out[0] = kAlphabet[spare << kIdBitsOfFirst | value];
}

DecodedCode ParseCode(std::string_view text, std::uint64_t largest)
{
    const Characters read = Read(text);
    if (read.error != CodeError::kNone)
        return {read.error, 0};
    const std::uint64_t value = read.first << kBitsOfRest | read.rest;
    if (read.first >> (64 - kBitsOfRest) != 0 || value > largest)
        return {CodeError::kTooLarge, 0};
    return {CodeError::kNone, static_cast<std::int64_t>(value)};
}

DecodedCode ParseCodeWithSpare(std::string_view text)
{
    const Characters read = Read(text);
    constexpr std::uint64_t kIdBits = (1 << kIdBitsOfFirst) - 1;
    return {read.error,
            static_cast<std::int64_t>((read.first & kIdBits) << kBitsOfRest | read.rest),
            static_cast<unsigned>(read.first >> kIdBitsOfFirst)};
}

} // namespace timeshard
