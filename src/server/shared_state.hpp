#pragma once

#include "../core/mark_record.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "identity.hpp"
#include "locks.hpp"
#include "mark.hpp"
#include "postgres.hpp"

/// What every session of the server shares: the one generator.
namespace timeshard {

/// Read and written rarely. What is not atomic is written under the lock, and read
/// under it, or after the flag that guards it was seen set.
struct Header
{
    /// Read before anything else by every version that there will ever be.
    std::uint32_t magic;
    std::uint32_t version;

    /// Held to capture the identity, to take the floor and to write the mark; never
    /// while the clock is waited for.
    StateLock lock;

    // Store each flag after the data it guards.
    std::atomic<std::uint32_t> identity_captured;
    std::atomic<std::uint32_t> floor_taken; ///< the word is above what earlier runs issued
    Identity identity;

    /// No reservation reaches past this offset: the end of the claim, 0 if none is held.
    /// kMaxOffset + 1 where the number is not claimed.
    std::atomic<std::int64_t> claim_end;

    // The reservation, in offsets; both 0 until the first one is durable.
    std::atomic<std::int64_t> renew_at; ///< stored after `end`
    std::atomic<std::int64_t> end;

    /// The node ID in its place in an ID. Read after the limit and before the word: see
    /// AdoptClaim(). 0 until a number is claimed, where that has to be. In the cache line
    /// of `renew_at`.
    std::atomic<std::uint64_t> node_field;

    Mark mark;
    std::int64_t window_ms; ///< of the next reservation
    /// How far ahead of the clock the floor can be: the window of the last run's
    /// reservation, as its mark says, or of the last claim's.
    std::atomic<std::int64_t> floor_window_ms;

    // Both clocks when the reservation was last extended in this run, in ms; 0 before.
    std::int64_t extended_at_wall;
    std::int64_t extended_at_boot;

    /// The process entries of the workers that renew the reservation and that claim, plus
    /// 1; 0 if none runs. See Wake().
    std::atomic<std::int32_t> renewer;
    std::atomic<std::int32_t> claimant;
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

/// What is read or written a few times in a run.
struct Notes
{
    std::int64_t restart_point_ms; ///< see RecordRestartPoint(); 0 if not preloaded

    // When a wait was last logged: monotonic, 0 before the first. Separate, or the
    // wait for the floor at a start would silence the first wait for the clock.
    std::atomic<std::int64_t> clock_wait_logged_ns;
    std::atomic<std::int64_t> floor_wait_logged_ns;
};

/// Updates a counter that keeps the largest value seen.
inline void KeepLargest(std::atomic<std::int64_t> &largest, std::int64_t value)
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

    /// The state word has its cache lines for itself (two, because processors fetch
    /// them in pairs), so that only IDs contend for it.
    std::atomic<std::uint64_t> word;
    char word_reserve[128 - sizeof(std::uint64_t)];

    Counters counters;
    Notes notes;
    char reserve[128 - sizeof(Counters) - sizeof(Notes)];
};
static_assert(offsetof(Header, renew_at) / 64 == offsetof(Header, node_field) / 64);
static_assert(sizeof(SharedState) == 512);
static_assert(offsetof(SharedState, word) == 256);

/// The shared memory that the state takes, with the positions.
std::size_t SharedStateSize();

/// Forgets this process's mapping of the state: the server has new memory.
void ForgetSharedState();

/// Says that shared_preload_libraries has loaded the library, in the postmaster; the
/// processes that it starts inherit that.
void SetPreloaded();

/// True if shared_preload_libraries has loaded the library.
bool IsPreloaded();

/// The server's state, with the identity captured, by this process if it is the
/// first to ask. Raises an error if the state is of another version, the settings
/// make no identity, or there is no shared memory left for the state.
SharedState &AttachedState();

/// Keeps the identity in this process, the postmaster: a session's crash takes the
/// state, and who the server is belongs to its start.
void KeepIdentity(const SharedState &state);

/// True if this run of the server has its identity, so that no setting can change it
/// before the next.
bool IdentityIsCaptured();

/// The same, but null if there is no shared memory left for it. No ID is then issued
/// until the server's next start.
SharedState *AttachedStateIfAny();

/// The node ID that IDs carry now; 0 while one is to be claimed.
std::int32_t CurrentNodeId(const Header &header);

/// The identity in force, with the node ID of now: the state's, else that of the settings
/// in this process.
Identity IdentityInForce();

/// What reading an ID takes of it, at less cost.
struct IdFormat
{
    std::int64_t custom_epoch;
    std::int32_t node_id_bits;
};

IdFormat FormatInForce();

} // namespace timeshard
