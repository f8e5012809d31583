#include "../core/text.hpp"

#include "../server/compat.hpp"

#include "formatted.hpp"
#include "text_values.hpp"

namespace timeshard {

void CheckPosition(int position)
{
    if (position < 0 || position > static_cast<int>(kIdDigits))
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("position must be between 0 and %d", static_cast<int>(kIdDigits)),
                        errdetail("The position is %d.", position)));
}

text *AllocateFormatted(const text *prefix)
{
    const Size size = VARSIZE_ANY_EXHDR(prefix) + kIdDigits + VARHDRSZ;
    if (size > MaxAllocSize)
        ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("prefix is too long"),
                        errdetail("It has %zu bytes, and a text value holds %zu with the ID.",
                                  static_cast<size_t>(VARSIZE_ANY_EXHDR(prefix)),
                                  static_cast<size_t>(MaxAllocSize - VARHDRSZ))));
    text *result = static_cast<text *>(palloc(size));
    SET_VARSIZE(result, size);
    return result;
}

Datum Formatted(text *result, std::int64_t id, const text *prefix, int position)
{
    WriteFormatted(id, ViewOf(prefix), position, VARDATA(result));
    PG_RETURN_TEXT_P(result);
}

} // namespace timeshard
