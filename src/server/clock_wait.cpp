#include "clock_wait.hpp"

#include "../core/clock.hpp"

#include <atomic>

#include "postgres.hpp"
#include "wait_events.hpp"

namespace timeshard {
namespace {

/// The longest sleep without a look at the clock: it may have been set right.
constexpr long kMaxSleepMs = 20;

/// How often waits are logged, of whatever number of sessions.
constexpr std::int64_t kLogIntervalNs = 10'000'000'000;

/// A sleep too short for a latch, and so short that a signal just before it is still
/// answered within a millisecond. Ends the process, as a latch would, when the
/// postmaster has died.
void SleepToTick(std::int64_t gap_ns)
{
    pgstat_report_wait_start(ClockWaitEvent());
    pg_usleep(static_cast<long>((gap_ns + 999) / 1000));
    pgstat_report_wait_end();
    if (!PostmasterIsAlive())
        proc_exit(1);
}

/// True if it is the caller's turn to log, which `logged_ns` in the shared state says.
bool TakeTurnToLog(std::atomic<std::int64_t> &logged_ns, std::int64_t now_ns)
{
    std::int64_t last_ns = logged_ns.load();
    if (last_ns != 0 && now_ns - last_ns < kLogIntervalNs)
        return false;
    return logged_ns.compare_exchange_strong(last_ns, now_ns);
}

} // namespace

void SleepForClock(std::int64_t gap_ns)
{
    if (gap_ns < kNanosecondsPerMillisecond) {
        SleepToTick(gap_ns);
        return;
    }
    const long gap_ms = static_cast<long>(gap_ns / kNanosecondsPerMillisecond);
    WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, Min(gap_ms, kMaxSleepMs),
              ClockWaitEvent());
    ResetLatch(MyLatch);
}

void CountWait(SharedState &state, const Step &step)
{
    if (IsFloor(step.word))
        return;
    if (step.status == Status::kExhausted) {
        state.counters.sequence_waits.fetch_add(1);
    } else if (step.gap_ns >= kNanosecondsPerMillisecond) {
        state.counters.clock_waits.fetch_add(1);
        KeepLargest(state.counters.largest_step_ns, step.gap_ns);
    }
}

void LogWait(SharedState &state, const Step &step)
{
    Notes &notes = state.notes;
    if (step.gap_ns < kNanosecondsPerMillisecond ||
        !TakeTurnToLog(IsFloor(step.word) ? notes.floor_wait_logged_ns : notes.clock_wait_logged_ns,
                       MonotonicNanoseconds()))
        return;
    const double gap_s = static_cast<double>(step.gap_ns) / 1e9;
    ereport(LOG_SERVER_ONLY,
            (IsFloor(step.word)
                 ? errmsg("timeshard waits %.3f s for the clock to pass the floor", gap_s)
                 : errmsg("clock is %.3f s behind the last ID; timeshard waits for it", gap_s),
             errhidestmt(true)));
}

} // namespace timeshard
