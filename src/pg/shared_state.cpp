#include "shared_state.hpp"

#include "../core/layout.hpp"

#include <cstring>
#include <type_traits>

#include "postgres.hpp"

namespace timeshard::pg {

namespace {

/// Read and written rarely.
struct Header
{
    /// Read before anything else by every version that there will ever be.
    std::uint32_t magic;
    std::uint32_t version;

    LWLock lock; ///< taken to capture the identity; never held while waiting

    // Found does not mean initialised: each flag is stored last.
    std::atomic<std::uint32_t> identity_captured;
    std::atomic<std::uint32_t> floor_taken; ///< generation has begun in this server run
    Identity identity;

    std::atomic<std::int64_t> clock_wait_logged_ns; ///< monotonic; 0 before the first
};

} // namespace

struct SharedState
{
    Header header;
    char header_reserve[256 - sizeof(Header)];

    /// The state word stands alone on its cache lines (two, because processors
    /// fetch them in pairs), so that nothing but IDs contends for it.
    std::atomic<std::uint64_t> word;
    char reserve[256 - sizeof(std::uint64_t)];
};

namespace {

constexpr char kSharedStateName[] = "timeshard";
constexpr std::uint32_t kMagic = 0x54534844; // "TSHD"

/// Rises whenever what a session must do with the state changes, not only when
/// its layout does. Overridden by the tests to play a library of the future.
#ifndef TIMESHARD_STATE_VERSION
#define TIMESHARD_STATE_VERSION 1
#endif
constexpr std::uint32_t kVersion = TIMESHARD_STATE_VERSION;

constexpr std::int64_t kLogIntervalNs = 10'000'000'000;

static_assert(sizeof(SharedState) == 512);
static_assert(offsetof(SharedState, word) == 256);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
static_assert(std::is_trivially_copyable_v<Identity>);

SharedState *shared = nullptr; ///< this process's mapping of it
Generator generator;           ///< valid once `generator_ready`
bool generator_ready = false;
bool preloaded = false;
shmem_request_hook_type previous_request_hook = nullptr;
shmem_startup_hook_type previous_startup_hook = nullptr;

void Initialise(SharedState *state)
{
    std::memset(static_cast<void *>(state), 0, sizeof(*state));
    state->header.magic = kMagic;
    state->header.version = kVersion;
    LWLockInitialize(&state->header.lock, LWLockNewTrancheId());
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
                 errhint("Restart the server.")));
    LWLockRegisterTranche(state->header.lock.tranche, kSharedStateName);
    shared = state;
    return shared;
}

/// Captures the identity, unless another process has. It is made outside the
/// lock; of two that are made at once, the first to take the lock counts.
void CaptureIdentity(SharedState *state)
{
    const Identity identity = MakeIdentity();

    LWLockAcquire(&state->header.lock, LW_EXCLUSIVE);
    const bool first = state->header.identity_captured.load() == 0;
    if (first) {
        state->header.identity = identity;
        state->header.identity_captured.store(1);
    }
    LWLockRelease(&state->header.lock);

    if (first)
        ReportIdentity(identity);
}

SharedState *AttachWithIdentity()
{
    SharedState *state = Attach();
    if (state->header.identity_captured.load() == 0)
        CaptureIdentity(state);
    return state;
}

void RequestSpace()
{
    if (previous_request_hook != nullptr)
        previous_request_hook();
    RequestAddinShmemSpace(sizeof(SharedState));
}

/// Runs in the postmaster, at the start and after a crash of a backend, which
/// is a start too: the memory is new.
void StartUp()
{
    if (previous_startup_hook != nullptr)
        previous_startup_hook();
    shared = nullptr;
    AttachWithIdentity();
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

const Identity &IdentityInForce()
{
    return AttachWithIdentity()->header.identity;
}

const Generator &ReadyGenerator(const char *caller)
{
    if (generator_ready) [[likely]]
        return generator;

    PreventCommandDuringRecovery(caller);
    SharedState *state = AttachWithIdentity();
    const Layout layout(state->header.identity.node_id_bits);
    generator.word = &state->word;
    generator.epoch = state->header.identity.custom_epoch;
    generator.node_field = layout.NodeField(state->header.identity.node_id);
    generator.max_sequence = layout.MaxSequence();
    state->header.floor_taken.store(1);
    generator_ready = true;
    return generator;
}

bool TakeTurnToLogClockWait(std::int64_t now_ns)
{
    std::int64_t last_ns = Attach()->header.clock_wait_logged_ns.load();
    if (last_ns != 0 && now_ns - last_ns < kLogIntervalNs)
        return false;
    return shared->header.clock_wait_logged_ns.compare_exchange_strong(last_ns, now_ns);
}

} // namespace timeshard::pg
