#pragma once

#include <cstdint>

#include "identity.hpp"
#include "mark_file.hpp"

/// The floor: above what the first ID of a server run must be.
namespace timeshard::pg {

/// What a floor rests on.
enum class FloorSource {
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

/// The floor that replay gives in this server run, none unless it came out of
/// archive recovery. GetLatestXTime() is the time of the last commit replayed,
/// not of the largest: commits are a few ms out of order, hence the second.
/// `restart_point_ms` is what RestartPoint() gave when the server started, or 0.
Floor ReplayFloor(std::int64_t epoch, std::int64_t restart_point_ms);

/// The time of the last checkpoint, to the end of its second, in ms since 1970,
/// if the server is starting as a standby that was stopped or has crashed; else
/// 0. What it had replayed before is not replayed again, and the checkpoint of
/// its promotion, by its own clock, will hide this one.
std::int64_t RestartPoint();

/// When the last of the transactions that are now prepared was, in ms since
/// 1970, or -1: replay does not count a prepared transaction as a commit. Runs
/// a query, so it needs a session with a database.
std::int64_t LatestPreparation();

/// The greatest floor of all sources; `mark` must not be damaged.
///
/// The last checkpoint's time has whole seconds, and IDs may have been issued in
/// the rest of its second. That is added where the checkpoint is the end of an
/// earlier run, or may be all there is to go by; but not to the one that ends
/// crash recovery, or every crash would cost the first call up to a second.
Floor FindFloor(const MarkReading &mark, std::int64_t epoch, std::int64_t restart_point_ms,
                std::int64_t prepared_ms);

/// Raises the error that the clock is too far behind the floor, and says
/// whether the clock or the epoch has moved.
[[noreturn]] void RefuseFloor(const Floor &floor, const MarkReading &mark, const Identity &identity,
                              std::int64_t now);

} // namespace timeshard::pg
