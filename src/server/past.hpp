#pragma once

#include <cstdint>

/// What PostgreSQL itself records of the server's past. Times are in ms since 1970.
namespace timeshard {

/// pg_control stores whole seconds; IDs may have been issued in the rest of one.
inline constexpr std::int64_t kRestOfSecondMs = 999;

struct Checkpoint
{
    std::int64_t time; ///< a whole second
    bool in_recovery;  ///< the server is a standby, or was one when it stopped or crashed
};

/// The last checkpoint, by pg_control. Raises an error if that cannot be read.
Checkpoint LastCheckpoint();

struct Past
{
    Checkpoint checkpoint;
    std::int64_t prepared; ///< when the last transaction now prepared was; -1 if none is
};

/// Reads all of it. May raise an error, so no lock may be held. Runs a query, so it
/// needs a session with a database.
Past ReadPast();

} // namespace timeshard
