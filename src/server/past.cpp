#include "past.hpp"

#include "locks.hpp"
#include "postgres.hpp"
#include "timestamps.hpp"

namespace timeshard {
namespace {

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

/// Replay does not count a prepared transaction as a commit. The query runs with the
/// server's rights, because the caller may have none to look; an error restores the
/// caller's, as after any change of them.
std::int64_t LatestPreparation()
{
    if (max_prepared_xacts == 0)
        return -1;

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

} // namespace

Checkpoint LastCheckpoint()
{
    bool sound = false;
    ControlFileData *control = nullptr;
    WithServerLock(ControlFileLock, LW_SHARED, // not to read it half written
                   [&] { control = get_controlfile(DataDir, &sound); });
    if (!sound)
        ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                        errmsg("checksum of the server's pg_control does not match")));
    const Checkpoint result = {std::int64_t{control->checkPointCopy.time} * 1000,
                               control->state == DB_SHUTDOWNED_IN_RECOVERY ||
                                   control->state == DB_IN_ARCHIVE_RECOVERY};
    pfree(control);
    return result;
}

Past ReadPast()
{
    return {LastCheckpoint(), LatestPreparation()};
}

} // namespace timeshard
