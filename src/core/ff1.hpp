#pragma once

#include "core_only.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

/// FF1, a mode of a block cipher that encrypts a number of n digits in some radix to
/// another such number: NIST Special Publication 800-38G (2016), algorithms 7 and 8.
/// Revision 1 keeps FF1 as it is. Names of one letter are the standard's.
namespace timeshard {

inline constexpr std::size_t kBlockBytes = 16;

/// A number of n digits, cut in two: `a` is its first n / 2 digits read as a number,
/// `b` is the rest.
struct Numeral
{
    std::uint64_t a, b;

    friend constexpr bool operator==(const Numeral &, const Numeral &) = default;
};

/// FF1 with one tweak. `BlockCipher` has `void Encrypt(std::uint8_t *block) const`, which
/// encrypts 16 bytes in place.
///
/// Each half must fit 64 bits: radix ^ ceil(n / 2) <= 2 ^ 64. The standard asks for
/// radix ^ n >= 1,000,000, or the cipher can be broken by trying all numbers.
template <typename BlockCipher>
class Ff1
{
public:
    Ff1(const BlockCipher &cipher, std::uint32_t radix, std::uint32_t n, std::string_view tweak)
        : cipher_(cipher),
          modulus_{Power(radix, n / 2), Power(radix, n - n / 2)},
          b_((BitsBelow(modulus_[1]) + 7) / 8),
          d_(4 * ((b_ + 3) / 4) + 4)
    {
        // The block P, then all of Q that is the same in every round.
        const auto t = static_cast<std::uint32_t>(tweak.size());
        const std::uint8_t p[kBlockBytes] = {1,
                                             2,
                                             1,
                                             Byte(radix, 2),
                                             Byte(radix, 1),
                                             Byte(radix, 0),
                                             kRounds,
                                             Byte(n / 2, 0),
                                             Byte(n, 3),
                                             Byte(n, 2),
                                             Byte(n, 1),
                                             Byte(n, 0),
                                             Byte(t, 3),
                                             Byte(t, 2),
                                             Byte(t, 1),
                                             Byte(t, 0)};
        for (std::size_t i = 0; i < kBlockBytes; i++)
            chain_[i] = p[i];
        cipher_.Encrypt(chain_);
        while (tweak.size() + 1 + b_ > kBlockBytes) {
            Absorb(tweak.substr(0, kBlockBytes));
            cipher_.Encrypt(chain_);
            tweak.remove_prefix(tweak.size() < kBlockBytes ? tweak.size() : kBlockBytes);
        }
        Absorb(tweak);
    }

    /// `x` must be a number of n digits.
    Numeral Encrypt(Numeral x) const
    {
        for (std::uint8_t i = 0; i < kRounds; i++) {
            const Wide modulus = modulus_[i % 2];
            const Wide c = (x.a + Round(i, x.b) % modulus) % modulus;
            x = {x.b, static_cast<std::uint64_t>(c)};
        }
        return x;
    }

    /// The number that Encrypt() makes `x` of.
    Numeral Decrypt(Numeral x) const
    {
        for (std::uint8_t i = kRounds; i-- > 0;) {
            const Wide modulus = modulus_[i % 2];
            const Wide c = (x.b + modulus - Round(i, x.a) % modulus) % modulus;
            x = {static_cast<std::uint64_t>(c), x.a};
        }
        return x;
    }

private:
    using Wide = unsigned __int128;
    static constexpr std::uint8_t kRounds = 10;

    static constexpr Wide Power(std::uint32_t base, std::uint32_t exponent)
    {
        Wide power = 1;
        while (exponent-- > 0)
            power *= base;
        return power;
    }

    /// The bits that the numbers below `modulus` take.
    static constexpr std::size_t BitsBelow(Wide modulus)
    {
        std::size_t bits = 0;
        while ((Wide{1} << bits) < modulus)
            bits++;
        return bits;
    }

    static constexpr std::uint8_t Byte(std::uint64_t number, std::size_t place)
    {
        return static_cast<std::uint8_t>(number >> (8 * place));
    }

    void Absorb(std::string_view bytes)
    {
        for (std::size_t i = 0; i < bytes.size(); i++)
            chain_[i] ^= static_cast<std::uint8_t>(bytes[i]);
    }

    /// The standard's y: the round's number and one half end Q, and y is the first d
    /// bytes of what the cipher makes of it. One block gives enough, as d is at most 12.
    Wide Round(std::uint8_t i, std::uint64_t half) const
    {
        std::uint8_t block[kBlockBytes];
        for (std::size_t k = 0; k < kBlockBytes; k++)
            block[k] = chain_[k];
        block[kBlockBytes - 1 - b_] ^= i;
        for (std::size_t place = 0; place < b_; place++)
            block[kBlockBytes - 1 - place] ^= Byte(half, place);
        cipher_.Encrypt(block);
        Wide y = 0;
        for (std::size_t k = 0; k < d_; k++)
            y = y << 8 | block[k];
        return y;
    }

    const BlockCipher &cipher_;
    Wide modulus_[2];   ///< by the parity of the round: radix ^ u, radix ^ v
    std::size_t b_, d_; ///< bytes of a half, and of y
    std::uint8_t chain_[kBlockBytes];
};

} // namespace timeshard
