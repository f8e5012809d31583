/// The SQL functions of short codes.

#include "../core/base32.hpp"

#include "../server/compat.hpp"

#include "arguments.hpp"
#include "text_values.hpp"

namespace timeshard {
extern "C" {

PG_FUNCTION_INFO_V1(timeshard_encode);
PG_FUNCTION_INFO_V1(timeshard_decode);

/// timeshard_encode(id bigint) → text
Datum timeshard_encode(PG_FUNCTION_ARGS)
{
    const std::int64_t id = PG_GETARG_INT64(0);
    CheckId(id);
    text *code = static_cast<text *>(palloc(VARHDRSZ + kCodeLength));
    SET_VARSIZE(code, VARHDRSZ + kCodeLength);
    WriteCode(static_cast<std::uint64_t>(id), VARDATA(code));
    PG_RETURN_TEXT_P(code);
}

/// timeshard_decode(code text) → bigint
Datum timeshard_decode(PG_FUNCTION_ARGS)
{
    const text *code = PG_GETARG_TEXT_PP(0);
    const DecodedCode decoded = ParseCode(ViewOf(code));
    if (decoded.error == CodeError::kTooLarge)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("code is out of range: \"%s\"", Shortened(code)),
                        errdetail("The largest code is 7ZZZZZZZZZZZZ.")));
    if (decoded.error != CodeError::kNone)
        ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
                        errmsg("invalid code: \"%s\"", Shortened(code)),
                        decoded.error == CodeError::kLength
                            ? errdetail("A code has 13 characters.")
                            : errdetail("A code has digits and letters other than U.")));
    PG_RETURN_INT64(decoded.id);
}
}

} // namespace timeshard
