#include "text_values.hpp"

#include "../server/compat.hpp"

namespace timeshard {

std::string_view ViewOf(const text *value)
{
    return {VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)};
}

const char *Shortened(const text *input)
{
    constexpr int kQuotedBytes = 64;
    const int size = static_cast<int>(VARSIZE_ANY_EXHDR(input));
    const int quoted = pg_mbcliplen(VARDATA_ANY(input), size, kQuotedBytes);
    return psprintf("%.*s%s", quoted, VARDATA_ANY(input), quoted < size ? "..." : "");
}

} // namespace timeshard
