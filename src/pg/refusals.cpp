#include "refusals.hpp"

#include "../core/clock.hpp"
#include "../core/layout.hpp"

#include "postgres.hpp"
#include "settings.hpp"
#include "timestamps.hpp"

namespace timeshard::pg {
namespace {

const char *ClockText()
{
    return TimeText(SystemClock::Now().milliseconds);
}

} // namespace

void RefuseClock(const Step &step, std::int64_t epoch, std::int64_t waited_ns)
{
    constexpr double kNsPerMs = kNanosecondsPerMillisecond;
    const bool is_floor = IsFloor(step.word);

    ereport(ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             step.status == Status::kExhausted && !is_floor
                 ? errmsg("clock stands still in a millisecond whose IDs are used up")
             : is_floor ? errmsg("clock is %.3f ms behind the floor", step.gap_ns / kNsPerMs)
                        : errmsg("clock is %.3f ms behind the last ID", step.gap_ns / kNsPerMs),
             errdetail("%s %s, the clock reads %s, this call has waited %.3f ms, and "
                       "timeshard.max_clock_wait is %d ms.",
                       is_floor ? "IDs start after" : "The last ID is of",
                       TimeText(OffsetOf(step.word) + epoch), ClockText(), waited_ns / kNsPerMs,
                       MaxClockWait()),
             errhint("Set the server's clock right. IDs are issued again once it has passed %s. "
                     "See \"When the clock was wrong\" in doc/operations.md.",
                     is_floor ? "the floor" : "the last one")));
    pg_unreachable();
}

void RefuseBeforeEpoch(std::int64_t epoch)
{
    ereport(ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("clock is before the epoch"),
             errdetail("The clock reads %s, and timeshard.custom_epoch is %s.", ClockText(),
                       TimeText(epoch)),
             errhint("Set the server's clock right, or set timeshard.custom_epoch to a "
                     "time that has passed and restart the server.")));
    pg_unreachable();
}

void RefusePastEnd(std::int64_t epoch)
{
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("the %d bits of the timestamp are used up", kOffsetBits),
                    errdetail("The clock reads %s, and with the epoch %s IDs ended at %s.",
                              ClockText(), TimeText(epoch), TimeText(epoch + kMaxOffset + 1)),
                    errhint("Set the server's clock right, or set timeshard.custom_epoch to a "
                            "later time and restart the server.")));
    pg_unreachable();
}

} // namespace timeshard::pg
