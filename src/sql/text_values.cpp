#include "text_values.hpp"

#include "../server/compat.hpp"

namespace timeshard {

std::string_view ViewOf(const text *value)
{
    return {VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)};
}

const char *Shortened(const text *input)
{
    return Shortened(ViewOf(input));
}

const char *Shortened(std::string_view input)
{
    constexpr int kQuotedBytes = 64;
    const int size = static_cast<int>(input.size());
    const int quoted = pg_mbcliplen(input.data(), size, kQuotedBytes);
    return psprintf("%.*s%s", quoted, input.data(), quoted < size ? "..." : "");
}

} // namespace timeshard
