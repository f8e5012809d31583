/// The worker that claims the server's node ID, extends the claim and gives it back.

#include "../core/clock.hpp"
#include "../core/generator.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "../server/claiming.hpp"
#include "../server/compat.hpp"
#include "../server/mark.hpp"
#include "../server/timestamps.hpp"

#include "requests.hpp"
#include "trouble.hpp"

namespace timeshard {
namespace {

constexpr std::int64_t kSecondNs = 1'000'000'000;

// When to ask next.
constexpr std::int64_t kExtendAfterNs = 60 * kSecondNs;
constexpr std::int64_t kRetryNs = 1 * kSecondNs; ///< if there was no answer
constexpr std::int64_t kRetryAnsweredNs = 5 * kSecondNs;

/// How long a stop of the server may wait for the registry.
constexpr std::int64_t kEndWithinNs = 2 * kSecondNs;

SharedState *state = nullptr;

/// The number to ask for first; -1 if any will do.
std::int32_t preferred = -1;

void ForgetClaimant(int, Datum)
{
    state->header.claimant.store(0);
}

/// Has sessions wake this process.
void Introduce()
{
    state->header.claimant.store(static_cast<std::int32_t>(MyProc - ProcGlobal->allProcs) + 1);
    before_shmem_exit(ForgetClaimant, 0);
}

/// True if the server, rather than this worker alone, is being stopped.
bool ServerStops()
{
    bool stops = false;
    char line[MAXPGPATH];
    FILE *file = std::fopen("postmaster.pid", "r");
    if (file == nullptr)
        return true; // removed when the postmaster ends
    for (int i = 1; i <= LOCK_FILE_LINE_PM_STATUS && fgets(line, sizeof(line), file); i++)
        stops = i == LOCK_FILE_LINE_PM_STATUS &&
                std::strncmp(line, PM_STATUS_STOPPING, std::strlen(PM_STATUS_STOPPING)) == 0;
    std::fclose(file);
    return stops;
}

/// The number of this server's last run, if that was claimed; -1 if there is none. In a
/// copy of a data directory it is the original's.
std::int32_t NumberOfLastRun()
{
    const MarkReading mark = ReadMark();
    const bool claimed =
        mark.state == MarkState::kSound && mark.same_file &&
        mark.record.node_id_source == static_cast<std::int32_t>(NodeIdSource::kRegistry);
    return claimed ? mark.record.node_id : -1;
}

/// Takes over a new claim, unless this process has to end.
void Adopt(const Answer &answer)
{
    const ClaimedInterval &claimed = answer.interval;
    if (claimed.number > Layout(state->header.identity.node_id_bits).MaxNodeId() ||
        !AdoptClaim(*state, claimed, answer.proof))
        return;
    ereport(LOG, (errmsg("timeshard has claimed node ID %d until %s", claimed.number,
                         TimeText(state->header.identity.custom_epoch + claimed.end))));
}

/// Claims a number. Returns when to ask next, in ns from now.
std::int64_t ClaimNumber()
{
    const Answer answer = RequestClaim(preferred);
    NoteTrouble(*state, answer);
    if (answer.outcome != Outcome::kClaimed)
        return answer.outcome == Outcome::kUnreachable ? kRetryNs : kRetryAnsweredNs;
    Adopt(answer);
    preferred = -1;
    return kExtendAfterNs;
}

/// Another run has the number, or this one is a clone: stops at once.
void GiveUp()
{
    RefuseNumber(*state);
    ereport(WARNING, (errmsg("timeshard no longer holds node ID %d", CurrentNodeId(state->header)),
                      errdetail("Its claim ran out, or a clone of this machine extends it.")));
}

/// Extends the claim. Returns when to ask next, in ns from now.
std::int64_t ExtendNumber()
{
    const Answer answer = RequestExtension();
    if (answer.outcome == Outcome::kInterrupted)
        return 0;
    NoteTrouble(*state, answer);
    const bool other = answer.outcome == Outcome::kExtended &&
                       answer.interval.number != CurrentNodeId(state->header);
    if (!other && (answer.outcome == Outcome::kExtended || answer.outcome == Outcome::kConfirmed)) {
        SetCredentials(answer.proof, "");
        if (answer.outcome == Outcome::kConfirmed)
            return 0;
        ExtendClaim(*state, answer.interval.end);
        return kExtendAfterNs;
    }
    if (answer.outcome == Outcome::kUnreachable)
        return HoldsNumber(state->header) ? kRetryAnsweredNs : kRetryNs;
    if (answer.outcome == Outcome::kNotYours)
        GiveUp();
    // Past the claim's end nothing is lost by another, and this one may never come back.
    if (!HoldsNumber(state->header))
        return ClaimNumber();
    return answer.outcome == Outcome::kKept ? kExtendAfterNs : kRetryAnsweredNs;
}

/// Looks whether the number that is configured here is claimed by another server. Returns
/// when to ask next, in ns from now.
std::int64_t CheckNumber()
{
    const Answer answer = RequestCheck(state->header.identity.node_id);
    NoteTrouble(*state, answer);
    if (answer.outcome == Outcome::kNotYours)
        RefuseNumber(*state);
    if (answer.outcome == Outcome::kKept)
        AcceptNumber(*state);
    return answer.outcome == Outcome::kUnreachable ? kRetryAnsweredNs : kExtendAfterNs;
}

/// Gives the claim back while the server stops. Without an answer in time it runs out.
void End()
{
    const std::int64_t deadline_ns = MonotonicNanoseconds() + kEndWithinNs;
    const std::int32_t number = CurrentNodeId(state->header);
    const std::int64_t used_until = CloseClaim(*state, deadline_ns);
    if (used_until < 0) {
        ereport(LOG, (errmsg("timeshard could not give node ID %d back: the mark is still being "
                             "written",
                             number)));
        return;
    }
    const Answer answer = RequestEnd(used_until, deadline_ns);
    if (answer.outcome == Outcome::kEnded)
        ereport(LOG, (errmsg("timeshard has given node ID %d back", number)));
    else
        ereport(LOG,
                (errmsg("timeshard could not give node ID %d back: %s", number, answer.message)));
}

/// Sleeps for so long, or until this process has to end or the configuration has changed;
/// or, if a session that finds no claim wakes it, for a second.
void Sleep(std::int64_t duration_ns)
{
    const std::int64_t start_ns = MonotonicNanoseconds();
    while (ShutdownRequestPending == 0) {
        if (ConfigReloadPending != 0) {
            ConfigReloadPending = 0;
            ProcessConfigFile(PGC_SIGHUP);
            CheckNumbersToClaim(WARNING);
            return;
        }
        const std::int64_t rest_ns = start_ns + duration_ns - MonotonicNanoseconds();
        if (rest_ns <= 0)
            return;
        const int events = WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | WL_TIMEOUT,
                                     static_cast<long>(rest_ns / 1'000'000 + 1), PG_WAIT_EXTENSION);
        ResetLatch(MyLatch);
        if ((events & WL_LATCH_SET) != 0 && !HoldsNumber(state->header))
            duration_ns = std::min(duration_ns, kRetryNs);
    }
}

} // namespace

extern "C" {

TIMESHARD_MODULE_MAGIC;

PGDLLEXPORT void timeshard_claimant(Datum);

/// Runs from the postmaster's start to its end, on a standby too. Where a number is
/// configured beside a registry, it only looks for another server with it. An error ends
/// it, and it is started again; what it holds stands in shared memory.
void timeshard_claimant(Datum)
{
    pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    BackgroundWorkerUnblockSignals();
    LimitNameResolution();
    state = &AttachedState();
    Introduce();
    if (!HasClaim(*state))
        preferred = NumberOfLastRun();
    MemoryContext of_turn =
        AllocSetContextCreate(TopMemoryContext, "timeshard claimant", ALLOCSET_SMALL_SIZES);
    while (ShutdownRequestPending == 0) {
        MemoryContextSwitchTo(of_turn);
        Sleep(!Claims(state->header.identity) ? CheckNumber()
              : HasClaim(*state)              ? ExtendNumber()
                                              : ClaimNumber());
        MemoryContextReset(of_turn);
    }
    if (HasClaim(*state) && ServerStops())
        End();
    proc_exit(1); // from 0 the postmaster would not start it again
}
}

} // namespace timeshard
