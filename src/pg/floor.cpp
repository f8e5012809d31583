#include "floor.hpp"

#include "../core/clock.hpp"
#include "../core/generator.hpp"
#include "../core/reservation.hpp"

#include <algorithm>

#include "postgres.hpp"
#include "settings.hpp"
#include "timestamps.hpp"

namespace timeshard::pg {
namespace {

/// What may follow a time of whole seconds within its second.
constexpr std::int64_t kRestOfSecondMs = 999;

void Raise(Floor &floor, std::int64_t offset, FloorSource source)
{
    offset = std::min(offset, kMaxOffset);
    if (offset > floor.offset)
        floor = {offset, source};
}

ControlFileData ReadControl()
{
    bool sound;
    LWLockAcquire(ControlFileLock, LW_SHARED); // not to read it half written
    ControlFileData *control = get_controlfile(DataDir, &sound);
    LWLockRelease(ControlFileLock);
    if (!sound)
        ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                        errmsg("checksum of the server's pg_control does not match")));
    const ControlFileData result = *control;
    pfree(control);
    return result;
}

/// The time of the last checkpoint, in ms since 1970, a whole second.
std::int64_t CheckpointTime(const ControlFileData &control)
{
    return std::int64_t{control.checkPointCopy.time} * 1000;
}

/// True if the clock would do, had the epoch stayed where it was.
bool EpochMovedForward(const MarkReading &mark, const Identity &identity, std::int64_t now)
{
    const std::int64_t moved = identity.custom_epoch - mark.record.custom_epoch;
    return moved > 0 && mark.record.end - (now + moved) <= kWindowMs + MaxClockWait();
}

[[noreturn]] void RefuseEpoch(const MarkReading &mark, const Identity &identity)
{
    ereport(ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("the epoch has been moved forward, and IDs would repeat"),
             errdetail("Counted from the new epoch, %s, IDs would start below those that were "
                       "counted from the old one, %s, until %s.",
                       TimeText(identity.custom_epoch), TimeText(mark.record.custom_epoch),
                       TimeText(identity.custom_epoch + mark.record.end)),
             errhint("Set timeshard.custom_epoch back to %lld and restart the server. See "
                     "\"Changing the node ID or the layout\" in doc/operations.md.",
                     static_cast<long long>(mark.record.custom_epoch))));
    pg_unreachable();
}

std::int64_t QueryLatestPreparation()
{
    SPI_connect();
    if (SPI_execute("SELECT pg_catalog.max(prepared) FROM pg_catalog.pg_prepared_xact()", true,
                    1) != SPI_OK_SELECT)
        elog(ERROR, "could not look for prepared transactions");
    bool is_null;
    const Datum latest = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null);
    const std::int64_t result = is_null ? -1 : ToMilliseconds(DatumGetTimestampTz(latest));
    SPI_finish();
    return result;
}

} // namespace

std::int64_t RestartPoint()
{
    const ControlFileData control = ReadControl();
    const bool standby =
        control.state == DB_SHUTDOWNED_IN_RECOVERY || control.state == DB_IN_ARCHIVE_RECOVERY;
    return standby ? CheckpointTime(control) + kRestOfSecondMs : 0;
}

Floor ReplayFloor(std::int64_t epoch, std::int64_t restart_point_ms)
{
    Floor floor;
    const TimestampTz last = GetLatestXTime();
    if (last != 0)
        Raise(floor, ToMilliseconds(last) + 1000 - epoch, FloorSource::kReplay);
    if (restart_point_ms != 0)
        Raise(floor, restart_point_ms - epoch, FloorSource::kCheckpoint);
    return floor;
}

std::int64_t LatestPreparation()
{
    if (max_prepared_xacts == 0)
        return -1;

    // With the server's rights: whoever makes the first ID may not be allowed to
    // look. An error gives the caller's back, as with any change of them.
    Oid user;
    int context;
    GetUserIdAndSecContext(&user, &context);
    SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, context | SECURITY_LOCAL_USERID_CHANGE);
    const bool had_snapshot = ActiveSnapshotSet();
    if (!had_snapshot)
        PushActiveSnapshot(GetTransactionSnapshot());
    const std::int64_t result = QueryLatestPreparation();
    if (!had_snapshot)
        PopActiveSnapshot();
    SetUserIdAndSecContext(user, context);
    return result;
}

Floor FindFloor(const MarkReading &mark, std::int64_t epoch, std::int64_t restart_point_ms,
                std::int64_t prepared_ms)
{
    const bool missing = mark.state == MarkState::kMissing;
    const bool recovered = GetXLogReplayRecPtr(nullptr) != InvalidXLogRecPtr;
    const std::int64_t rest_of_second = missing || !recovered ? kRestOfSecondMs : 0;
    Floor floor = ReplayFloor(epoch, restart_point_ms);
    if (!missing)
        Raise(floor, FloorOfEnd(mark.record.end), FloorSource::kMark);
    Raise(floor, CheckpointTime(ReadControl()) + rest_of_second - epoch, FloorSource::kCheckpoint);
    if (prepared_ms >= 0)
        Raise(floor, prepared_ms - epoch, FloorSource::kPrepared);
    return floor;
}

void RefuseFloor(const Floor &floor, const MarkReading &mark, const Identity &identity,
                 std::int64_t now)
{
    if (floor.source == FloorSource::kMark && EpochMovedForward(mark, identity, now))
        RefuseEpoch(mark, identity);

    const char *behind = "what earlier runs of this server reserved";
    const char *hint = "Set the server's clock right. IDs are issued again once it has passed that "
                       "time.";
    if (floor.source == FloorSource::kCheckpoint) {
        behind = "the server's last checkpoint";
        hint = "Set the server's clock right. If it is right, and was ahead at the checkpoint, run "
               "CHECKPOINT.";
    } else if (floor.source == FloorSource::kReplay) {
        behind = "the last commit that was replayed";
        hint = "Set the server's clock right. If it is right, the old primary's was ahead.";
    } else if (floor.source == FloorSource::kPrepared) {
        behind = "a prepared transaction";
    }
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("clock is %.3f s behind %s",
                           static_cast<double>(floor.offset - now) / 1000, behind),
                    errdetail("IDs of up to %s may have been issued, the clock reads %s, and "
                              "timeshard.max_clock_wait is %d ms.",
                              TimeText(identity.custom_epoch + floor.offset),
                              TimeText(identity.custom_epoch + now), MaxClockWait()),
                    errhint("%s See \"When the clock was wrong\" in doc/operations.md.", hint)));
    pg_unreachable();
}

} // namespace timeshard::pg
