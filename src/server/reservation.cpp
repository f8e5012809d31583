#include "reservation.hpp"

#include "../core/clock.hpp"
#include "../core/generator.hpp"
#include "../core/window.hpp"

#include <algorithm>

#include "provenance.hpp"

#include "postgres.hpp"

namespace timeshard {
namespace {

/// The record of this server: who it is and where it runs.
MarkRecord OwnRecord(const Header &header)
{
    MarkRecord record{};
    record.custom_epoch = header.identity.custom_epoch;
    record.node_id = header.identity.node_id;
    record.node_id_bits = header.identity.node_id_bits;
    record.node_id_derived = header.identity.configured_node_id < 0 ? 1 : 0;
    record.timeline = GetWALInsertionTimeLine();
    record.system_identifier = GetSystemIdentifier();
    record.layout_change = header.mark.layout_change;
    NoteRun(header.identity, &record);
    return record;
}

/// Commits the record of this server with that end, or the mark's if it is larger.
MarkResult CommitEnd(SharedState &state, std::int64_t end)
{
    Header &header = state.header;
    MarkRecord record = OwnRecord(header);
    record.end = std::max(end, header.mark.end);

    const std::int64_t start_ns = MonotonicNanoseconds();
    const MarkResult result = header.mark.CommitNext(record);
    if (result.Ok()) {
        state.counters.mark_extensions.fetch_add(1);
        KeepLargest(state.counters.slowest_extension_ns, MonotonicNanoseconds() - start_ns);
    }
    return result;
}

/// Extends the reservation if that is due, under the lock, by the clock after any wait
/// for it. Sessions learn of the new end once it is durable.
MarkResult ExtendIfDue(SharedState &state)
{
    Header &header = state.header;
    const std::int64_t now = OffsetNow(header.identity.custom_epoch);
    if (now < header.renew_at.load() || now > kMaxOffset)
        return {};
    const Reservation reservation = ReserveFrom(now);
    const MarkResult result = CommitEnd(state, reservation.end);
    if (result.Ok()) {
        header.end.store(reservation.end);
        header.renew_at.store(reservation.renew_at);
    }
    return result;
}

/// Raises the end in the file while the floor has not been taken, and changes nothing
/// else there: the start still has to judge who wrote it.
MarkResult CommitBeforeStart(Header &header, std::int64_t end, DamagedMark damaged)
{
    const MarkReading reading = ReadMark();
    if (reading.state == MarkState::kDamaged && damaged == DamagedMark::kRefuse)
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

void UnlockAndRaise(StateLock &lock, const MarkResult &result)
{
    Unlock(lock);
    if (!result.Ok())
        RaiseMarkError(result);
}

} // namespace

void ExtendReservation(SharedState &state)
{
    StateLock &lock = state.header.lock;
    if (TryLock(lock))
        UnlockAndRaise(lock, ExtendIfDue(state));
}

void AwaitReservation(SharedState &state, std::int64_t end)
{
    Header &header = state.header;
    if (LockUnless(header.lock, [&] { return header.end.load() > end; }))
        UnlockAndRaise(header.lock, ExtendIfDue(state));
}

void LiftFloor(SharedState &state, std::int64_t offset, DamagedMark damaged)
{
    Header &header = state.header;
    LockUnless(header.lock, [] { return false; });
    UnlockAndRaise(header.lock, header.floor_taken.load() == 0
                                    ? CommitBeforeStart(header, offset, damaged)
                                    : CommitAndLift(state, offset));
}

} // namespace timeshard
