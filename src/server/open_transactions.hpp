#pragma once

#include "../core/layout.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "postgres.hpp"

/// Where the server's open transactions stand, for the horizon.
namespace timeshard {

/// A position (core/position.hpp) for each owner of a virtual transaction ID, and one
/// for each prepared transaction whose owner has gone on to another. In shared memory
/// of its own, since its size follows max_connections and max_prepared_transactions.
struct Positions
{
    std::atomic<std::uint64_t> greatest_answer; ///< of timeshard_horizon(), a word
    char reserve[64 - sizeof(std::uint64_t)];

    std::atomic<std::uint64_t> &OfOwner(int owner) { return First()[owner]; }
    std::atomic<std::uint64_t> &OfPrepared(int index) { return First()[MaxBackends + index]; }

private:
    std::atomic<std::uint64_t> *First()
    {
        return reinterpret_cast<std::atomic<std::uint64_t> *>(this + 1);
    }
};

/// The shared memory that the positions take.
std::size_t PositionsSize();

/// Finds the positions, or makes them, with none published. False if there is no shared
/// memory left for them.
bool AttachPositions();

/// The positions; AttachedState() has attached them.
Positions &AttachedPositions();

/// Publishes where the generator's `word` stands for the current transaction, before
/// it takes its first ID; a parallel worker does so for its leader's. Nothing runs at
/// the transaction's end: the reader looks at PostgreSQL's own record of it. True if
/// the position may be lifted to that ID.
bool PublishOwnPosition(const std::atomic<std::uint64_t> &word);

/// Lifts it to the offset of the transaction's first ID.
void LiftOwnPosition(std::int64_t offset);

/// The least position of all open transactions, and whose it is.
struct OldestPosition
{
    std::int64_t offset = kMaxOffset + 1; ///< if none is published

    int pid = 0;           ///< of the session; 0 if it is prepared, or none
    Oid role = InvalidOid; ///< the session's

    /// An open transaction that was prepared before the server's start or promotion:
    /// its position is unknown. Invalid if there is none.
    TransactionId prepared_earlier = InvalidTransactionId;
};

/// Scans all positions. Those published later belong to IDs above every ID that the
/// caller has taken before.
OldestPosition FindOldestPosition();

} // namespace timeshard
