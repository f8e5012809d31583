#pragma once

#include "../core/mark.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "identity.hpp"
#include "postgres.hpp"

/// What every session of the server shares: the one generator.
namespace timeshard::pg {

/// Read and written rarely. What is not atomic is written under the lock, and read
/// under it, or once the flag that was stored after it is seen.
struct Header
{
    /// Read before anything else by every version that there will ever be.
    std::uint32_t magic;
    std::uint32_t version;

    /// Taken to capture the identity, to take the floor and to write the mark.
    /// PostgreSQL releases it on an error and at a session's end. Nobody waits
    /// for the clock under it, nor for it without answering a cancel.
    LWLock lock;

    // Found does not mean initialised: each flag is stored last.
    std::atomic<std::uint32_t> identity_captured;
    std::atomic<std::uint32_t> floor_taken; ///< the word is above what earlier runs issued
    Identity identity;

    // The reservation, in offsets; both 0 until the first one is durable.
    std::atomic<std::int64_t> renew_at; ///< raised after `end`
    std::atomic<std::int64_t> end;

    // The mark as it is on disk, once the floor is taken.
    std::int64_t mark_end; ///< at least `end`
    std::uint64_t mark_generation;
    LayoutChange layout_change;
    std::uint32_t mark_named; ///< 1 if its name is on disk, by this run's own sync

    std::int64_t restart_point_ms; ///< see RestartPoint(); 0 if not preloaded

    // When a wait was last logged: monotonic, 0 before the first. Apart, or the
    // floor's at a start would silence the first of the clock.
    std::atomic<std::int64_t> clock_wait_logged_ns;
    std::atomic<std::int64_t> floor_wait_logged_ns;
};

/// What timeshard_stats() shows, since the state was made.
struct Counters
{
    std::atomic<std::int64_t> issued_before; ///< IDs in milliseconds before the word's
    std::atomic<std::int64_t> sequence_waits;
    std::atomic<std::int64_t> clock_waits;
    std::atomic<std::int64_t> clock_refusals;
    std::atomic<std::int64_t> largest_step_ns;
    std::atomic<std::int64_t> mark_extensions;
    std::atomic<std::int64_t> slowest_extension_ns;
    std::atomic<std::int64_t> started_at; ///< a TimestampTz
};

/// Raises a counter that keeps the largest value seen.
inline void RaiseLargest(std::atomic<std::int64_t> &largest, std::int64_t value)
{
    std::int64_t seen = largest.load();
    while (seen < value && !largest.compare_exchange_strong(seen, value)) {
    }
}

/// Its size and its name never change, or a new library would find no state and
/// make a second generator beside the one that older sessions still use. No
/// pointers: sessions may map it anywhere.
struct SharedState
{
    Header header;
    char header_reserve[256 - sizeof(Header)];

    /// The state word stands alone on its cache lines (two, because processors
    /// fetch them in pairs), so that nothing but IDs contends for it.
    std::atomic<std::uint64_t> word;
    char word_reserve[128 - sizeof(std::uint64_t)];

    Counters counters;
    char reserve[128 - sizeof(Counters)];
};
static_assert(sizeof(SharedState) == 512);
static_assert(offsetof(SharedState, word) == 256);

/// Where open transactions stand: a position (core/horizon.hpp) for each owner of a
/// virtual transaction ID, and one for each prepared transaction whose owner has
/// gone on to another. In memory of its own, since its size follows the server's
/// max_connections and max_prepared_transactions.
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

/// Called once by _PG_init: has space reserved and the identity captured at
/// server start when the library is in shared_preload_libraries.
void PrepareSharedState();

/// True if the library was loaded by shared_preload_libraries.
bool IsPreloaded();

/// The server's state, with the identity captured, by this process if it is the
/// first to ask. Raises an error if the state is of another version, or the
/// settings make no identity.
SharedState &AttachedState();

/// The positions, which are there since AttachedState() has returned.
Positions &AttachedPositions();

/// The identity in force.
const Identity &IdentityInForce();

} // namespace timeshard::pg
