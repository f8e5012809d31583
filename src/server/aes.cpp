#include "aes.hpp"

#include "../core/ff1.hpp"

#include <dlfcn.h>

#include "postgres.hpp"

namespace timeshard {
namespace {

/// The functions of OpenSSL's <openssl/evp.h> that are used, since 1.1.0 the same. Its
/// header is not, so that building needs no development files of OpenSSL.
struct Evp
{
    const void *(*aes_256_ecb)();
    void *(*context_new)();
    void (*context_free)(void *context);
    int (*set_padding)(void *context, int pad);
    int (*init)(void *context, const void *cipher, void *engine, const std::uint8_t *key,
                const std::uint8_t *iv);
    int (*update)(void *context, std::uint8_t *out, int *written, const std::uint8_t *in, int size);
};

Evp evp;

template <typename Function>
bool Find(Function *function, const char *name)
{
    *function = reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
    return *function != nullptr;
}

bool FindAll()
{
    return Find(&evp.aes_256_ecb, "EVP_aes_256_ecb") &&
           Find(&evp.context_new, "EVP_CIPHER_CTX_new") &&
           Find(&evp.context_free, "EVP_CIPHER_CTX_free") &&
           Find(&evp.set_padding, "EVP_CIPHER_CTX_set_padding") &&
           Find(&evp.init, "EVP_EncryptInit_ex") && Find(&evp.update, "EVP_EncryptUpdate");
}

} // namespace

void CheckAesIsAvailable()
{
    if (evp.update != nullptr || FindAll())
        return;
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("public codes are not supported by this server"),
                    errdetail("They need a PostgreSQL that was built with OpenSSL.")));
}

bool Aes256::Set(const std::uint8_t (&key)[kAesKeyBytes])
{
    End();
    context_ = static_cast<Context *>(evp.context_new());
    return context_ != nullptr &&
           evp.init(context_, evp.aes_256_ecb(), nullptr, key, nullptr) == 1 &&
           evp.set_padding(context_, 0) == 1;
}

void Aes256::End()
{
    if (context_ != nullptr)
        evp.context_free(context_); // which erases the key
    context_ = nullptr;
}

void Aes256::Encrypt(std::uint8_t *block) const
{
    int written;
    if (evp.update(context_, block, &written, block, kBlockBytes) != 1)
        ereport(ERROR, (errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
                        errmsg("OpenSSL could not run AES-256")));
}

} // namespace timeshard
