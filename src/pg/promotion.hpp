#pragma once

/// A server that was a standby: what it replayed must stay below its IDs, also
/// if it restarts before it issues the first.
namespace timeshard::pg {

/// Called by _PG_init: when the library is preloaded, a worker makes the floor
/// of replay durable as soon as recovery ends.
void RegisterPromotionWorker();

} // namespace timeshard::pg
