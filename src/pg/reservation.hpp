#pragma once

#include <cstdint>

#include "shared_state.hpp"

/// The floor and the reservation of the running server, and the mark that keeps
/// them on disk.
namespace timeshard::pg {

/// Puts the generator above all that was issued before this server run, unless
/// another session has. Raises an error, and takes nothing, if the clock is too
/// far behind, the mark is damaged, or a configured node ID has been lost.
void TakeFloor(SharedState &state);

/// Reserves the time from the clock on, durably, if that is due and no other
/// session is at it. Raises an error, and reserves nothing, if the mark cannot be
/// written; ends the session if the postmaster is gone.
void ExtendReservation(SharedState &state);

/// What to do about a mark that is damaged.
enum class DamagedMark { kRefuse, kReplace };

/// Has no later ID be in the millisecond at `offset` (0 to kMaxOffset) or
/// before; durable when it returns.
void RaiseFloor(SharedState &state, std::int64_t offset, DamagedMark damaged);

} // namespace timeshard::pg
