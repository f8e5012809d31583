#include "reservation.hpp"

#include "../core/clock.hpp"
#include "../core/generator.hpp"
#include "../core/reservation.hpp"

#include <algorithm>

#include "floor.hpp"
#include "mark_file.hpp"
#include "mark_lock.hpp"
#include "provenance.hpp"
#include "refusals.hpp"

#include "postgres.hpp"
#include "settings.hpp"
#include "timestamps.hpp"

namespace timeshard::pg {
namespace {

/// The record of this server, as whom it runs and where.
MarkRecord OwnRecord(const Header &header)
{
    MarkRecord record{};
    record.custom_epoch = header.identity.custom_epoch;
    record.node_id = header.identity.node_id;
    record.node_id_bits = header.identity.node_id_bits;
    record.node_id_derived = header.identity.configured_node_id < 0 ? 1 : 0;
    record.timeline = GetWALInsertionTimeLine();
    record.system_identifier = GetSystemIdentifier();
    record.layout_change = header.layout_change;
    return record;
}

/// Nothing is reserved for a server that is no more.
void EndIfOrphaned()
{
    if (!PostmasterIsAlive())
        ereport(FATAL, (errcode(ERRCODE_ADMIN_SHUTDOWN),
                        errmsg("terminating connection because the postmaster is gone")));
}

/// Puts `record` on disk as the next generation. Shared memory learns of it only
/// once it is synced.
void AdvanceMark(SharedState &state, MarkRecord record)
{
    EndIfOrphaned();
    const std::int64_t start_ns = MonotonicNanoseconds();
    record.generation = state.header.mark_generation + 1;
    if (WriteMark(record))
        state.header.mark_named = 0;
    if (state.header.mark_named == 0) {
        SyncMarkDirectory();
        state.header.mark_named = 1;
    }
    state.header.mark_generation = record.generation;
    state.header.mark_end = record.end;
    state.counters.mark_extensions.fetch_add(1);
    RaiseLargest(state.counters.slowest_extension_ns, MonotonicNanoseconds() - start_ns);
}

void Extend(SharedState &state, std::int64_t now)
{
    Header &header = state.header;
    const Reservation reservation = ReserveFrom(now);
    MarkRecord record = OwnRecord(header);
    record.end = std::max(reservation.end, header.mark_end);

    AdvanceMark(state, record);
    header.end.store(reservation.end);
    header.renew_at.store(reservation.renew_at);
    record.generation = header.mark_generation;
    CopyMark(record);
}

/// The mark as a new server run finds it. If the last run was cut off between a
/// write and its sync, what is read may be on no disk yet, and the other slot the
/// only copy that is: so the record goes to its own slot once more, the same
/// bytes, and is synced, before anything is written over the other.
MarkReading SettledMark()
{
    const MarkReading mark = ReadMark();
    if (mark.state == MarkState::kSound && !mark.settled)
        WriteMark(mark.record);
    return mark;
}

/// Carries over into shared memory what the mark says. All IDs of before are at or
/// below the floor, and all later ones above it, whatever the clock does meanwhile.
void AdoptMark(Header &header, const MarkReading &mark, const Floor &floor)
{
    if (mark.state != MarkState::kSound)
        return;
    header.mark_end = mark.record.end;
    header.mark_generation = mark.record.generation;
    header.layout_change = mark.record.layout_change;
    if (LayoutDiffers(mark.record, header.identity))
        header.layout_change = {
            static_cast<std::int64_t>(WordAt(std::min(floor.offset + 1, kMaxOffset))),
            mark.record.custom_epoch, mark.record.node_id_bits, 0};
}

bool MayStart(const MarkReading &mark, const Identity &identity, const Floor &floor,
              std::int64_t now)
{
    if (mark.state == MarkState::kDamaged ||
        (mark.state == MarkState::kSound && IsNodeIdLost(mark.record, identity)))
        return false;
    return now >= 0 && floor.offset - now <= kWindowMs + MaxClockWait();
}

/// Raises the error for which a start is refused. The lock is free by then: an error
/// is sent while locks are held, and a client that does not read it would keep this
/// one from everybody.
[[noreturn]] void RefuseToStart(SharedState &state, const MarkReading &mark, const Floor &floor,
                                std::int64_t now)
{
    const Identity &identity = state.header.identity;
    if (mark.state == MarkState::kDamaged)
        RefuseDamagedMark(mark);
    if (mark.state == MarkState::kSound && IsNodeIdLost(mark.record, identity))
        RefuseLostNodeId(mark, identity);
    state.counters.clock_refusals.fetch_add(1);
    if (now < 0)
        RefuseBeforeEpoch(identity.custom_epoch);
    RefuseFloor(floor, mark, identity, now);
}

/// Raises the end in the file while the floor has not been taken, and changes
/// nothing else there: who wrote it is still to be looked at.
void RaiseMark(const Header &header, std::int64_t end, DamagedMark damaged)
{
    EndIfOrphaned();
    const MarkReading mark = SettledMark();
    if (mark.state == MarkState::kDamaged && damaged == DamagedMark::kRefuse)
        RefuseDamagedMark(mark);
    if (mark.state != MarkState::kSound) {
        MarkRecord record = OwnRecord(header);
        record.end = end;
        CreateMark(record);
        SyncMarkDirectory();
        return;
    }
    if (mark.record.end >= end) {
        SyncMarkDirectory(); // an earlier attempt may have failed just there
        return;
    }
    MarkRecord record = mark.record;
    record.end = end;
    record.generation++;
    WriteMark(record);
    SyncMarkDirectory();
    CopyMark(record);
}

} // namespace

void TakeFloor(SharedState &state)
{
    Header &header = state.header;
    const Identity &identity = header.identity;
    const std::int64_t prepared_ms = LatestPreparation();

    LockHeader(header);
    if (header.floor_taken.load() != 0) {
        LWLockRelease(&header.lock);
        return;
    }
    EndIfOrphaned();
    const MarkReading mark = SettledMark();
    const std::int64_t now = OffsetNow(identity.custom_epoch);
    const Floor floor =
        FindFloor(mark, identity.custom_epoch, header.restart_point_ms, prepared_ms);
    const bool may_start = MayStart(mark, identity, floor, now);
    if (may_start) {
        if (floor.offset >= 0)
            RaiseToFloor(state.word, floor.offset);
        AdoptMark(header, mark, floor);
        header.floor_taken.store(1);
    }
    LWLockRelease(&header.lock);

    if (!may_start)
        RefuseToStart(state, mark, floor, now);
    if (mark.state == MarkState::kSound)
        ReportProvenance(mark, identity, header.layout_change);
}

void ExtendReservation(SharedState &state)
{
    Header &header = state.header;
    if (!LWLockConditionalAcquire(&header.lock, LW_EXCLUSIVE))
        return;
    // The clock after any wait, and after whoever held the lock before.
    const std::int64_t now = OffsetNow(header.identity.custom_epoch);
    if (now >= header.renew_at.load() && now <= kMaxOffset)
        Extend(state, now);
    LWLockRelease(&header.lock);
}

void RaiseFloor(SharedState &state, std::int64_t offset, DamagedMark damaged)
{
    Header &header = state.header;
    LockHeader(header);
    if (header.floor_taken.load() == 0) {
        RaiseMark(header, offset, damaged);
    } else if (OffsetOf(state.word.load()) <= offset || header.mark_end < offset) {
        MarkRecord record = OwnRecord(header);
        record.end = std::max(offset, header.mark_end);
        AdvanceMark(state, record);
        const std::uint64_t replaced = RaiseToFloor(state.word, offset);
        state.counters.issued_before.fetch_add(IdsInMillisecond(replaced));
        record.generation = header.mark_generation;
        CopyMark(record);
    }
    LWLockRelease(&header.lock);
}

} // namespace timeshard::pg
