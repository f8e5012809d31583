#pragma once

/// A server that was a standby: what it replayed must stay below its IDs, even if it
/// restarts before it issues the first.
namespace timeshard {

/// Called by _PG_init when the library is preloaded: registers a worker that makes the
/// floor of replay durable as soon as recovery ends.
void RegisterPromotionWorker();

} // namespace timeshard
