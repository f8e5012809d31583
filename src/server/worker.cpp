#include "worker.hpp"

#include "../core/clock.hpp"
#include "../core/generator.hpp"

#include <algorithm>

#include "claiming.hpp"
#include "reservation.hpp"
#include "start.hpp"

#include "postgres.hpp"

namespace timeshard {
namespace {

constexpr char kName[] = "timeshard";

/// How long after the last ID the worker goes on renewing: long enough that IDs a few
/// seconds apart find the time reserved.
constexpr std::int64_t kIdleAfterMs = 10'000;

SharedState *state = nullptr;

void ForgetRenewer(int, Datum)
{
    state->header.renewer.store(0);
}

/// Has sessions wake this process.
void Introduce()
{
    state->header.renewer.store(static_cast<std::int32_t>(MyProc - ProcGlobal->allProcs) + 1);
    before_shmem_exit(ForgetRenewer, 0);
}

/// Does something only after archive recovery. A session may have taken the floor in
/// memory only, and still be waiting for the clock, so the worker makes it durable in any
/// case.
void KeepReplayFloor()
{
    const Floor floor = ReplayFloor(*state);
    if (floor.offset >= 0)
        LiftFloor(*state, floor.offset, DamagedMark::kRefuse);
}

/// Whether IDs are in use: a session has woken the worker, or an ID was made, within the
/// last kIdleAfterMs. By a clock that no one sets.
class Use
{
public:
    void Note(bool woken, std::uint64_t word)
    {
        const std::int64_t now_ns = MonotonicNanoseconds();
        if (woken || word != word_)
            seen_ns_ = now_ns;
        word_ = word;
        in_use_ = seen_ns_ != 0 && now_ns - seen_ns_ < kIdleAfterMs * kNanosecondsPerMillisecond;
    }

    bool InUse() const { return in_use_; }

private:
    std::uint64_t word_ = 0;
    std::int64_t seen_ns_ = 0;
    bool in_use_ = false;
};

/// Renews the reservation. Returns how long to sleep, in ms.
long Renew()
{
    const Header &header = state->header;
    ExtendReservation(*state);
    if (!HoldsNumber(header)) // sessions wake the worker once there is a claim
        return kIdleAfterMs;
    const std::int64_t rest = header.renew_at.load() - OffsetNow(header.identity.custom_epoch);
    return static_cast<long>(std::clamp<std::int64_t>(rest, 1, kIdleAfterMs));
}

/// Sleeps until a session wakes the worker, which it then returns, or for so long; 0 is
/// for ever. Takes over a changed configuration.
bool Sleep(long sleep_ms)
{
    const int timeout = sleep_ms > 0 ? WL_TIMEOUT : 0;
    const int events = WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | timeout, sleep_ms,
                                 PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
    // Asked of every process, by DROP DATABASE for one, which waits until all have done so.
    if (ProcSignalBarrierPending)
        ProcessProcSignalBarrier();
    if (ConfigReloadPending) {
        ConfigReloadPending = false;
        ProcessConfigFile(PGC_SIGHUP);
        return false;
    }
    return (events & WL_LATCH_SET) != 0;
}

} // namespace

void RegisterWorker()
{
    BackgroundWorker worker{};
    strlcpy(worker.bgw_name, kName, BGW_MAXLEN);
    strlcpy(worker.bgw_type, kName, BGW_MAXLEN);
    strlcpy(worker.bgw_library_name, "timeshard", BGW_MAXLEN);
    strlcpy(worker.bgw_function_name, "timeshard_worker", BGW_MAXLEN);
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = 10; // seconds; a worker that fails tries again
    RegisterBackgroundWorker(&worker);
}

extern "C" {

PGDLLEXPORT void timeshard_worker(Datum);

/// Ends with an error, and is started again, if the mark cannot be written or the clock
/// has jumped; sessions then extend the reservation themselves, or fail likewise.
void timeshard_worker(Datum)
{
    pqsignal(SIGTERM, die); // answered wherever a cancel is, waits for the lock included
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    BackgroundWorkerUnblockSignals();
    BackgroundWorkerInitializeConnection(nullptr, nullptr, 0); // to no database, but seen
    state = &AttachedState();
    KeepReplayFloor();
    Introduce();
    Use use;
    bool woken = false;
    while (!ProcDiePending) {
        use.Note(woken, state->word.load());
        const bool renew = state->header.floor_taken.load() != 0 && use.InUse();
        woken = Sleep(renew ? Renew() : 0);
    }
    proc_exit(1);
}
}

} // namespace timeshard
