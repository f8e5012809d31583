#include "provenance.hpp"

#include "../core/layout.hpp"

#include "postgres.hpp"

namespace timeshard {
namespace {

/// The postmaster keeps both through the crash of a session.
ServerRun ThisRun()
{
    return {PgStartTime, PostmasterPid};
}

/// A promoted standby runs on a copy too, as it should: it is on a new timeline and
/// has a primary configured. A server restored to a point in time is on a new
/// timeline without one.
bool IsUnannouncedCopy(const MarkReading &mark)
{
    if (mark.record.system_identifier != GetSystemIdentifier())
        return true;
    if (mark.same_file)
        return false;
    const bool was_standby = PrimaryConnInfo != nullptr && PrimaryConnInfo[0] != '\0';
    return mark.record.timeline == GetWALInsertionTimeLine() || !was_standby;
}

void WarnOfCopy(const Identity &identity)
{
    ereport(WARNING,
            (errmsg("timeshard runs as node %d on a copy of a data directory that issued IDs as "
                    "that node",
                    identity.node_id),
             errdetail("The file \"timeshard.mark\" was written in another data directory."),
             errhint("If the original is still in use, give one of the two another "
                     "timeshard.node_id and restart it, or they will issue the same IDs. See "
                     "\"Copies of a data directory\" in " TIMESHARD_MANUAL "doc/operations.md.")));
}

/// The number was claimed, so the hint must not say to configure it.
[[noreturn]] void RaiseLostRegistryError(const char *now)
{
    ereport(ERROR,
            (errcode(ERRCODE_CONFIG_FILE_ERROR), errmsg("the configured node ID has been lost"),
             errdetail("This server last claimed its node ID from a registry. Now neither its "
                       "configuration nor its environment names a node ID, and %s.",
                       now),
             errhint("Set timeshard.node_id to \"registry\", or to a number that no registry hands "
                     "out and no other server has, and restart the server.")));
    pg_unreachable();
}

} // namespace

void NoteRun(const Identity &identity, MarkRecord *record)
{
    const ServerRun run = ThisRun();
    record->postmaster = run.postmaster;
    record->started_at = run.started_at;
    record->node_id_source = static_cast<std::int32_t>(identity.node_id_source);
    strlcpy(record->node_address, identity.node_address, sizeof(record->node_address));
}

std::optional<Identity> IdentityOfThisRun(const MarkReading &mark)
{
    const MarkRecord &record = mark.record;
    if (mark.state != MarkState::kSound || !mark.same_file ||
        record.system_identifier != GetSystemIdentifier() || !RunOf(record).IsSame(ThisRun()))
        return std::nullopt;
    Identity identity{};
    identity.custom_epoch = record.custom_epoch;
    identity.node_id = record.node_id;
    identity.node_id_bits = record.node_id_bits;
    identity.node_id_source = static_cast<NodeIdSource>(record.node_id_source);
    identity.configured_node_id = record.node_id_derived != 0 ? -1 : record.node_id;
    strlcpy(identity.node_address, record.node_address, sizeof(identity.node_address));
    return identity;
}

bool LayoutDiffers(const MarkRecord &record, const Identity &identity)
{
    return record.node_id_bits != identity.node_id_bits ||
           record.custom_epoch != identity.custom_epoch;
}

bool IsNodeIdLost(const MarkRecord &record, const Identity &identity)
{
    return record.node_id_derived == 0 && identity.configured_node_id == -1;
}

void RaiseLostNodeIdError(const MarkReading &mark, const Identity &identity)
{
    const int last = mark.record.node_id;
    const char *now = identity.node_id_source == NodeIdSource::kNone
                          ? "no address gives one"
                          : psprintf("its address would give %d", identity.node_id);
    if (mark.record.node_id_source == static_cast<std::int32_t>(NodeIdSource::kRegistry))
        RaiseLostRegistryError(now);
    ereport(ERROR,
            (errcode(ERRCODE_CONFIG_FILE_ERROR), errmsg("the configured node ID has been lost"),
             mark.same_file
                 ? errdetail("This server last issued IDs as node %d, by its configuration or "
                             "environment. Now neither names a node ID, and %s.",
                             last, now)
                 : errdetail("The data directory is a copy of one in which IDs were issued as "
                             "node %d, by a configured number. Now none is configured, and %s.",
                             last, now),
             mark.same_file
                 ? errhint("Set timeshard.node_id to %d, or to another number that no other server "
                           "has, and restart the server.",
                           last)
                 : errhint("Set timeshard.node_id to this server's own number, which no other "
                           "server has, and restart the server.")));
    pg_unreachable();
}

void ReportProvenance(const MarkReading &mark, const Identity &identity, const LayoutChange &change)
{
    const MarkRecord &record = mark.record;
    if (LayoutDiffers(record, identity))
        ereport(LOG_SERVER_ONLY,
                (errmsg("timeshard's layout has changed from %d-%d-%d, epoch %lld, to %d-%d-%d, "
                        "epoch %lld",
                        kOffsetBits, record.node_id_bits, kLowerBits - record.node_id_bits,
                        static_cast<long long>(record.custom_epoch), kOffsetBits,
                        identity.node_id_bits, kLowerBits - identity.node_id_bits,
                        static_cast<long long>(identity.custom_epoch)),
                 errdetail("The new layout applies from ID %lld on.",
                           static_cast<long long>(change.since_id)),
                 errhidestmt(true)));
    if (identity.node_id_source == NodeIdSource::kRegistry)
        return; // the claim is the registry's matter, and a copy has another
    if (record.node_id != identity.node_id)
        ereport(LOG_SERVER_ONLY, (errmsg("timeshard's node ID has changed from %d to %d",
                                         record.node_id, identity.node_id),
                                  errhidestmt(true)));
    else if (IsUnannouncedCopy(mark))
        WarnOfCopy(identity);
}

} // namespace timeshard
