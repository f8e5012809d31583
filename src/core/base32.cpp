#include "base32.hpp"

namespace timeshard {
namespace {

/// Crockford's alphabet: no I, L, O, which read like digits, and no U.
constexpr char kAlphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr int kBitsPerCharacter = 5;
constexpr std::uint64_t kCharacterMask = (1 << kBitsPerCharacter) - 1;

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

} // namespace

void WriteCode(std::uint64_t value, char *out)
{
    for (std::size_t i = kCodeLength; i-- > 0; value >>= kBitsPerCharacter)
        out[i] = kAlphabet[value & kCharacterMask];
}

DecodedCode ParseCode(std::string_view text, std::uint64_t largest)
{
    if (text.size() != kCodeLength)
        return {CodeError::kLength, 0};

    std::uint64_t value = 0;
    for (const char c : text) {
        const int digit = ValueOf(c);
        if (digit < 0)
            return {CodeError::kCharacter, 0};
        if (value > (largest - static_cast<std::uint64_t>(digit)) >> kBitsPerCharacter)
            return {CodeError::kTooLarge, 0};
        value = value << kBitsPerCharacter | static_cast<std::uint64_t>(digit);
    }
    return {CodeError::kNone, static_cast<std::int64_t>(value)};
}

} // namespace timeshard
