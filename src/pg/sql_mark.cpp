/// The SQL functions that show and change how far the generator has come.

#include "../core/generator.hpp"
#include "../core/layout.hpp"

#include "arguments.hpp"
#include "horizon.hpp"
#include "mark_file.hpp"
#include "reservation.hpp"

#include "postgres.hpp"
#include "row.hpp"
#include "timestamps.hpp"

namespace {

using timeshard::pg::Counters;
using timeshard::pg::Header;
using timeshard::pg::SharedState;

constexpr std::int64_t kMsPerDay = std::int64_t{SECS_PER_DAY} * 1000;

/// How many IDs were issued, and where the word stands: read so that, as far as
/// one can see, both are of one millisecond. The IDs of the one before are added
/// just after the word has risen, so for that moment they can be missing.
std::int64_t CountIssued(const SharedState &state, std::uint64_t *word)
{
    std::int64_t before;
    do {
        before = state.counters.issued_before.load();
        *word = state.word.load();
    } while (state.counters.issued_before.load() != before);
    return before + timeshard::IdsInMillisecond(*word);
}

Datum IntervalOfNs(std::int64_t nanoseconds)
{
    auto *interval = static_cast<Interval *>(palloc0(sizeof(Interval)));
    interval->time = nanoseconds / 1000;
    return IntervalPGetDatum(interval);
}

/// How far the horizon is behind the clock; null if it cannot be told, as on a standby.
Datum HorizonLag(const timeshard::pg::OldestPosition &oldest, std::int64_t epoch, bool *is_null)
{
    *is_null = RecoveryInProgress() || TransactionIdIsValid(oldest.prepared_earlier);
    const bool none = oldest.offset > timeshard::kMaxOffset;
    const std::int64_t lag_ms = none ? 0 : timeshard::pg::OffsetNow(epoch) - oldest.offset;
    return IntervalOfNs(Max(lag_ms, 0) * timeshard::kNanosecondsPerMillisecond);
}

/// True if the caller may know what the session does, as in pg_stat_activity.
bool MaySee(const timeshard::pg::OldestPosition &oldest)
{
    return oldest.pid != 0 && (has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) ||
                               has_privs_of_role(GetUserId(), oldest.role));
}

/// What held before the last change of layout, by shared memory once the mark
/// has been read, else by the mark.
timeshard::LayoutChange LastLayoutChange(const SharedState &state)
{
    if (state.header.floor_taken.load() != 0)
        return state.header.layout_change;
    const timeshard::pg::MarkReading mark = timeshard::pg::ReadMark();
    if (mark.state == timeshard::pg::MarkState::kDamaged)
        timeshard::pg::RefuseDamagedMark(mark);
    return mark.record.layout_change;
}

} // namespace

extern "C" {

PG_FUNCTION_INFO_V1(timeshard_raise_floor);
PG_FUNCTION_INFO_V1(timeshard_stats);
PG_FUNCTION_INFO_V1(timeshard_layout_change);

/// timeshard_raise_floor(id bigint) → void
Datum timeshard_raise_floor(PG_FUNCTION_ARGS)
{
    PreventCommandDuringRecovery("timeshard_raise_floor()");
    if (PG_ARGISNULL(0)) {
        ereport(WARNING,
                (errmsg("timeshard's floor has not been raised: the ID is null"),
                 errdetail("The largest ID of a table is null where the table has no rows.")));
        PG_RETURN_VOID();
    }
    const std::int64_t id = PG_GETARG_INT64(0);
    timeshard::pg::CheckId(id);

    SharedState &state = timeshard::pg::AttachedState();
    const std::int64_t epoch = state.header.identity.custom_epoch;
    const std::int64_t offset = timeshard::OffsetOf(static_cast<std::uint64_t>(id));
    if (offset - timeshard::pg::OffsetNow(epoch) > kMsPerDay)
        ereport(
            ERROR,
            (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
             errmsg("ID is more than a day ahead of the clock"),
             errdetail("By the epoch in force it is of %s, and until then no ID would be issued.",
                       timeshard::pg::TimeText(epoch + offset))));
    timeshard::pg::RaiseFloor(state, offset, timeshard::pg::DamagedMark::kReplace);
    ereport(LOG_SERVER_ONLY,
            (errmsg("timeshard's floor has been raised to ID %lld", static_cast<long long>(id))));
    PG_RETURN_VOID();
}

/// timeshard_stats() → one row
Datum timeshard_stats(PG_FUNCTION_ARGS)
{
    const SharedState &state = timeshard::pg::AttachedState();
    const timeshard::pg::Identity &identity = state.header.identity;
    const Counters &counters = state.counters;
    const std::uint64_t node_field =
        timeshard::Layout(identity.node_id_bits).NodeField(identity.node_id);

    std::uint64_t word;
    const std::int64_t issued = CountIssued(state, &word);
    const std::int64_t last_at = identity.custom_epoch + timeshard::OffsetOf(word);
    const std::int64_t end = state.header.end.load();
    const bool none = timeshard::IdsInMillisecond(word) == 0;
    const timeshard::pg::OldestPosition oldest = timeshard::pg::FindOldestPosition();
    bool lag_unknown;
    const Datum lag = HorizonLag(oldest, identity.custom_epoch, &lag_unknown);
    Datum values[] = {
        Int64GetDatum(issued),
        Int64GetDatum(counters.sequence_waits.load()),
        Int64GetDatum(counters.clock_waits.load()),
        Int64GetDatum(counters.clock_refusals.load()),
        Int64GetDatum((counters.largest_step_ns.load() + 999999) / 1000000),
        Int64GetDatum(counters.mark_extensions.load()),
        IntervalOfNs(counters.slowest_extension_ns.load()),
        Int64GetDatum(static_cast<std::int64_t>(word | node_field)),
        TimestampTzGetDatum(timeshard::pg::ToTimestamp(last_at)),
        TimestampTzGetDatum(timeshard::pg::ToTimestamp(identity.custom_epoch + end)),
        TimestampTzGetDatum(counters.started_at.load()),
        lag,
        Int32GetDatum(oldest.pid),
    };
    bool nulls[lengthof(values)] = {};
    nulls[7] = nulls[8] = none;
    nulls[9] = end == 0;
    nulls[11] = lag_unknown;
    nulls[12] = !MaySee(oldest);
    return timeshard::pg::RowDatum(fcinfo, values, nulls);
}

/// timeshard_layout_change() → one row, of nulls if no change is known
Datum timeshard_layout_change(PG_FUNCTION_ARGS)
{
    const timeshard::LayoutChange change = LastLayoutChange(timeshard::pg::AttachedState());
    Datum values[] = {
        Int64GetDatum(change.since_id),
        Int32GetDatum(change.node_id_bits),
        Int64GetDatum(change.custom_epoch),
    };
    bool nulls[lengthof(values)];
    for (bool &null : nulls)
        null = change.node_id_bits == 0;
    return timeshard::pg::RowDatum(fcinfo, values, nulls);
}
}
