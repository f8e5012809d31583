#include "start.hpp"

#include "../core/clock.hpp"
#include "../core/generator.hpp"
#include "../core/window.hpp"

#include <algorithm>

#include "clock_errors.hpp"
#include "past.hpp"
#include "provenance.hpp"

#include "postgres.hpp"
#include "settings.hpp"
#include "timestamps.hpp"

namespace timeshard {
namespace {

/// May this run start?
enum class Verdict : std::uint8_t {
    kStart,
    kMarkDamaged,
    kMarkNotWritten,
    kNodeIdLost,
    kNoNodeId,
    kBeforeEpoch,
    kEpochMoved, ///< forward, and with the old epoch the clock would do
    kClockBehind,
};

/// The verdict, and what it rests on.
struct Judgement
{
    Verdict verdict;
    MarkReading mark;
    MarkResult settled; ///< why, if kMarkNotWritten
    Floor floor;
    std::int64_t now; ///< an offset
};

void Lift(Floor &floor, std::int64_t offset, FloorSource source)
{
    offset = std::min(offset, kMaxOffset);
    if (offset > floor.offset)
        floor = {offset, source};
}

/// The greatest floor of all sources; the mark is not damaged.
///
/// The rest of its second is added to a checkpoint that ends an earlier run, or that
/// may be all there is to go by; but not to the one that ends crash recovery, or every
/// crash would cost the first call up to a second.
Floor FindFloor(const SharedState &state, const MarkReading &mark, const Past &past)
{
    const Header &header = state.header;
    const std::int64_t epoch = header.identity.custom_epoch;
    const bool missing = mark.state == MarkState::kMissing;
    const bool recovered = GetXLogReplayRecPtr(nullptr) != InvalidXLogRecPtr;
    const std::int64_t rest_of_second = missing || !recovered ? kRestOfSecondMs : 0;
    Floor floor = ReplayFloor(state);
    if (header.mark.end > 0) // carried over a crash of a session
        Lift(floor, FloorOfEnd(header.mark.end), FloorSource::kMark);
    if (!missing)
        Lift(floor, FloorOfEnd(mark.record.end), FloorSource::kMark);
    Lift(floor, past.checkpoint.time + rest_of_second - epoch, FloorSource::kCheckpoint);
    if (past.prepared >= 0)
        Lift(floor, past.prepared - epoch, FloorSource::kPrepared);
    return floor;
}

/// True if the clock would do, had the epoch stayed where it was.
bool EpochMovedForward(const MarkRecord &record, const Identity &identity, std::int64_t now)
{
    const std::int64_t moved = identity.custom_epoch - record.custom_epoch;
    return moved > 0 && record.end - (now + moved) <= WindowOf(record) + MaxClockWait();
}

/// The mark of the last run, on disk for certain. If that run was cut off between a
/// write and its sync, the record read here may be on no disk yet, and the other slot
/// the only copy that is. So it is committed once more, the same bytes, before
/// anything is written over the other slot.
MarkReading ReadSettledMark(Mark &mark, MarkResult *settled)
{
    const MarkReading reading = ReadMark();
    if (reading.state == MarkState::kSound && !reading.settled)
        *settled = mark.Commit(reading.record);
    return reading;
}

/// Reaches the verdict, under the lock.
Judgement Judge(SharedState &state, const Past &past)
{
    Header &header = state.header;
    const Identity &identity = header.identity;
    Judgement result{};
    const MarkReading &mark = result.mark;
    result.mark = ReadSettledMark(header.mark, &result.settled);
    result.now = OffsetNow(identity.custom_epoch);

    const auto verdict = [&] {
        if (mark.state == MarkState::kDamaged)
            return Verdict::kMarkDamaged;
        if (!result.settled.Ok())
            return Verdict::kMarkNotWritten;
        if (mark.state == MarkState::kSound && IsNodeIdLost(mark.record, identity))
            return Verdict::kNodeIdLost;
        if (identity.node_id_source == NodeIdSource::kNone)
            return Verdict::kNoNodeId;
        result.floor = FindFloor(state, mark, past);
        if (result.now < 0)
            return Verdict::kBeforeEpoch;
        if (result.floor.offset - result.now <= WindowOf(mark.record) + MaxClockWait())
            return Verdict::kStart;
        if (result.floor.source == FloorSource::kMark &&
            EpochMovedForward(mark.record, identity, result.now))
            return Verdict::kEpochMoved;
        return Verdict::kClockBehind;
    };
    result.verdict = verdict();
    return result;
}

/// Starts: lifts the word to the floor and carries over what the mark says. All earlier
/// IDs are at or below the floor, and all later ones above it, whatever the clock does
/// meanwhile.
void Adopt(SharedState &state, const Judgement &judgement)
{
    Header &header = state.header;
    const Floor &floor = judgement.floor;
    if (floor.offset >= 0)
        LiftToFloor(state.word, floor.offset);
    if (judgement.mark.state == MarkState::kSound) {
        const MarkRecord &record = judgement.mark.record;
        header.mark.end = std::max(header.mark.end, record.end);
        header.mark.generation = record.generation;
        header.mark.window_ms = record.window_ms;
        header.mark.layout_change = record.layout_change;
        if (LayoutDiffers(record, header.identity))
            header.mark.layout_change = {
                static_cast<std::int64_t>(WordAt(std::min(floor.offset + 1, kMaxOffset))),
                record.custom_epoch, record.node_id_bits, 0};
    }
    header.window_ms = WindowOf(judgement.mark.record);
    header.floor_window_ms.store(header.window_ms);
    header.floor_taken.store(1);
}

[[noreturn]] void RaiseEpochMovedError(const MarkRecord &record, const Identity &identity)
{
    ereport(
        ERROR,
        (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
         errmsg("the epoch has been moved forward, and IDs would repeat"),
         errdetail("Counted from the new epoch, %s, IDs would start below those that were "
                   "counted from the old one, %s, until %s.",
                   TimeText(identity.custom_epoch), TimeText(record.custom_epoch),
                   TimeText(identity.custom_epoch + record.end)),
         errhint("Set timeshard.custom_epoch back to %lld and restart the server. See "
                 "\"Changing the node ID or the layout\" in " TIMESHARD_MANUAL "doc/operations.md.",
                 static_cast<long long>(record.custom_epoch))));
    pg_unreachable();
}

[[noreturn]] void RaiseFloorError(const Floor &floor, std::int64_t epoch, std::int64_t now)
{
    ClockGap gap{.behind = "what earlier runs of this server reserved",
                 .gap_ns = (floor.offset - now) * kNanosecondsPerMillisecond,
                 .passes = epoch + floor.offset};
    if (floor.source == FloorSource::kCheckpoint) {
        gap.behind = "the server's last checkpoint";
        gap.advice = "If it is right, and was ahead at the checkpoint, run CHECKPOINT.";
    } else if (floor.source == FloorSource::kReplay) {
        gap.behind = "the last commit that was replayed";
        gap.advice = "If it is right, the old primary's was ahead.";
    } else if (floor.source == FloorSource::kPrepared) {
        gap.behind = "a prepared transaction";
    }
    RaiseClockBehindError(gap);
}

/// Raises the error of a start that is refused.
[[noreturn]] void RaiseStartError(SharedState &state, const Judgement &judgement)
{
    const Identity &identity = state.header.identity;
    if (judgement.verdict == Verdict::kMarkDamaged)
        RaiseMarkError(DamageOf(judgement.mark));
    if (judgement.verdict == Verdict::kMarkNotWritten)
        RaiseMarkError(judgement.settled);
    if (judgement.verdict == Verdict::kNodeIdLost)
        RaiseLostNodeIdError(judgement.mark, identity);
    if (judgement.verdict == Verdict::kNoNodeId)
        RaiseNoNodeIdError();
    state.counters.clock_refusals.fetch_add(1);
    if (judgement.verdict == Verdict::kBeforeEpoch)
        RaiseBeforeEpochError(identity.custom_epoch);
    if (judgement.verdict == Verdict::kEpochMoved)
        RaiseEpochMovedError(judgement.mark.record, identity);
    RaiseFloorError(judgement.floor, identity.custom_epoch, judgement.now);
}

} // namespace

void RecordRestartPoint(SharedState &state)
{
    const Checkpoint checkpoint = LastCheckpoint();
    if (checkpoint.in_recovery)
        state.notes.restart_point_ms = checkpoint.time + kRestOfSecondMs;
}

Floor ReplayFloor(const SharedState &state)
{
    const std::int64_t epoch = state.header.identity.custom_epoch;
    Floor floor;
    const TimestampTz last = GetLatestXTime();
    if (last != 0)
        Lift(floor, ToMilliseconds(last) + 1000 - epoch, FloorSource::kReplay);
    if (state.notes.restart_point_ms != 0)
        Lift(floor, state.notes.restart_point_ms - epoch, FloorSource::kCheckpoint);
    return floor;
}

void TakeFloor(SharedState &state)
{
    Header &header = state.header;
    const Past past = ReadPast();

    const auto taken = [&] { return header.floor_taken.load() != 0; };
    if (!LockUnless(header.lock, taken))
        return;
    if (taken()) {
        Unlock(header.lock);
        return;
    }
    const Judgement judgement = Judge(state, past);
    if (judgement.verdict == Verdict::kStart)
        Adopt(state, judgement);
    Unlock(header.lock);

    if (judgement.verdict != Verdict::kStart)
        RaiseStartError(state, judgement);
    if (judgement.mark.state == MarkState::kSound)
        ReportProvenance(judgement.mark, header.identity, header.mark.layout_change);
    WarnOfNodeId(header.identity);
}

} // namespace timeshard
