#include "claiming.hpp"

#include "../core/clock.hpp"
#include "../core/generator.hpp"

#include <algorithm>
#include <cstring>

#include "claim_errors.hpp"
#include "clock_wait.hpp"
#include "reservation.hpp"

#include "postgres.hpp"
#include "settings.hpp"
#include "shared_memory.hpp"

namespace timeshard {
namespace {

constexpr char kName[] = "timeshard claim";

/// How often a waiting call looks for a claim.
constexpr std::int64_t kLookIntervalNs = 20 * kNanosecondsPerMillisecond;

Claim *claim = nullptr; ///< this process's mapping

/// What the postmaster keeps of a claim while the memory is made anew.
struct CarriedClaim
{
    Claim claim;
    std::int64_t mark_end;
    std::int64_t claim_end; ///< 0 if nothing is carried
};
CarriedClaim carried;

/// Runs in the postmaster after a crash of a session, before the memory goes. A process
/// can have been killed anywhere: the claim's end is 0 while the rest changes.
void CarryClaim(int, Datum state_datum)
{
    const auto &state = *reinterpret_cast<const SharedState *>(DatumGetPointer(state_datum));
    std::memcpy(static_cast<void *>(&carried.claim), claim, sizeof(*claim));
    carried.mark_end = state.header.mark.end;
    carried.claim_end = state.header.claim_end.load();
    claim = nullptr;
}

/// Gives the new memory what was carried.
void TakeCarried(SharedState &state)
{
    Header &header = state.header;
    if (carried.claim_end == 0)
        return;
    std::memcpy(static_cast<void *>(claim), &carried.claim, sizeof(*claim));
    SpinLockInit(&claim->error_lock); // its holder may have been killed
    claim->interval.end = carried.claim_end;
    header.mark.end = carried.mark_end;
    LiftToFloor(state.word, FloorOfSwitch(carried.mark_end, claim->interval.floor));
    header.node_field.store(Layout(header.identity.node_id_bits).NodeField(claim->interval.number));
    header.claim_end.store(carried.claim_end);
}

void Initialise(Claim *made)
{
    std::memset(static_cast<void *>(made), 0, sizeof(*made));
    SpinLockInit(&made->error_lock);
}

} // namespace

std::size_t ClaimSize()
{
    return RegistryIsConfigured() ? MAXALIGN(sizeof(Claim)) : 0;
}

bool RegistryIsConfigured()
{
    return ConfiguredNodeId() == kNodeIdFromRegistry || ConfiguredRegistry()[0] != '\0';
}

void RegisterClaimant()
{
    if (ConfiguredRegistry()[0] == '\0')
        ereport(ERROR, (errcode(ERRCODE_CONFIG_FILE_ERROR),
                        errmsg("timeshard.registry must be set to claim a node ID"),
                        errdetail("timeshard.node_id is \"registry\"."),
                        errhint("Set timeshard.registry to the connection string of the registry's "
                                "database, such as \"service=ids\".")));
    CheckNumbersToClaim(ERROR);
    // Here rather than when the claimant starts: libraries of one release belong together,
    // and the files may be another's by then.
    load_external_function("$libdir/timeshard_registry", "timeshard_claimant", true, nullptr);

    BackgroundWorker worker{};
    strlcpy(worker.bgw_name, "timeshard claimant", BGW_MAXLEN);
    strlcpy(worker.bgw_type, "timeshard claimant", BGW_MAXLEN);
    strlcpy(worker.bgw_library_name, "$libdir/timeshard_registry", BGW_MAXLEN);
    strlcpy(worker.bgw_function_name, "timeshard_claimant", BGW_MAXLEN);
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
    worker.bgw_start_time = BgWorkerStart_PostmasterStart;
    worker.bgw_restart_time = 1; // seconds
    RegisterBackgroundWorker(&worker);
}

void CheckNumbersToClaim(int elevel)
{
    const auto numbers = ConfiguredRegistryNumbers();
    const std::int32_t max = Layout(ConfiguredNodeIdBits()).MaxNodeId();
    if (!numbers || numbers->last <= max)
        return;
    ereport(elevel,
            (errcode(ERRCODE_CONFIG_FILE_ERROR),
             errmsg("timeshard.registry_numbers must be between 0 and %d", max),
             errdetail("It ends with %d, and timeshard.node_id_bits is %d.", numbers->last,
                       ConfiguredNodeIdBits()),
             elevel < ERROR ? errhint("Correct it before the server's next start. Otherwise the "
                                      "server will not start then.")
                            : 0));
}

void StartClaim(SharedState &state)
{
    if (!Claims(state.header.identity) && ClaimSize() == 0)
        return;
    claim = FindOrMake<Claim>(kName, sizeof(Claim), Initialise);
    if (claim == nullptr)
        ereport(FATAL,
                (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("not enough shared memory for timeshard")));
    if (!Claims(state.header.identity))
        return;
    TakeCarried(state);
    on_shmem_exit(CarryClaim, PointerGetDatum(&state));
}

bool HoldsNumber(const Header &header)
{
    const std::int64_t end = header.claim_end.load();
    return end > kMaxOffset || OffsetNow(header.identity.custom_epoch) < end;
}

void AwaitClaim(SharedState &state, std::int64_t since_ns)
{
    if (!Claims(state.header.identity))
        RaiseClaimedNumberError(state.header.identity.node_id);
    const std::int64_t longest_ms = state.header.floor_window_ms.load() + MaxClockWait();
    if (MonotonicNanoseconds() - since_ns > longest_ms * kNanosecondsPerMillisecond)
        RaiseNoClaimError(state);
    Wake(state.header.claimant);
    SleepForClock(kLookIntervalNs);
}

const Credentials &CurrentCredentials()
{
    return claim->credentials[claim->in_use.load()];
}

void SetCredentials(const char *proof, const char *tag)
{
    const std::uint32_t next = 1 - claim->in_use.load();
    Credentials &credentials = claim->credentials[next];
    strlcpy(credentials.proof, proof, sizeof(credentials.proof));
    strlcpy(credentials.tag, tag, sizeof(credentials.tag));
    claim->in_use.store(next);
}

/// The order is the point. A session reads its limit, then the node field, then the word.
/// With an old limit it finds a word that is past it, whichever field it has read; with a
/// new one it reads the new field.
bool AdoptClaim(SharedState &state, const ClaimedInterval &interval, const char *proof)
{
    Header &header = state.header;
    if (!LockUnless(header.lock, [] { return ShutdownRequestPending != 0; }))
        return false;
    header.claim_end.store(0);
    const std::uint64_t replaced =
        LiftToFloor(state.word, FloorOfSwitch(header.mark.end, interval.floor));
    state.counters.issued_before.fetch_add(IdsInMillisecond(replaced));
    header.floor_window_ms.store(
        std::max<std::int64_t>(header.floor_window_ms.load(), header.mark.window_ms));
    header.node_field.store(Layout(header.identity.node_id_bits).NodeField(interval.number));
    claim->interval = interval;
    SetCredentials(proof, "");
    header.claim_end.store(interval.end);
    Unlock(header.lock);
    return true;
}

void ExtendClaim(SharedState &state, std::int64_t end)
{
    if (end <= claim->interval.end)
        return;
    claim->interval.end = end;
    state.header.claim_end.store(end);
}

std::int64_t CloseClaim(SharedState &state, std::int64_t deadline_ns)
{
    Header &header = state.header;
    if (!LockUnless(header.lock, [&] { return MonotonicNanoseconds() > deadline_ns; }))
        return -1;
    header.claim_end.store(0);
    const std::int64_t used_until = EndGivenBack(claim->interval, header.mark.end);
    Unlock(header.lock);
    return used_until;
}

void RefuseNumber(SharedState &state)
{
    Header &header = state.header;
    header.claim_end.store(0);
    // A session that holds the lock may be reserving time still.
    if (!LockUnless(header.lock, [] { return ShutdownRequestPending != 0; }))
        return;
    header.renew_at.store(0);
    header.end.store(0);
    Unlock(header.lock);
}

void AcceptNumber(SharedState &state)
{
    state.header.claim_end.store(kMaxOffset + 1);
}

bool NoteClaimError(const char *error)
{
    SpinLockAcquire(&claim->error_lock);
    const bool news = std::strncmp(claim->error, error, sizeof(claim->error) - 1) != 0;
    if (news)
        strlcpy(claim->error, error, sizeof(claim->error));
    SpinLockRelease(&claim->error_lock);
    return news;
}

char *LastClaimError()
{
    if (claim == nullptr)
        return nullptr;
    char error[sizeof(Claim::error)];
    SpinLockAcquire(&claim->error_lock);
    std::memcpy(error, claim->error, sizeof(error));
    SpinLockRelease(&claim->error_lock);
    return error[0] != '\0' ? pstrdup(error) : nullptr;
}

} // namespace timeshard
