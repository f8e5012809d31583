#include "promotion.hpp"

#include "../core/mark.hpp"

#include "floor.hpp"
#include "reservation.hpp"

#include "postgres.hpp"

extern "C" {
PGDLLEXPORT void timeshard_promotion_worker(Datum);
}

namespace timeshard::pg {

void RegisterPromotionWorker()
{
    if (!IsPreloaded())
        return;
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

} // namespace timeshard::pg

/// Runs once, when recovery ends, and does something only after archive recovery.
/// A session that has taken the floor before has it in memory only, and may still be
/// waiting for it: the worker makes it durable all the same. Ends with an error, and
/// is started again, if the mark cannot be written.
void timeshard_promotion_worker(Datum)
{
    using namespace timeshard::pg;

    pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
    BackgroundWorkerUnblockSignals();
    SharedState &state = AttachedState();
    const Floor floor =
        ReplayFloor(state.header.identity.custom_epoch, state.header.restart_point_ms);
    if (floor.offset >= 0)
        RaiseFloor(state, floor.offset, DamagedMark::kRefuse);
    proc_exit(0); // and is not started again
}
