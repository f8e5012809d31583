/// The SQL functions that lead from IDs to times and back.

#include "../core/layout.hpp"
#include "../core/time_range.hpp"

#include "../server/postgres.hpp"
#include "../server/shared_state.hpp"
#include "../server/timestamps.hpp"

#include "arguments.hpp"

namespace timeshard {
namespace {

Datum TimeOf(std::int64_t id, std::int64_t epoch)
{
    CheckId(id);
    const std::int64_t offset = OffsetOf(static_cast<std::uint64_t>(id));
    return TimestampTzGetDatum(ToTimestamp(epoch + offset));
}

/// The offset from which on a finite time has passed.
std::int64_t OffsetFrom(TimestampTz at, std::int64_t epoch)
{
    return OffsetAtOrAfter(at, epoch - kMsFrom1970To2000);
}

/// The same of any time, by the epoch in force; infinity is past the end.
std::int64_t OffsetOrEnd(TimestampTz at)
{
    if (TIMESTAMP_IS_NOBEGIN(at))
        return -1;
    if (TIMESTAMP_IS_NOEND(at))
        return kMaxOffset + 1;
    return OffsetFrom(at, FormatInForce().custom_epoch);
}

Datum LowerBound(TimestampTz at, std::int64_t epoch)
{
    const std::int64_t offset = OffsetFrom(at, epoch);
    if (at < ToTimestamp(epoch) || offset > kMaxOffset || TIMESTAMP_NOT_FINITE(at))
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("no ID can carry that time"),
                 errdetail("The time is %s, and IDs go from %s to %s.",
                           TIMESTAMP_IS_NOBEGIN(at) ? "-infinity"
                           : TIMESTAMP_IS_NOEND(at) ? "infinity"
                                                    : pstrdup(timestamptz_to_str(at)),
                           TimeText(epoch), TimeText(epoch + kMaxOffset))));
    return Int64GetDatum(static_cast<std::int64_t>(WordAt(offset)));
}

} // namespace

extern "C" {

PG_FUNCTION_INFO_V1(timeshard_time);
PG_FUNCTION_INFO_V1(timeshard_time_epoch);
PG_FUNCTION_INFO_V1(timeshard_lower_bound);
PG_FUNCTION_INFO_V1(timeshard_lower_bound_epoch);
PG_FUNCTION_INFO_V1(timeshard_last_before);

/// timeshard_time(id bigint) → timestamptz
Datum timeshard_time(PG_FUNCTION_ARGS)
{
    return TimeOf(PG_GETARG_INT64(0), FormatInForce().custom_epoch);
}

/// timeshard_time(id bigint, custom_epoch bigint) → timestamptz
Datum timeshard_time_epoch(PG_FUNCTION_ARGS)
{
    CheckEpoch(PG_GETARG_INT64(1));
    return TimeOf(PG_GETARG_INT64(0), PG_GETARG_INT64(1));
}

/// timeshard_lower_bound(at timestamptz) → bigint
Datum timeshard_lower_bound(PG_FUNCTION_ARGS)
{
    return LowerBound(PG_GETARG_TIMESTAMPTZ(0), FormatInForce().custom_epoch);
}

/// timeshard_lower_bound(at timestamptz, custom_epoch bigint) → bigint
Datum timeshard_lower_bound_epoch(PG_FUNCTION_ARGS)
{
    CheckEpoch(PG_GETARG_INT64(1));
    return LowerBound(PG_GETARG_TIMESTAMPTZ(0), PG_GETARG_INT64(1));
}

/// timeshard_last_before(at timestamptz) → bigint, -1 if there is none
Datum timeshard_last_before(PG_FUNCTION_ARGS)
{
    PG_RETURN_INT64(LargestIdBefore(OffsetOrEnd(PG_GETARG_TIMESTAMPTZ(0))));
}
}

} // namespace timeshard
