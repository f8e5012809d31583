#pragma once

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <openssl/evp.h>

namespace timeshard::test {

/// AES with a key of 16, 24 or 32 bytes, as FF1 takes a block cipher.
class OpensslAes
{
public:
    explicit OpensslAes(std::string_view key) : context_(EVP_CIPHER_CTX_new())
    {
        const EVP_CIPHER *cipher = key.size() == 16   ? EVP_aes_128_ecb()
                                   : key.size() == 24 ? EVP_aes_192_ecb()
                                                      : EVP_aes_256_ecb();
        const auto *bytes = reinterpret_cast<const unsigned char *>(key.data());
        if (context_ == nullptr ||
            EVP_EncryptInit_ex(context_, cipher, nullptr, bytes, nullptr) != 1)
            std::abort();
        EVP_CIPHER_CTX_set_padding(context_, 0);
    }
    ~OpensslAes() { EVP_CIPHER_CTX_free(context_); }

    OpensslAes(const OpensslAes &) = delete;
    OpensslAes &operator=(const OpensslAes &) = delete;

    void Encrypt(std::uint8_t *block) const
    {
        int written;
        if (EVP_EncryptUpdate(context_, block, &written, block, 16) != 1 || written != 16)
            std::abort();
    }

private:
    EVP_CIPHER_CTX *context_;
};

} // namespace timeshard::test
