#include "generate.hpp"

#include "../core/clock.hpp"
#include "../core/generator.hpp"
#include "../core/layout.hpp"
#include "../core/patience.hpp"

#include "horizon.hpp"
#include "mark_lock.hpp"
#include "refusals.hpp"
#include "reservation.hpp"

#include "postgres.hpp"
#include "settings.hpp"

namespace timeshard::pg {
namespace {

/// The longest sleep in a clock wait, after which the clock is looked at again:
/// it may have been set right.
constexpr long kMaxSleepMs = 20;

/// How often waits are logged: not for each of many sessions.
constexpr std::int64_t kLogIntervalNs = 10'000'000'000;

/// What a call needs, kept by each process.
struct Generator
{
    SharedState *state; ///< null until the generator is ready
    std::int64_t epoch;
    std::uint64_t node_field;
    std::int32_t max_sequence;

    /// The transaction whose position is published, by its local number; 0 before
    /// the first. A parallel worker's own here, its leader's in shared memory.
    LocalTransactionId published;
};

Generator generator;

/// Makes the generator ready in this process; `caller` is named in the error
/// when the server is in recovery.
pg_noinline void MakeReady(const char *caller)
{
    PreventCommandDuringRecovery(caller);
    SharedState &state = AttachedState();
    if (state.header.floor_taken.load() == 0)
        TakeFloor(state);
    const Identity &identity = state.header.identity;
    const Layout layout(identity.node_id_bits);
    generator = {&state, identity.custom_epoch, layout.NodeField(identity.node_id),
                 layout.MaxSequence(), InvalidLocalTransactionId};
}

/// Inlined, so that a single ID pays nothing for runs.
pg_attribute_always_inline Step Attempt(std::int64_t limit, std::int32_t wanted)
{
    return TakeNext(generator.state->word, SystemClock{}, generator.epoch, generator.max_sequence,
                    limit, wanted);
}

/// An attempt that extends the reservation where that is due. While another
/// session does so, what is left of it serves.
Step AttemptExtending(std::int32_t wanted)
{
    const Header &header = generator.state->header;
    const Step step = Attempt(header.renew_at.load(), wanted);
    if (step.status != Status::kUnreserved)
        return step;
    ExtendReservation(*generator.state);
    return Attempt(header.end.load(), wanted);
}

/// The ID whose word is `first`, of which the one before was `last`. Counts
/// once a millisecond: the first ID in one counts those of the one before.
pg_attribute_always_inline std::int64_t Issue(std::uint64_t last, std::uint64_t first)
{
    if (SequenceOf(first) == 0)
        generator.state->counters.issued_before.fetch_add(IdsInMillisecond(last));
    return static_cast<std::int64_t>(first | generator.node_field);
}

/// Sleeps until `gap_ns` has passed, or less. Shorter than a latch can wait,
/// and so short that a signal that arrives just before it is still answered
/// within a millisecond. Ends the process, as a latch would, when the postmaster
/// has died.
void SleepToTick(std::int64_t gap_ns)
{
    pgstat_report_wait_start(ClockWaitEvent());
    pg_usleep(static_cast<long>((gap_ns + 999) / 1000));
    pgstat_report_wait_end();
    if (!PostmasterIsAlive())
        proc_exit(1);
}

void SleepForClock(std::int64_t gap_ns)
{
    if (gap_ns < kNanosecondsPerMillisecond) {
        SleepToTick(gap_ns);
        return;
    }
    const long gap_ms = static_cast<long>(gap_ns / kNanosecondsPerMillisecond);
    WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, Min(gap_ms, kMaxSleepMs),
              ClockWaitEvent());
    ResetLatch(MyLatch);
}

/// True if nobody on this server has logged such a wait within the last ten
/// seconds, by `logged_ns` in the shared state; then it is the caller's turn.
bool TakeTurnToLog(std::atomic<std::int64_t> &logged_ns, std::int64_t now_ns)
{
    std::int64_t last_ns = logged_ns.load();
    if (last_ns != 0 && now_ns - last_ns < kLogIntervalNs)
        return false;
    return logged_ns.compare_exchange_strong(last_ns, now_ns);
}

void ReportWait(const Step &step)
{
    Header &header = generator.state->header;
    if (step.gap_ns < kNanosecondsPerMillisecond ||
        !TakeTurnToLog(IsFloor(step.word) ? header.floor_wait_logged_ns
                                          : header.clock_wait_logged_ns,
                       MonotonicNanoseconds()))
        return;
    const double gap_ms = static_cast<double>(step.gap_ns) / kNanosecondsPerMillisecond;
    ereport(LOG_SERVER_ONLY,
            (IsFloor(step.word)
                 ? errmsg("timeshard waits %.3f ms for the clock to pass the floor", gap_ms)
                 : errmsg("clock is %.3f ms behind the last ID; timeshard waits for it", gap_ms),
             errhidestmt(true)));
}

/// Counts the start of a call's wait. The wait for a floor is a restart's, and a
/// gap below 1 ms two processors' clocks': no fault of the clock.
void CountWait(const Step &step)
{
    Counters &counters = generator.state->counters;
    if (IsFloor(step.word))
        return;
    if (step.status == Status::kExhausted) {
        counters.sequence_waits.fetch_add(1);
    } else if (step.gap_ns >= kNanosecondsPerMillisecond) {
        counters.clock_waits.fetch_add(1);
        RaiseLargest(counters.largest_step_ns, step.gap_ns);
    }
}

[[noreturn]] void Refuse(const Step &step, std::int64_t waited_ns)
{
    Counters &counters = generator.state->counters;
    counters.clock_refusals.fetch_add(1);
    if (step.status == Status::kBeforeEpoch)
        RefuseBeforeEpoch(generator.epoch);
    if (step.status == Status::kPastEnd)
        RefusePastEnd(generator.epoch);
    if (step.status == Status::kBehind && !IsFloor(step.word))
        RaiseLargest(counters.largest_step_ns, step.gap_ns);
    RefuseClock(step, generator.epoch, waited_ns);
}

/// The rare rest of it: waits, extends and tries until there is an ID, a cancel
/// or a reason to refuse.
pg_noinline Step StepAfterWait(std::int32_t wanted)
{
    Patience patience(MaxClockWait());
    long nap_ms = 0;

    for (bool first = true;; first = false) {
        CHECK_FOR_INTERRUPTS();
        const std::int64_t before_ns = MonotonicNanoseconds();
        const Step step = AttemptExtending(wanted);
        if (step.status == Status::kIssued)
            return step;
        if (step.status == Status::kUnreserved) {
            NapForMark(nap_ms); // a sync takes longer than the reservation lasts
            continue;
        }
        if (step.status == Status::kBeforeEpoch || step.status == Status::kPastEnd ||
            !patience.ShouldWait(step, before_ns, MonotonicNanoseconds()))
            Refuse(step, patience.Waited(before_ns));
        if (first)
            CountWait(step);
        if (step.status == Status::kBehind)
            ReportWait(step);
        SleepForClock(step.gap_ns);
    }
}

Step NextStep(std::int32_t wanted)
{
    const Step step = Attempt(generator.state->header.renew_at.load(), wanted);
    return step.status == Status::kIssued ? step : StepAfterWait(wanted);
}

/// The way of IDs that have to wait, and of a transaction's first.
pg_noinline Step RareStep(const char *caller, std::int32_t wanted)
{
    if (generator.published == LocalNumberOf(*MyProc))
        return StepAfterWait(wanted);
    if (generator.state == nullptr)
        MakeReady(caller);
    const bool may_raise = PublishOwnPosition(*generator.state);
    generator.published = LocalNumberOf(*MyProc);
    const Step step = NextStep(wanted);
    if (may_raise)
        RaiseOwnPosition(OffsetOf(step.word));
    return step;
}

/// True if the next step can be taken at once. Inlined, and apart from RareStep, so
/// that nothing of an ordinary ID's step goes through memory.
pg_attribute_always_inline bool TakesAtOnce(std::int32_t wanted, Step *step)
{
    if (generator.published != LocalNumberOf(*MyProc)) [[unlikely]]
        return false;
    *step = Attempt(generator.state->header.renew_at.load(), wanted);
    return step->status == Status::kIssued;
}

} // namespace

std::int64_t NextId(const char *caller)
{
    Step step;
    if (TakesAtOnce(1, &step)) [[likely]]
        return Issue(step.last, step.word);
    const Step rare = RareStep(caller, 1);
    return Issue(rare.last, rare.word);
}

Run NextRun(const char *caller, std::int32_t wanted)
{
    Step step;
    if (!TakesAtOnce(wanted, &step)) [[unlikely]]
        step = RareStep(caller, wanted);
    const std::uint64_t first = FirstOf(step);
    return {Issue(step.last, first), static_cast<std::int32_t>(step.word - first) + 1};
}

std::uint64_t NextUnusedWord(const char *caller)
{
    if (generator.state == nullptr)
        MakeReady(caller);
    const Step step = NextStep(1);
    Issue(step.last, step.word);
    return step.word;
}

} // namespace timeshard::pg
