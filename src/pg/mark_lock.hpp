#pragma once

#include "shared_state.hpp"

/// The lock under which the identity is captured, the floor taken and the mark
/// written, and waiting for whoever holds it.
namespace timeshard::pg {

/// Takes the lock without holding off a cancel, as LWLockAcquire would: its holder
/// may be waiting for a disk.
void LockHeader(Header &header);

/// A short sleep of a session that waits for another at the mark; longer with
/// each call. Starts at 0. Answers a cancel.
void NapForMark(long &nap_ms);

} // namespace timeshard::pg
