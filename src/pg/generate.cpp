#include "generate.hpp"

#include "../core/clock.hpp"
#include "../core/generator.hpp"
#include "../core/layout.hpp"
#include "../core/patience.hpp"

#include "postgres.hpp"
#include "settings.hpp"
#include "shared_state.hpp"
#include "timestamps.hpp"

namespace timeshard::pg {
namespace {

/// The longest sleep in a clock wait, after which the clock is looked at again:
/// it may have been set right.
constexpr long kMaxSleepMs = 20;

Step Attempt(const Generator &generator)
{
    return TakeNext(*generator.word, SystemClock{}, generator.epoch, generator.max_sequence);
}

std::int64_t IdOf(const Generator &generator, const Step &step)
{
    return static_cast<std::int64_t>(step.word | generator.node_field);
}

/// Sleeps until `gap_ns` has passed, or less. Shorter than a latch can wait,
/// and so short that a signal that arrives just before it is still answered
/// within a millisecond. Ends the process, as a latch would, when the postmaster
/// has died.
void SleepToTick(std::int64_t gap_ns)
{
    pgstat_report_wait_start(PG_WAIT_EXTENSION);
    pg_usleep(static_cast<long>((gap_ns + 999) / 1000));
    pgstat_report_wait_end();
    if (!PostmasterIsAlive())
        proc_exit(1);
}

void SleepForClock(std::int64_t gap_ns)
{
    if (gap_ns < kNanosecondsPerMillisecond) {
        SleepToTick(gap_ns);
        return;
    }
    const long gap_ms = static_cast<long>(gap_ns / kNanosecondsPerMillisecond);
    WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, Min(gap_ms, kMaxSleepMs),
              PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
}

void ReportClockWait(const Step &step)
{
    if (step.gap_ns < kNanosecondsPerMillisecond || !TakeTurnToLogClockWait(MonotonicNanoseconds()))
        return;
    ereport(LOG, (errmsg("clock is %.3f ms behind the last ID; timeshard waits for it",
                         static_cast<double>(step.gap_ns) / kNanosecondsPerMillisecond),
                  errhidestmt(true)));
}

[[noreturn]] void RefuseClock(const Generator &generator, const Step &step, std::int64_t waited_ns)
{
    constexpr double kNsPerMs = kNanosecondsPerMillisecond;
    const TimestampTz last = ToTimestamp(OffsetOf(step.word) + generator.epoch);
    const char *last_text = pstrdup(timestamptz_to_str(last));
    const char *now_text =
        pstrdup(timestamptz_to_str(ToTimestamp(SystemClock::Now().milliseconds)));

    ereport(
        ERROR,
        (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
         step.status == Status::kBehind
             ? errmsg("clock is %.3f ms behind the last ID", step.gap_ns / kNsPerMs)
             : errmsg("clock stands still in a millisecond whose IDs are used up"),
         errdetail("The last ID is of %s, the clock reads %s, this call has waited %.3f ms, and "
                   "timeshard.max_clock_wait is %d ms.",
                   last_text, now_text, waited_ns / kNsPerMs, MaxClockWait()),
         errhint("Set the server's clock right. IDs are issued again once it has passed the "
                 "last one.")));
    pg_unreachable();
}

[[noreturn]] void RefuseOutsideLayout(const Generator &generator, const Step &step)
{
    const char *now_text =
        pstrdup(timestamptz_to_str(ToTimestamp(SystemClock::Now().milliseconds)));
    const char *epoch_text = pstrdup(timestamptz_to_str(ToTimestamp(generator.epoch)));

    if (step.status == Status::kBeforeEpoch)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("clock is before the epoch"),
                        errdetail("The clock reads %s, and timeshard.custom_epoch is %s.", now_text,
                                  epoch_text),
                        errhint("Set the server's clock right, or set timeshard.custom_epoch to a "
                                "time that has passed and restart the server.")));
    ereport(
        ERROR,
        (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
         errmsg("the %d bits of the timestamp are used up", kOffsetBits),
         errdetail("The clock reads %s, and with the epoch %s IDs ended at %s.", now_text,
                   epoch_text, timestamptz_to_str(ToTimestamp(generator.epoch + kMaxOffset + 1))),
         errhint("Set the server's clock right, or set timeshard.custom_epoch to a later time "
                 "and restart the server.")));
    pg_unreachable();
}

/// The rare rest of NextId: waits and tries until there is an ID, a cancel or
/// a reason to refuse.
pg_noinline std::int64_t NextIdAfterWait(const Generator &generator)
{
    Patience patience(MaxClockWait());

    for (;;) {
        CHECK_FOR_INTERRUPTS();
        const std::int64_t before_ns = MonotonicNanoseconds();
        const Step step = Attempt(generator);
        if (step.status == Status::kIssued)
            return IdOf(generator, step);
        if (step.status == Status::kBeforeEpoch || step.status == Status::kPastEnd)
            RefuseOutsideLayout(generator, step);
        if (!patience.ShouldWait(step, before_ns, MonotonicNanoseconds()))
            RefuseClock(generator, step, patience.Waited(before_ns));
        if (step.status == Status::kBehind)
            ReportClockWait(step);
        SleepForClock(step.gap_ns);
    }
}

} // namespace

std::int64_t NextId(const char *caller)
{
    const Generator &generator = ReadyGenerator(caller);
    const Step step = Attempt(generator);
    if (step.status == Status::kIssued) [[likely]]
        return IdOf(generator, step);
    return NextIdAfterWait(generator);
}

} // namespace timeshard::pg
