#pragma once

#include <cstdint>

#include "shared_state.hpp"

/// Where a run of the server may start: above all that earlier runs, or the primary
/// that it was a standby of, may have issued.
namespace timeshard {

/// What a floor rests on.
enum class FloorSource : std::uint8_t {
    kNone,
    kMark,       ///< the end of what the last run reserved
    kCheckpoint, ///< the time of the last checkpoint, in pg_control
    kReplay,     ///< the last commit replayed in archive recovery, and a second
    kPrepared,   ///< a prepared transaction
};

/// An offset at or below which IDs may have been issued; -1 if there is none.
struct Floor
{
    std::int64_t offset = -1;
    FloorSource source = FloorSource::kNone;
};

/// The floor that replay gives in this server run, none unless it came out of archive
/// recovery. GetLatestXTime() is the time of the last commit replayed, not the
/// largest; commits are a few ms out of order, hence a second more.
Floor ReplayFloor(const SharedState &state);

/// Records the time of the last checkpoint, to the end of its second, if the server
/// starts as a standby that was stopped or has crashed: what it had replayed before is
/// not replayed again, and the checkpoint of its promotion, by its own clock, will
/// hide this one. Called in the postmaster, when preloaded.
void RecordRestartPoint(SharedState &state);

/// Puts the generator above all that was issued before this server run, unless
/// another session has. Raises an error, and takes nothing, if the clock is too
/// far behind, the mark is damaged, a configured node ID has been lost, or there is
/// none. The first call in a server run warns of a node ID that is not configured.
void TakeFloor(SharedState &state);

} // namespace timeshard
