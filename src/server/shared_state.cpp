#include "shared_state.hpp"

#include "../core/layout.hpp"

#include <cstring>
#include <optional>
#include <type_traits>

#include "open_transactions.hpp"
#include "provenance.hpp"

#include "compat.hpp"
#include "settings.hpp"
#include "shared_memory.hpp"
#include "wait_events.hpp"

namespace timeshard {
namespace {

constexpr char kName[] = "timeshard";
constexpr std::uint32_t kMagic = 0x54534844; // "TSHD"

/// Rises whenever what a session must do with the state changes, not only when
/// its layout does. The tests override it to play a library of the future.
/// 2: no ID at or past the end of the reservation.
/// 3: a position published before a transaction's first ID.
/// 4: who releases the lock wakes those who wait for it.
/// 5: a window that follows the syncs, and a worker that renews the reservation.
/// 6: the limit in a begun millisecond too, and the node field read after it.
#ifndef TIMESHARD_STATE_VERSION
#define TIMESHARD_STATE_VERSION 6
#endif
constexpr std::uint32_t kVersion = TIMESHARD_STATE_VERSION;

static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
static_assert(std::is_trivially_copyable_v<Identity>);

SharedState *shared = nullptr; ///< this process's mapping, set once the positions are mapped
bool memory_used_up = false;   ///< not to try with each ID that is read
bool preloaded = false;

/// Preloaded, the identity that the postmaster captured at the server's start. Its
/// children inherit it, and the state that is made after a crash gets it.
std::optional<Identity> kept;

void Initialise(SharedState *state)
{
    std::memset(static_cast<void *>(state), 0, sizeof(*state));
    state->header.magic = kMagic;
    state->header.version = kVersion;
    InitialiseStateLock(state->header.lock, NewLockTranche(kName));
    state->counters.started_at.store(GetCurrentTimestamp());
}

/// Finds the shared state, or makes it; null if there is no shared memory left for it.
SharedState *TryAttach()
{
    if (shared != nullptr)
        return shared;

    NameWaitEvents();
    auto *state = FindOrMake<SharedState>(kName, sizeof(SharedState), Initialise);
    if (state == nullptr)
        return nullptr;

    if (state->header.magic != kMagic || state->header.version != kVersion)
        ereport(ERROR,
                (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                 errmsg("the server runs another version of timeshard than this library"),
                 errdetail("The shared state has version %u, and the library needs version %u.",
                           state->header.version, kVersion),
                 errhint("Restart the server. See \"Upgrade and uninstall\" in " TIMESHARD_MANUAL
                         "README.md.")));
    if (!AttachPositions())
        return nullptr;
    NameLockTranche(state->header.lock.lock.tranche, kName);
    shared = state;
    return shared;
}

[[noreturn]] void RaiseNoMemoryError()
{
    ereport(ERROR,
            (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("not enough shared memory for timeshard"),
             errdetail("Timeshard needs %zu bytes of the memory that the server keeps in reserve, "
                       "which is used up.",
                       SharedStateSize()),
             errhint("Add timeshard to shared_preload_libraries and restart the server, which "
                     "then sets the memory aside.")));
    pg_unreachable();
}

/// The identity that this run of the server had before its state was lost in a crash.
/// Not preloaded, the mark tells it. That is read without the lock: only a captured
/// identity writes it.
std::optional<Identity> IdentityBeforeCrash()
{
    if (kept || preloaded)
        return kept;
    return IdentityOfThisRun(ReadMark());
}

/// Stores the identity, unless another process has stored one.
void StoreIdentity(SharedState *state, const Identity &identity)
{
    Header &header = state->header;
    const auto captured = [&] { return header.identity_captured.load() != 0; };
    if (!LockUnless(header.lock, captured))
        return;
    const bool first = !captured();
    if (first) {
        const bool claims = identity.node_id_source == NodeIdSource::kRegistry;
        header.identity = identity;
        header.node_field.store(Layout(identity.node_id_bits).NodeField(identity.node_id));
        header.claim_end.store(claims ? 0 : kMaxOffset + 1);
        header.identity_captured.store(1);
    }
    Unlock(header.lock);

    if (first)
        ReportIdentity(identity);
}

/// Captures the identity, unless another process has. It is made before the lock is
/// taken, because that may raise an error; of two made at once, the first one stored
/// counts.
void CaptureIdentity(SharedState *state)
{
    const std::optional<Identity> before = IdentityBeforeCrash();
    StoreIdentity(state, before ? *before : MakeIdentity());
}

} // namespace

std::size_t SharedStateSize()
{
    return add_size(MAXALIGN(sizeof(SharedState)), PositionsSize());
}

void ForgetSharedState()
{
    shared = nullptr;
    memory_used_up = false;
}

void SetPreloaded()
{
    preloaded = true;
}

bool IsPreloaded()
{
    return preloaded;
}

SharedState *AttachedStateIfAny()
{
    if (memory_used_up)
        return nullptr;
    SharedState *state = TryAttach();
    memory_used_up = state == nullptr;
    if (state != nullptr && state->header.identity_captured.load() == 0)
        CaptureIdentity(state);
    return state;
}

SharedState &AttachedState()
{
    SharedState *state = AttachedStateIfAny();
    if (state == nullptr)
        RaiseNoMemoryError();
    return *state;
}

void KeepIdentity(const SharedState &state)
{
    kept = state.header.identity;
}

bool IdentityIsCaptured()
{
    if (process_shared_preload_libraries_in_progress)
        return IsUnderPostmaster; // where sessions are not forked, each loads it again
    const SharedState *state = TryAttach();
    if (state == nullptr)
        return false;
    return state->header.identity_captured.load() != 0 || IdentityBeforeCrash().has_value();
}

std::int32_t CurrentNodeId(const Header &header)
{
    const auto field = static_cast<std::int64_t>(header.node_field.load());
    return Layout(header.identity.node_id_bits).Split(field).node_id;
}

Identity IdentityInForce()
{
    const SharedState *state = AttachedStateIfAny();
    if (state == nullptr)
        return MakeIdentity();
    Identity identity = state->header.identity;
    identity.node_id = CurrentNodeId(state->header);
    return identity;
}

IdFormat FormatInForce()
{
    const SharedState *state = AttachedStateIfAny();
    if (state == nullptr) {
        CheckConfiguredIdentity();
        return {ConfiguredEpoch(), ConfiguredNodeIdBits()};
    }
    return {state->header.identity.custom_epoch, state->header.identity.node_id_bits};
}

} // namespace timeshard
