/// The SQL function that shows how far the generator has come.

#include "../core/clock.hpp"
#include "../core/generator.hpp"
#include "../core/layout.hpp"

#include "../server/open_transactions.hpp"
#include "../server/postgres.hpp"
#include "../server/shared_state.hpp"
#include "../server/timestamps.hpp"

#include "row.hpp"

namespace timeshard {
namespace {

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
    return before + IdsInMillisecond(*word);
}

Datum IntervalOfNs(std::int64_t nanoseconds)
{
    auto *interval = static_cast<Interval *>(palloc0(sizeof(Interval)));
    interval->time = nanoseconds / 1000;
    return IntervalPGetDatum(interval);
}

/// How far the horizon is behind the clock; null if it cannot be told, as on a standby.
Datum HorizonLag(const OldestPosition &oldest, std::int64_t epoch, bool *is_null)
{
    *is_null = RecoveryInProgress() || TransactionIdIsValid(oldest.prepared_earlier);
    const bool none = oldest.offset > kMaxOffset;
    const std::int64_t lag_ms = none ? 0 : OffsetNow(epoch) - oldest.offset;
    return IntervalOfNs(Max(lag_ms, 0) * kNanosecondsPerMillisecond);
}

/// True if the caller may know what the session does, as in pg_stat_activity.
bool MaySee(const OldestPosition &oldest)
{
    return oldest.pid != 0 && (has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) ||
                               has_privs_of_role(GetUserId(), oldest.role));
}

} // namespace

extern "C" {

PG_FUNCTION_INFO_V1(timeshard_stats);

/// timeshard_stats() → one row
Datum timeshard_stats(PG_FUNCTION_ARGS)
{
    const SharedState &state = AttachedState();
    const Identity &identity = state.header.identity;
    const Counters &counters = state.counters;
    const std::uint64_t node_field = state.header.node_field.load();

    std::uint64_t word;
    const std::int64_t issued = CountIssued(state, &word);
    const std::int64_t last_at = identity.custom_epoch + OffsetOf(word);
    const std::int64_t end = state.header.end.load();
    const bool none = IdsInMillisecond(word) == 0;
    const OldestPosition oldest = FindOldestPosition();
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
        Int64GetDatum(Layout::IdOf(word, node_field)),
        TimestampTzGetDatum(ToTimestamp(last_at)),
        TimestampTzGetDatum(ToTimestamp(identity.custom_epoch + end)),
        TimestampTzGetDatum(counters.started_at.load()),
        lag,
        Int32GetDatum(oldest.pid),
    };
    bool nulls[lengthof(values)] = {};
    nulls[7] = nulls[8] = none;
    nulls[9] = end == 0;
    nulls[11] = lag_unknown;
    nulls[12] = !MaySee(oldest);
    return RowDatum(fcinfo, values, nulls);
}
}

} // namespace timeshard
