/// The SQL functions that lead from IDs to times and back.

#include "../core/generator.hpp"
#include "../core/layout.hpp"
#include "../core/time_range.hpp"

#include "arguments.hpp"
#include "shared_state.hpp"

#include "postgres.hpp"
#include "timestamps.hpp"

namespace {

using timeshard::pg::kMsFrom1970To2000;

Datum TimeOf(std::int64_t id, std::int64_t epoch)
{
    timeshard::pg::CheckId(id);
    const std::int64_t offset = timeshard::OffsetOf(static_cast<std::uint64_t>(id));
    return TimestampTzGetDatum(timeshard::pg::ToTimestamp(epoch + offset));
}

/// The offset from which on a finite time has passed.
std::int64_t OffsetFrom(TimestampTz at, std::int64_t epoch)
{
    return timeshard::OffsetAtOrAfter(at, epoch - kMsFrom1970To2000);
}

/// The same of any time, by the epoch in force; infinity is past the end.
std::int64_t OffsetOrEnd(TimestampTz at)
{
    if (TIMESTAMP_IS_NOBEGIN(at))
        return -1;
    if (TIMESTAMP_IS_NOEND(at))
        return timeshard::kMaxOffset + 1;
    return OffsetFrom(at, timeshard::pg::IdentityInForce().custom_epoch);
}

Datum LowerBound(TimestampTz at, std::int64_t epoch)
{
    const std::int64_t offset = OffsetFrom(at, epoch);
    if (at < timeshard::pg::ToTimestamp(epoch) || offset > timeshard::kMaxOffset ||
        TIMESTAMP_NOT_FINITE(at))
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("no ID can carry that time"),
                 errdetail("The time is %s, and IDs go from %s to %s.",
                           TIMESTAMP_IS_NOBEGIN(at) ? "-infinity"
                           : TIMESTAMP_IS_NOEND(at) ? "infinity"
                                                    : pstrdup(timestamptz_to_str(at)),
                           timeshard::pg::TimeText(epoch),
                           timeshard::pg::TimeText(epoch + timeshard::kMaxOffset))));
    return Int64GetDatum(timeshard::SmallestIdAt(offset));
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
    return TimeOf(PG_GETARG_INT64(0), timeshard::pg::IdentityInForce().custom_epoch);
}

/// timeshard_time(id bigint, custom_epoch bigint) → timestamptz
Datum timeshard_time_epoch(PG_FUNCTION_ARGS)
{
    timeshard::pg::CheckEpoch(PG_GETARG_INT64(1));
    return TimeOf(PG_GETARG_INT64(0), PG_GETARG_INT64(1));
}

/// timeshard_lower_bound(at timestamptz) → bigint
Datum timeshard_lower_bound(PG_FUNCTION_ARGS)
{
    return LowerBound(PG_GETARG_TIMESTAMPTZ(0), timeshard::pg::IdentityInForce().custom_epoch);
}

/// timeshard_lower_bound(at timestamptz, custom_epoch bigint) → bigint
Datum timeshard_lower_bound_epoch(PG_FUNCTION_ARGS)
{
    timeshard::pg::CheckEpoch(PG_GETARG_INT64(1));
    return LowerBound(PG_GETARG_TIMESTAMPTZ(0), PG_GETARG_INT64(1));
}

/// timeshard_last_before(at timestamptz) → bigint, -1 if there is none
Datum timeshard_last_before(PG_FUNCTION_ARGS)
{
    PG_RETURN_INT64(timeshard::LargestIdBefore(OffsetOrEnd(PG_GETARG_TIMESTAMPTZ(0))));
}
}
