/// The SQL functions that take IDs apart.

#include "../core/layout.hpp"
#include "../core/text.hpp"

#include "../server/compat.hpp"
#include "../server/shared_state.hpp"
#include "../server/timestamps.hpp"

#include "arguments.hpp"
#include "row.hpp"
#include "text_values.hpp"

namespace timeshard {
namespace {

/// The composite timeshard_parts of an ID under a layout.
Datum PartsDatum(FunctionCallInfo fcinfo, std::int64_t id, int node_id_bits, std::int64_t epoch)
{
    CheckId(id);

    const Parts parts = Layout(node_id_bits).Split(id);
    const std::int64_t milliseconds = epoch + parts.offset;
    Datum values[] = {
        Int64GetDatum(id),
        Int64GetDatum(milliseconds),
        Int64GetDatum(parts.offset),
        TimestampTzGetDatum(ToTimestamp(milliseconds)),
        Int32GetDatum(parts.node_id),
        Int32GetDatum(parts.sequence),
    };
    bool nulls[lengthof(values)] = {};
    return RowDatum(fcinfo, values, nulls);
}

/// The same under the layout in force.
Datum PartsDatum(FunctionCallInfo fcinfo, std::int64_t id)
{
    const IdFormat format = FormatInForce();
    return PartsDatum(fcinfo, id, format.node_id_bits, format.custom_epoch);
}

const char *DetailOf(TextError error)
{
    switch (error) {
    case TextError::kEmpty:
        return "The text is empty.";
    case TextError::kNegative:
        return "It is a negative number, or an ID behind the prefix \"-\".";
    case TextError::kNoDigits:
        return "It does not start or end with the digits of an ID.";
    case TextError::kTooManyDigits:
        return "An ID has at most 19 digits.";
    case TextError::kAmbiguous:
        return "Around an inserted prefix there must be exactly 19 digits, the first of them 0, "
               "and none within it.";
    case TextError::kAmbiguousEnd:
        return "The digits at its end may not be exactly those of the ID.";
    case TextError::kTooLarge:
        return "The largest ID is 9223372036854775807.";
    case TextError::kPrefixAbsent:
        return "Without the prefix, 1 to 19 digits and nothing else must be left.";
    case TextError::kPrefixTwice:
        return "The prefix can stand in two places, which leave different IDs.";
    case TextError::kNone:
        break;
    }
    pg_unreachable();
}

/// True if the caller can help by giving the prefix.
bool PrefixWouldHelp(TextError error)
{
    return error == TextError::kNegative || error == TextError::kTooManyDigits ||
           error == TextError::kAmbiguous || error == TextError::kAmbiguousEnd;
}

std::int64_t IdOrError(const ParsedId &parsed, const text *input)
{
    if (parsed.error == TextError::kNone)
        return parsed.id;

    ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
                    errmsg("invalid ID: \"%s\"", Shortened(input)),
                    errdetail_internal("%s", DetailOf(parsed.error)),
                    PrefixWouldHelp(parsed.error)
                        ? errhint("Give the prefix as the second argument of timeshard_parse().")
                        : 0));
    pg_unreachable();
}

} // namespace

extern "C" {

PG_FUNCTION_INFO_V1(timeshard_parse);
PG_FUNCTION_INFO_V1(timeshard_parse_layout);
PG_FUNCTION_INFO_V1(timeshard_parse_text);
PG_FUNCTION_INFO_V1(timeshard_parse_text_prefix);

/// timeshard_parse(id bigint) → timeshard_parts
Datum timeshard_parse(PG_FUNCTION_ARGS)
{
    return PartsDatum(fcinfo, PG_GETARG_INT64(0));
}

/// timeshard_parse(id bigint, node_id_bits integer, custom_epoch bigint) → timeshard_parts
Datum timeshard_parse_layout(PG_FUNCTION_ARGS)
{
    const std::int32_t node_id_bits = PG_GETARG_INT32(1);
    const std::int64_t epoch = PG_GETARG_INT64(2);
    CheckNodeIdBits(node_id_bits);
    CheckEpoch(epoch);
    return PartsDatum(fcinfo, PG_GETARG_INT64(0), node_id_bits, epoch);
}

/// timeshard_parse(formatted text) → timeshard_parts
Datum timeshard_parse_text(PG_FUNCTION_ARGS)
{
    const text *input = PG_GETARG_TEXT_PP(0);
    return PartsDatum(fcinfo, IdOrError(ParseFormatted(ViewOf(input)), input));
}

/// timeshard_parse(formatted text, prefix text) → timeshard_parts
Datum timeshard_parse_text_prefix(PG_FUNCTION_ARGS)
{
    const text *input = PG_GETARG_TEXT_PP(0);
    const text *prefix = PG_GETARG_TEXT_PP(1);
    return PartsDatum(fcinfo, IdOrError(ParseFormatted(ViewOf(input), ViewOf(prefix)), input));
}
}

} // namespace timeshard
