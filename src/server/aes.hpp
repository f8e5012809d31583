#pragma once

#include <cstddef>
#include <cstdint>

/// AES-256 from OpenSSL's libcrypto.
///
/// A server built with OpenSSL has libcrypto loaded already, so its functions are looked
/// up by name when a key is first used. This library then needs no libcrypto of its own,
/// which could be another version than the server's, and sessions that seal nothing pay
/// nothing.
namespace timeshard {

inline constexpr std::size_t kAesKeyBytes = 32;

/// Raises feature_not_supported if the server has no OpenSSL.
void CheckAesIsAvailable();

/// One key. Plain data: whoever sets it ends it, too.
class Aes256
{
public:
    /// Takes the key; CheckAesIsAvailable() was called before. False if OpenSSL refuses.
    bool Set(const std::uint8_t (&key)[kAesKeyBytes]);

    /// Erases the key.
    void End();

    /// Encrypts 16 bytes in place.
    void Encrypt(std::uint8_t *block) const;

private:
    struct Context;
    Context *context_ = nullptr;
};

} // namespace timeshard
