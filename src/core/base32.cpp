#include "base32.hpp"

namespace timeshard {
namespace {

/// Crockford's alphabet: no I, L, O, which read like digits, and no U.
constexpr char kAlphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr int kBitsPerCharacter = 5;
constexpr std::uint64_t kCharacterMask = (1 << kBitsPerCharacter) - 1;

/// Of the first character's bits, those of the ID; the two above them are spare.
constexpr int kIdBitsOfFirst = 3;

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

void WriteCode(std::int64_t id, char *out, unsigned spare)
{
    auto rest = static_cast<std::uint64_t>(id);
    for (std::size_t i = kCodeLength; i-- > 1; rest >>= kBitsPerCharacter)
        out[i] = kAlphabet[rest & kCharacterMask];
    out[0] = kAlphabet[spare << kIdBitsOfFirst | rest];
}

DecodedCode ParseCodeWithSpare(std::string_view text)
{
    if (text.size() != kCodeLength)
        return {CodeError::kLength, 0};

    std::uint64_t value = 0;
    for (const char c : text) {
        const int digit = ValueOf(c);
        if (digit < 0)
            return {CodeError::kCharacter, 0};
        value = value << kBitsPerCharacter | static_cast<std::uint64_t>(digit);
    }
    constexpr std::uint64_t kIdMask = ~std::uint64_t{0} >> 1;
    return {CodeError::kNone, static_cast<std::int64_t>(value & kIdMask),
            static_cast<unsigned>(ValueOf(text[0])) >> kIdBitsOfFirst};
}

DecodedCode ParseCode(std::string_view text)
{
    const DecodedCode decoded = ParseCodeWithSpare(text);
    if (decoded.spare != 0)
        return {CodeError::kTooLarge, 0};
    return decoded;
}

} // namespace timeshard
