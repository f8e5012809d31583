#pragma once

#include <cstdint>

#include "shared_state.hpp"

/// The reservation of the running server, and floors lifted by hand: what makes the
/// mark go on. All of it raises an error, and changes nothing, if the mark cannot be
/// written, and ends the process if the postmaster is gone. An extension is refused too
/// if the clock has jumped ahead by more than timeshard.max_clock_jump since the last. It
/// reaches to the end of the claim at most, where the number is claimed.
namespace timeshard {

/// Extends the reservation if that is due and the lock is free: while one process does
/// so, the others use what is left.
void ExtendReservation(SharedState &state);

/// Wakes a worker by its process entry plus 1, such as the one that extends the
/// reservation. False if none runs.
bool Wake(const std::atomic<std::int32_t> &worker);

/// Takes the clock as it is now for right, however far it has jumped.
void AcceptClock(SharedState &state);

/// Waits until the reservation's end is above `end`, where it stood: for another
/// session to extend it, or for the turn to do so. Answers a cancel.
void AwaitReservation(SharedState &state, std::int64_t end);

/// What to do about a mark that is damaged. One of a newer version is always refused.
enum class DamagedMark : std::uint8_t { kRefuse, kReplace };

/// Guarantees that every later ID lies after the millisecond at `offset` (0 to
/// kMaxOffset); durable when it returns. An error if the mark is damaged and not to
/// be replaced.
void LiftFloor(SharedState &state, std::int64_t offset, DamagedMark damaged);

} // namespace timeshard
