#pragma once

#include "postgres.hpp"

/// What pg_stat_activity shows while a session waits for Timeshard.
namespace timeshard {

/// Names the wait events for this process. To be called with no lock held.
void NameWaitEvents();

uint32 ClockWaitEvent(); ///< the clock has to pass the last ID or the floor
uint32 MarkWaitEvent();  ///< the mark is being written, here or by another session

} // namespace timeshard
