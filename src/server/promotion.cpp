#include "promotion.hpp"

#include "reservation.hpp"
#include "start.hpp"

#include "postgres.hpp"

namespace timeshard {

void RegisterPromotionWorker()
{
    BackgroundWorker worker{};
    strlcpy(worker.bgw_name, "timeshard promotion", BGW_MAXLEN);
    strlcpy(worker.bgw_type, "timeshard promotion", BGW_MAXLEN);
    strlcpy(worker.bgw_library_name, "timeshard", BGW_MAXLEN);
    strlcpy(worker.bgw_function_name, "timeshard_promotion_worker", BGW_MAXLEN);
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
    worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = 10; // seconds; a worker that fails tries again
    RegisterBackgroundWorker(&worker);
}

extern "C" {

PGDLLEXPORT void timeshard_promotion_worker(Datum);

/// Runs once, when recovery ends, and does something only after archive recovery. A
/// session may have taken the floor in memory only, and still be waiting for the clock,
/// so the worker makes it durable in any case. Ends with an error, and is started again,
/// if the mark cannot be written.
void timeshard_promotion_worker(Datum)
{
    pqsignal(SIGTERM, die); // answered wherever a cancel is, waits for the lock included
    BackgroundWorkerUnblockSignals();
    SharedState &state = AttachedState();
    const Floor floor = ReplayFloor(state.header);
    if (floor.offset >= 0)
        LiftFloor(state, floor.offset, DamagedMark::kRefuse);
    proc_exit(0); // and is not started again
}
}

} // namespace timeshard
