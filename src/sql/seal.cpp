/// The SQL functions of public codes.

#include "../core/base32.hpp"
#include "../core/public_code.hpp"

#include "../server/seal_keys.hpp"

#include <cstring>

#include "../server/compat.hpp"

#include "arguments.hpp"
#include "seal.hpp"
#include "text_values.hpp"

namespace timeshard {
namespace {

/// The tweak: the key's number, then the purpose in UTF-8, so that databases of all
/// encodings, and applications, make the same codes.
std::string_view TweakOf(unsigned number, std::string_view purpose)
{
    bool ascii = true;
    for (const char c : purpose)
        ascii = ascii && static_cast<signed char>(c) >= 0;
    if (!ascii) {
        const char *utf8 =
            pg_server_to_any(purpose.data(), static_cast<int>(purpose.size()), PG_UTF8);
        if (utf8 != purpose.data())
            purpose = utf8;
    }
    char *tweak = static_cast<char *>(palloc(1 + purpose.size()));
    tweak[0] = static_cast<char>(number);
    std::memcpy(tweak + 1, purpose.data(), purpose.size());
    return {tweak, 1 + purpose.size()};
}

} // namespace

text *SealedText(std::int64_t id, std::string_view purpose, std::string_view prefix)
{
    CheckId(id);
    const LiveSealKey &key = CurrentSealKey();
    const std::int64_t sealed = SealBits(key.cipher, TweakOf(key.number, purpose), id);

    const std::size_t size = VARHDRSZ + prefix.size() + kCodeLength;
    text *result = static_cast<text *>(palloc(size));
    SET_VARSIZE(result, size);
    std::memcpy(VARDATA(result), prefix.data(), prefix.size());
    WriteCode(sealed, VARDATA(result) + prefix.size(), key.number);
    return result;
}

std::int64_t OpenedId(std::string_view characters, std::string_view purpose, const text *code)
{
    const DecodedCode decoded = ParseCodeWithSpare(characters);
    const LiveSealKey *key =
        decoded.error == CodeError::kNone ? FindSealKey(decoded.spare) : nullptr;
    if (key == nullptr)
        ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
                        errmsg("invalid public code: \"%s\"", Shortened(code)),
                        decoded.error == CodeError::kLength ? errdetail("A code has 13 characters.")
                        : decoded.error == CodeError::kCharacter
                            ? errdetail("A code has digits and letters other than U.")
                            : errdetail("The key file has no key %u.", decoded.spare)));
    return OpenBits(key->cipher, TweakOf(key->number, purpose), decoded.id);
}

extern "C" {

PG_FUNCTION_INFO_V1(timeshard_seal);
PG_FUNCTION_INFO_V1(timeshard_open);

/// timeshard_seal(id bigint, purpose text) → text
Datum timeshard_seal(PG_FUNCTION_ARGS)
{
    PG_RETURN_TEXT_P(SealedText(PG_GETARG_INT64(0), ViewOf(PG_GETARG_TEXT_PP(1))));
}

/// timeshard_open(code text, purpose text) → bigint
Datum timeshard_open(PG_FUNCTION_ARGS)
{
    const text *code = PG_GETARG_TEXT_PP(0);
    PG_RETURN_INT64(OpenedId(ViewOf(code), ViewOf(PG_GETARG_TEXT_PP(1)), code));
}
}

} // namespace timeshard
