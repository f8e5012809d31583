#include "reservation.hpp"

#include "../core/clock.hpp"
#include "../core/generator.hpp"
#include "../core/window.hpp"

#include <algorithm>

#include "clock_errors.hpp"
#include "provenance.hpp"

#include "postgres.hpp"
#include "settings.hpp"

namespace timeshard {
namespace {

/// The record of this server: who it is and where it runs.
MarkRecord OwnRecord(const Header &header)
{
    MarkRecord record{};
    record.custom_epoch = header.identity.custom_epoch;
    record.node_id = CurrentNodeId(header);
    record.node_id_bits = header.identity.node_id_bits;
    record.node_id_derived = header.identity.configured_node_id == -1 ? 1 : 0;
    record.timeline = GetWALInsertionTimeLine();
    record.system_identifier = GetSystemIdentifier();
    record.layout_change = header.mark.layout_change;
    NoteRun(header.identity, &record);
    return record;
}

/// What came of an extension: an error of either kind, or none.
struct Extension
{
    MarkResult mark;
    std::int64_t jump_ms = 0; ///< by how much the clock has jumped, if that is too much
};

/// Commits the record of this server with that end, or the mark's if it is larger.
MarkResult CommitEnd(SharedState &state, std::int64_t end)
{
    Header &header = state.header;
    MarkRecord record = OwnRecord(header);
    record.end = std::max(end, header.mark.end);
    // An end that stays has the window that it was reserved with: the next run waits so long.
    record.window_ms = static_cast<std::uint32_t>(header.window_ms);
    if (header.mark.end > end)
        record.window_ms = std::max(record.window_ms, header.mark.window_ms);

    const std::int64_t start_ns = MonotonicNanoseconds();
    const MarkResult result = header.mark.CommitNext(record);
    const std::int64_t lasted_ns = MonotonicNanoseconds() - start_ns;
    if (result.Ok()) {
        header.window_ms = WindowAfterSync(lasted_ns / kNanosecondsPerMillisecond);
        state.counters.mark_extensions.fetch_add(1);
        KeepLargest(state.counters.slowest_extension_ns, lasted_ns);
    }
    return result;
}

/// How far the wall clock has jumped ahead since the last extension of this run, in ms:
/// what it has advanced by more than the time since boot has.
std::int64_t JumpSinceExtension(const Header &header, std::int64_t wall, std::int64_t boot)
{
    if (header.extended_at_boot == 0)
        return 0;
    return (wall - header.extended_at_wall) - (boot - header.extended_at_boot);
}

/// Extends the reservation if that is due, under the lock, by the clock after any wait
/// for it. Sessions learn of the new end once it is durable. Past the end of a claim nothing
/// is due.
Extension ExtendIfDue(SharedState &state)
{
    Header &header = state.header;
    const std::int64_t wall = SystemClock::Now().milliseconds;
    const std::int64_t boot = BootMilliseconds();
    const std::int64_t now = wall - header.identity.custom_epoch;
    const std::int64_t limit = header.claim_end.load();
    if (now < header.renew_at.load() || now >= limit)
        return {};
    const std::int64_t jump_ms = JumpSinceExtension(header, wall, boot);
    if (MaxClockJump() > 0 && jump_ms > MaxClockJump())
        return {.mark = {}, .jump_ms = jump_ms};

    const Reservation reservation = ReserveFrom(now, header.window_ms, limit);
    const MarkResult result = CommitEnd(state, reservation.end);
    if (result.Ok()) {
        header.end.store(reservation.end);
        header.renew_at.store(reservation.renew_at);
        header.extended_at_wall = wall;
        header.extended_at_boot = boot;
    }
    return {.mark = result};
}

/// Raises the end in the file while the floor has not been taken, and changes nothing
/// else there: the start still has to judge who wrote it.
MarkResult CommitBeforeStart(Header &header, std::int64_t end, DamagedMark damaged)
{
    const MarkReading reading = ReadMark();
    if (reading.state == MarkState::kDamaged && (reading.newer || damaged == DamagedMark::kRefuse))
        return DamageOf(reading);
    if (reading.state != MarkState::kSound) {
        MarkRecord record = OwnRecord(header);
        record.end = end;
        return header.mark.Commit(record, true);
    }
    MarkRecord record = reading.record;
    if (record.end >= end) // an earlier attempt may have failed before it was durable
        return header.mark.Commit(record);
    if (!reading.settled) { // it may be on no disk yet: see ReadSettledMark()
        const MarkResult settled = header.mark.Commit(record);
        if (!settled.Ok())
            return settled;
    }
    record.end = end;
    record.generation++;
    return header.mark.Commit(record);
}

/// The same once it has been taken. The word is lifted after the mark is durable.
MarkResult CommitAndLift(SharedState &state, std::int64_t offset)
{
    if (OffsetOf(state.word.load()) > offset && state.header.mark.end >= offset)
        return {};
    const MarkResult result = CommitEnd(state, offset);
    if (result.Ok()) {
        const std::uint64_t replaced = LiftToFloor(state.word, offset);
        state.counters.issued_before.fetch_add(IdsInMillisecond(replaced));
    }
    return result;
}

/// Extends under the lock, which the caller has taken, and releases it.
void ExtendAndUnlock(SharedState &state)
{
    const Extension result = ExtendIfDue(state);
    Unlock(state.header.lock);
    if (!result.mark.Ok())
        RaiseMarkError(result.mark);
    if (result.jump_ms > 0) {
        state.counters.clock_refusals.fetch_add(1);
        RaiseClockJumpError(result.jump_ms);
    }
}

} // namespace

void ExtendReservation(SharedState &state)
{
    if (TryLock(state.header.lock))
        ExtendAndUnlock(state);
}

void AwaitReservation(SharedState &state, std::int64_t end)
{
    Header &header = state.header;
    if (LockUnless(header.lock, [&] { return header.end.load() > end; }))
        ExtendAndUnlock(state);
}

bool Wake(const std::atomic<std::int32_t> &worker)
{
    const std::int32_t entry = worker.load();
    if (entry == 0)
        return false;
    SetLatch(&ProcGlobal->allProcs[entry - 1].procLatch);
    return true;
}

void AcceptClock(SharedState &state)
{
    Header &header = state.header;
    LockUnless(header.lock, [] { return false; });
    header.extended_at_boot = 0;
    Unlock(header.lock);
}

void LiftFloor(SharedState &state, std::int64_t offset, DamagedMark damaged)
{
    Header &header = state.header;
    LockUnless(header.lock, [] { return false; });
    const MarkResult result = header.floor_taken.load() == 0
                                  ? CommitBeforeStart(header, offset, damaged)
                                  : CommitAndLift(state, offset);
    Unlock(header.lock);
    if (!result.Ok())
        RaiseMarkError(result);
}

} // namespace timeshard
