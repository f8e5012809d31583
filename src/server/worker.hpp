#pragma once

/// The background worker of a server that preloads the library.
namespace timeshard {

/// Called by _PG_init when the library is preloaded. From the end of recovery on, the
/// worker makes the floor of what was replayed durable, so that it holds even if the
/// server restarts before its first ID; then it renews the reservation while IDs are in
/// use, so that no session waits for the sync.
void RegisterWorker();

} // namespace timeshard
