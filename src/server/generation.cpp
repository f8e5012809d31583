#include "generation.hpp"

#include "../core/clock.hpp"
#include "../core/generator.hpp"
#include "../core/layout.hpp"
#include "../core/patience.hpp"

#include "claim_errors.hpp"
#include "claiming.hpp"
#include "clock_errors.hpp"
#include "clock_wait.hpp"
#include "open_transactions.hpp"
#include "reservation.hpp"
#include "start.hpp"

#include "compat.hpp"
#include "settings.hpp"

namespace timeshard {
namespace {

/// What a call needs, kept by each process.
struct Generator
{
    SharedState *state; ///< null until the generator is ready
    std::int64_t epoch;
    std::int32_t max_sequence;

    /// The transaction whose position is published, by its local number; 0 before
    /// the first. In a parallel worker the worker's own number here, but its leader's
    /// position in shared memory.
    LocalTransactionId published;
};

Generator generator;

/// Makes the generator ready in this process; `caller` is named in the error
/// during recovery.
pg_noinline void MakeReady(const char *caller)
{
    PreventCommandDuringRecovery(caller);
    SharedState &state = AttachedState();
    const Identity &identity = state.header.identity;
    CheckClaimant(identity);
    if (state.header.floor_taken.load() == 0)
        TakeFloor(state);
    generator = {&state, identity.custom_epoch, Layout(identity.node_id_bits).MaxSequence(),
                 InvalidLocalTransactionId};
}

/// A step, and the node field that was read for it.
struct Taken
{
    Step step;
    std::uint64_t node_field;
};

/// One step in a millisecond below the limit in `source`. The limit is read first, then
/// the node field, then the word: see AdoptClaim(). Inlined, so that a single ID does not
/// pay for runs.
pg_attribute_always_inline Taken Take(const std::atomic<std::int64_t> &source, std::int32_t wanted)
{
    SharedState &state = *generator.state;
    const std::int64_t limit = source.load();
    const std::uint64_t node_field = state.header.node_field.load();
    // In one expression: a Step of its own goes through memory.
    return {
        TakeNext(state.word, SystemClock{}, generator.epoch, generator.max_sequence, limit, wanted),
        node_field};
}

/// The ID whose word is `first`, `last` being the word before it. The first ID in a
/// millisecond counts those of the one before, so an ordinary ID counts nothing.
pg_attribute_always_inline std::int64_t Issue(std::uint64_t last, std::uint64_t first,
                                              std::uint64_t node_field)
{
    if (SequenceOf(first) == 0)
        generator.state->counters.issued_before.fetch_add(IdsInMillisecond(last));
    return Layout::IdOf(first, node_field);
}

[[noreturn]] void RaiseNoIdError(const Step &step, std::int64_t waited_ns)
{
    Counters &counters = generator.state->counters;
    counters.clock_refusals.fetch_add(1);
    if (step.status == Status::kBeforeEpoch)
        RaiseBeforeEpochError(generator.epoch);
    if (step.status == Status::kPastEnd)
        RaisePastEndError(generator.epoch);
    if (step.status == Status::kBehind && !IsFloor(step.word))
        KeepLargest(counters.largest_step_ns, step.gap_ns);
    RaiseClockError(step, generator.epoch, waited_ns);
}

/// Waits, extends the reservation and tries until there is an ID, a cancel or a
/// reason to refuse. While the worker or another session extends, what is left of the
/// reservation serves.
Taken AwaitStep(std::int32_t wanted)
{
    SharedState &state = *generator.state;
    Header &header = state.header;
    const std::int64_t start_ns = MonotonicNanoseconds();
    Patience patience(MaxClockWait(), header.floor_window_ms.load());

    for (bool first = true;; first = false) {
        CHECK_FOR_INTERRUPTS();
        const std::int64_t before_ns = MonotonicNanoseconds();
        Taken taken = Take(header.renew_at, wanted);
        const std::int64_t end = header.end.load();
        if (taken.step.status == Status::kUnreserved) {
            if (!HoldsNumber(header)) {
                AwaitClaim(state, start_ns);
                continue;
            }
            if (!Wake(header.renewer))
                ExtendReservation(state);
            taken = Take(header.end, wanted);
        }
        const Step &step = taken.step;
        if (step.status == Status::kIssued)
            return taken;
        if (step.status == Status::kUnreserved) {
            AwaitReservation(state, end); // a sync takes longer than the reservation lasts
            continue;
        }
        if (step.status == Status::kBeforeEpoch || step.status == Status::kPastEnd ||
            !patience.ShouldWait(step, before_ns, MonotonicNanoseconds()))
            RaiseNoIdError(step, patience.Waited(before_ns));
        if (first)
            CountWait(state, step);
        if (step.status == Status::kBehind)
            LogWait(state, step);
        SleepForClock(step.gap_ns);
    }
}

/// True if a step can be taken at once, as for nearly all IDs. Inlined, so that nothing
/// of an ordinary ID's step goes through memory.
pg_attribute_always_inline bool TryStep(std::int32_t wanted, Taken *taken)
{
    if (generator.published != LocalNumberOf(*MyProc)) [[unlikely]]
        return false;
    *taken = Take(generator.state->header.renew_at, wanted);
    return taken->step.status == Status::kIssued;
}

/// The step of a session's or a transaction's first ID, and of one that has to wait.
pg_noinline Taken SlowStep(const char *caller, std::int32_t wanted)
{
    if (generator.state == nullptr)
        MakeReady(caller);
    bool may_lift = false;
    if (generator.published != LocalNumberOf(*MyProc)) {
        may_lift = PublishOwnPosition(generator.state->word);
        generator.published = LocalNumberOf(*MyProc);
    }
    const Taken taken = AwaitStep(wanted);
    if (may_lift)
        LiftOwnPosition(OffsetOf(taken.step.word));
    return taken;
}

} // namespace

std::int64_t NextId(const char *caller)
{
    Taken taken;
    if (TryStep(1, &taken)) [[likely]]
        return Issue(taken.step.last, taken.step.word, taken.node_field);
    const Taken slow = SlowStep(caller, 1);
    return Issue(slow.step.last, slow.step.word, slow.node_field);
}

Run NextRun(const char *caller, std::int32_t wanted)
{
    Taken taken;
    if (!TryStep(wanted, &taken)) [[unlikely]]
        taken = SlowStep(caller, wanted);
    const std::uint64_t first = FirstOf(taken.step);
    return {Issue(taken.step.last, first, taken.node_field),
            static_cast<std::int32_t>(taken.step.word - first) + 1};
}

std::uint64_t NextUnusedWord(const char *caller)
{
    if (generator.state == nullptr)
        MakeReady(caller);
    const Step step = AwaitStep(1).step;
    Issue(step.last, step.word, 0);
    return step.word;
}

} // namespace timeshard
