#pragma once

#include <atomic>
#include <cstdint>

#include "identity.hpp"

/// The one generator of the server, in shared memory.
namespace timeshard::pg {

/// What every session of the server shares. Its size and its name never
/// change, or a new library would find no state and make a second generator
/// beside the one that older sessions still use. No pointers: sessions may map
/// it anywhere.
struct SharedState;

/// The generator as this process sees it: where the state word is, and the
/// identity, which is the same for every session until the server restarts.
struct Generator
{
    std::atomic<std::uint64_t> *word;
    std::int64_t epoch;
    std::uint64_t node_field;
    std::int32_t max_sequence;
};

/// Called once by _PG_init: has space reserved and the identity captured at
/// server start when the library is in shared_preload_libraries.
void PrepareSharedState();

/// True if the library was loaded by shared_preload_libraries.
bool IsPreloaded();

/// The identity in force, captured by the first process of the server that
/// asks. Raises an error if the shared state is of another version, or the
/// settings make no identity.
const Identity &IdentityInForce();

/// The generator, ready to issue; `caller` is named in the error when the
/// server is in recovery.
const Generator &ReadyGenerator(const char *caller);

/// True if nobody on this server has logged a clock wait within the last ten
/// seconds; then it is the caller's turn.
bool TakeTurnToLogClockWait(std::int64_t now_ns);

} // namespace timeshard::pg
