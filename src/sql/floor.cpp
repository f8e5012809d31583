/// The SQL functions with which a person overrules the generator.

#include "../core/clock.hpp"
#include "../core/layout.hpp"

#include "../server/postgres.hpp"
#include "../server/reservation.hpp"
#include "../server/timestamps.hpp"

#include "arguments.hpp"

namespace timeshard {
namespace {

constexpr std::int64_t kMsPerDay = std::int64_t{SECS_PER_DAY} * 1000;

} // namespace

extern "C" {

PG_FUNCTION_INFO_V1(timeshard_raise_floor);
PG_FUNCTION_INFO_V1(timeshard_accept_clock);

/// timeshard_raise_floor(id bigint) → void
Datum timeshard_raise_floor(PG_FUNCTION_ARGS)
{
    PreventCommandDuringRecovery("timeshard_raise_floor()");
    if (PG_ARGISNULL(0)) {
        ereport(WARNING, (errmsg("timeshard's floor has not been raised: the ID is null"),
                          errdetail("max(id) is null if a table has no rows.")));
        PG_RETURN_VOID();
    }
    const std::int64_t id = PG_GETARG_INT64(0);
    CheckId(id);

    SharedState &state = AttachedState();
    const std::int64_t epoch = state.header.identity.custom_epoch;
    const std::int64_t offset = OffsetOf(static_cast<std::uint64_t>(id));
    if (offset - OffsetNow(epoch) > kMsPerDay)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("ID is more than a day ahead of the clock"),
                        errdetail("It carries the time %s, and no ID would be issued until then.",
                                  TimeText(epoch + offset))));
    LiftFloor(state, offset, DamagedMark::kReplace);
    ereport(LOG_SERVER_ONLY,
            (errmsg("timeshard's floor has been raised to ID %lld", static_cast<long long>(id))));
    PG_RETURN_VOID();
}

/// timeshard_accept_clock() → void
Datum timeshard_accept_clock(PG_FUNCTION_ARGS)
{
    (void)fcinfo;
    PreventCommandDuringRecovery("timeshard_accept_clock()");
    AcceptClock(AttachedState());
    ereport(LOG_SERVER_ONLY, (errmsg("timeshard has accepted the clock as it is now")));
    PG_RETURN_VOID();
}
}

} // namespace timeshard
