#include "shared_state.hpp"

#include <cstring>
#include <type_traits>

#include "floor.hpp"
#include "mark_lock.hpp"

#include "postgres.hpp"

namespace timeshard::pg {

namespace {

constexpr char kSharedStateName[] = "timeshard";
constexpr char kPositionsName[] = "timeshard positions";
constexpr std::uint32_t kMagic = 0x54534844; // "TSHD"

/// Rises whenever what a session must do with the state changes, not only when
/// its layout does. Overridden by the tests to play a library of the future.
/// 2: no ID at or past the end of the reservation.
/// 3: a position published before a transaction's first ID.
#ifndef TIMESHARD_STATE_VERSION
#define TIMESHARD_STATE_VERSION 3
#endif
constexpr std::uint32_t kVersion = TIMESHARD_STATE_VERSION;

static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
static_assert(std::is_trivially_copyable_v<Identity>);

SharedState *shared = nullptr; ///< this process's mapping of it, once the positions are mapped
Positions *positions = nullptr;
bool preloaded = false;
shmem_request_hook_type previous_request_hook = nullptr;
shmem_startup_hook_type previous_startup_hook = nullptr;

void Initialise(SharedState *state)
{
    std::memset(static_cast<void *>(state), 0, sizeof(*state));
    state->header.magic = kMagic;
    state->header.version = kVersion;
    LWLockInitialize(&state->header.lock, NewLockTranche(kSharedStateName));
    state->counters.started_at.store(GetCurrentTimestamp());
}

Size PositionsSize()
{
    const Size count = static_cast<Size>(MaxBackends) + static_cast<Size>(max_prepared_xacts);
    return add_size(sizeof(Positions), mul_size(count, sizeof(std::uint64_t)));
}

/// Finds the positions, or makes them, with none published.
void AttachPositions()
{
    bool found;
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
    positions = static_cast<Positions *>(ShmemInitStruct(kPositionsName, PositionsSize(), &found));
    if (!found)
        std::memset(static_cast<void *>(positions), 0, PositionsSize());
    LWLockRelease(AddinShmemInitLock);
}

/// Finds the shared state, or makes it: out of the reserve that every server
/// keeps after start (contrib/pg_prewarm does the same up to 16).
SharedState *Attach()
{
    if (shared != nullptr)
        return shared;

    bool found;
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
    auto *state =
        static_cast<SharedState *>(ShmemInitStruct(kSharedStateName, sizeof(SharedState), &found));
    if (!found)
        Initialise(state);
    LWLockRelease(AddinShmemInitLock);

    if (state->header.magic != kMagic || state->header.version != kVersion)
        ereport(ERROR,
                (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                 errmsg("the server runs another version of timeshard than this library"),
                 errdetail("The shared state has version %u, and the library needs version %u.",
                           state->header.version, kVersion),
                 errhint("Restart the server. See \"Upgrade and uninstall\" in README.md.")));
    AttachPositions();
    NameLockTranche(state->header.lock.tranche, kSharedStateName);
    shared = state;
    return shared;
}

/// Captures the identity, unless another process has. It is made outside the
/// lock; of two that are made at once, the first to take the lock counts.
void CaptureIdentity(SharedState *state)
{
    const Identity identity = MakeIdentity();

    LockHeader(state->header);
    const bool first = state->header.identity_captured.load() == 0;
    if (first) {
        state->header.identity = identity;
        state->header.identity_captured.store(1);
    }
    LWLockRelease(&state->header.lock);

    if (first)
        ReportIdentity(identity);
}

void RequestSpace()
{
    if (previous_request_hook != nullptr)
        previous_request_hook();
    RequestAddinShmemSpace(add_size(MAXALIGN(sizeof(SharedState)), PositionsSize()));
}

/// Runs in the postmaster, at the start and after a crash of a backend, which
/// is a start too: the memory is new.
void StartUp()
{
    if (previous_startup_hook != nullptr)
        previous_startup_hook();
    shared = nullptr;
    SharedState &state = AttachedState();
    if (!IsUnderPostmaster) // where sessions are not forked, each comes by here
        state.header.restart_point_ms = RestartPoint();
}

} // namespace

void PrepareSharedState()
{
    if (!process_shared_preload_libraries_in_progress)
        return;
    preloaded = true;
    previous_request_hook = shmem_request_hook;
    shmem_request_hook = RequestSpace;
    previous_startup_hook = shmem_startup_hook;
    shmem_startup_hook = StartUp;
}

bool IsPreloaded()
{
    return preloaded;
}

SharedState &AttachedState()
{
    SharedState *state = Attach();
    if (state->header.identity_captured.load() == 0)
        CaptureIdentity(state);
    return *state;
}

Positions &AttachedPositions()
{
    return *positions;
}

const Identity &IdentityInForce()
{
    return AttachedState().header.identity;
}

} // namespace timeshard::pg
