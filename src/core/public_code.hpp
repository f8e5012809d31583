#pragma once

#include "core_only.hpp"

#include <cstdint>
#include <string_view>

#include "ff1.hpp"

/// IDs as public codes: 13 characters that tell nothing without the key.
///
/// The 63 bits of an ID, the largest first, are a number of 63 digits in radix 2, which
/// FF1 encrypts. WriteCode() writes the result with the key's number, 0 to 3, in the two
/// spare bits. The tweak is one byte, the key's number, then the purpose in UTF-8.
namespace timeshard {

inline constexpr std::uint32_t kSealRadix = 2;
inline constexpr std::uint32_t kSealDigits = 63;

/// An ID's first 31 bits and its last 32, and back.
constexpr Numeral SealHalves(std::int64_t id)
{
    const auto bits = static_cast<std::uint64_t>(id);
    return {bits >> 32, bits & 0xFFFFFFFF};
}
constexpr std::int64_t FromSealHalves(Numeral x)
{
    return static_cast<std::int64_t>(x.a << 32 | x.b);
}

/// Seals a non-negative `id` to a number from 0 to 2^63 - 1, each to another one.
template <typename BlockCipher>
std::int64_t SealBits(const BlockCipher &cipher, std::string_view tweak, std::int64_t id)
{
    const Ff1<BlockCipher> ff1(cipher, kSealRadix, kSealDigits, tweak);
    return FromSealHalves(ff1.Encrypt(SealHalves(id)));
}

/// The ID that SealBits() makes `sealed` of.
template <typename BlockCipher>
std::int64_t OpenBits(const BlockCipher &cipher, std::string_view tweak, std::int64_t sealed)
{
    const Ff1<BlockCipher> ff1(cipher, kSealRadix, kSealDigits, tweak);
    return FromSealHalves(ff1.Decrypt(SealHalves(sealed)));
}

} // namespace timeshard
