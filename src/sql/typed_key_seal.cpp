/// The functions that seal typed keys to public codes. Types in databases refer to them by
/// name, so the names stay for ever.

#include <cstdint>

#include "../server/compat.hpp"

#include "seal.hpp"
#include "text_values.hpp"
#include "typed_key.hpp"

namespace timeshard {

extern "C" {

PG_FUNCTION_INFO_V1(timeshard_key_seal);
PG_FUNCTION_INFO_V1(timeshard_key_open);

/// order_id_seal(order_id) → text: the prefix, then the public code for the prefix as the
/// purpose
Datum timeshard_key_seal(PG_FUNCTION_ARGS)
{
    const std::string_view prefix = PrefixOf(fcinfo);
    PG_RETURN_TEXT_P(SealedText(PG_GETARG_INT64(0), prefix, prefix));
}

/// order_id_open(text) → order_id
Datum timeshard_key_open(PG_FUNCTION_ARGS)
{
    const std::string_view prefix = PrefixOf(fcinfo);
    const text *code = PG_GETARG_TEXT_PP(0);
    std::string_view characters = ViewOf(code);
    if (!characters.starts_with(prefix))
        ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
                        errmsg("invalid public code: \"%s\"", Shortened(code)),
                        errdetail("A code of this type starts with \"%s\".", prefix.data())));
    characters.remove_prefix(prefix.size());
    PG_RETURN_INT64(OpenedId(characters, prefix, code));
}
}

} // namespace timeshard
