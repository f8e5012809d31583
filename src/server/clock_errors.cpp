#include "clock_errors.hpp"

#include "../core/clock.hpp"
#include "../core/layout.hpp"

#include "postgres.hpp"
#include "settings.hpp"
#include "timestamps.hpp"

namespace timeshard {
namespace {

constexpr double kNsPerSecond = 1e9;

const char *ClockText()
{
    return TimeText(SystemClock::Now().milliseconds);
}

/// The clock shows one time and does not move, in a millisecond without an ID left.
[[noreturn]] void RaiseClockStandsError(std::int64_t waited_ns)
{
    ereport(
        ERROR,
        (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
         errmsg("clock stands still in a millisecond whose IDs are used up"),
         errdetail("The clock reads %s, and this call has waited %.3f s.", ClockText(),
                   static_cast<double>(waited_ns) / kNsPerSecond),
         errhint(
             "Set the server's clock right. See \"When the clock was wrong\" in " TIMESHARD_MANUAL
             "doc/operations.md.")));
    pg_unreachable();
}

} // namespace

void RaiseClockBehindError(const ClockGap &gap)
{
    const char *advice =
        gap.advice != nullptr ? gap.advice : "IDs are issued again once it has passed that time.";
    ereport(ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("clock is %.3f s behind %s", static_cast<double>(gap.gap_ns) / kNsPerSecond,
                    gap.behind),
             errdetail("IDs of up to %s may have been issued, the clock reads %s, this call has "
                       "waited %.3f s, and timeshard.max_clock_wait is %d ms.",
                       TimeText(gap.passes), ClockText(),
                       static_cast<double>(gap.waited_ns) / kNsPerSecond, MaxClockWait()),
             errhint("Set the server's clock right. %s See \"When the clock was wrong\" "
                     "in " TIMESHARD_MANUAL "doc/operations.md.",
                     advice)));
    pg_unreachable();
}

void RaiseClockError(const Step &step, std::int64_t epoch, std::int64_t waited_ns)
{
    const bool is_floor = IsFloor(step.word);
    if (step.status == Status::kExhausted && !is_floor)
        RaiseClockStandsError(waited_ns);
    RaiseClockBehindError({.behind = is_floor ? "the floor" : "the last ID",
                           .gap_ns = step.gap_ns,
                           .passes = epoch + OffsetOf(step.word),
                           .waited_ns = waited_ns});
}

void RaiseClockJumpError(std::int64_t jump_ms)
{
    ereport(ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("clock has jumped ahead by %.3f s", static_cast<double>(jump_ms) / 1000),
             errdetail("The clock reads %s; it has advanced that much further than the time since "
                       "boot, and timeshard.max_clock_jump is %lld s.",
                       ClockText(), static_cast<long long>(MaxClockJump() / 1000)),
             errhint("Set the server's clock right. If it is right, have a superuser run SELECT "
                     "timeshard_accept_clock(), or restart the server. See \"When the clock was "
                     "wrong\" in " TIMESHARD_MANUAL "doc/operations.md.")));
    pg_unreachable();
}

void RaiseBeforeEpochError(std::int64_t epoch)
{
    ereport(ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("clock is before the epoch"),
             errdetail("The clock reads %s, and timeshard.custom_epoch is %s.", ClockText(),
                       TimeText(epoch)),
             errhint("Set the server's clock right, or set timeshard.custom_epoch to a "
                     "time that has passed and restart the server.")));
    pg_unreachable();
}

void RaisePastEndError(std::int64_t epoch)
{
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("the %d bits of the timestamp are used up", kOffsetBits),
                    errdetail("The clock reads %s, and with the epoch %s IDs ended at %s.",
                              ClockText(), TimeText(epoch), TimeText(epoch + kMaxOffset + 1)),
                    errhint("Set the server's clock right. If it is right, a later "
                            "timeshard.custom_epoch helps only a server that has issued no IDs.")));
    pg_unreachable();
}

} // namespace timeshard
