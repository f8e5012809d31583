/// The SQL functions that tell which node ID and layout are in force, and which were.

#include "../core/layout.hpp"

#include "../server/claiming.hpp"
#include "../server/mark.hpp"
#include "../server/settings.hpp"
#include "../server/timestamps.hpp"

#include "row.hpp"

namespace timeshard {
namespace {

/// The address that the node ID was derived from, for those who may read the
/// server's statistics; it tells where in the network the server is.
Datum NodeAddress(const Identity &identity, bool *is_null)
{
    *is_null = identity.node_address[0] == '\0' || !has_privs_of_role(GetUserId(), ROLE_PG_MONITOR);
    if (*is_null)
        return 0;
    return DirectFunctionCall1(inet_in, CStringGetDatum(identity.node_address));
}

/// False where there is no number, or none is claimed at present: a claim that ran out is none.
bool HasNodeId(NodeIdSource source)
{
    if (source != NodeIdSource::kRegistry)
        return source != NodeIdSource::kNone;
    const SharedState *state = AttachedStateIfAny();
    return state != nullptr && HoldsNumber(state->header);
}

/// The layout before the last change: from shared memory once the mark has been
/// read, else from the mark.
LayoutChange LastLayoutChange()
{
    const SharedState *state = AttachedStateIfAny();
    if (state != nullptr && state->header.floor_taken.load() != 0)
        return state->header.mark.layout_change;
    const MarkReading mark = ReadMark();
    if (mark.state == MarkState::kDamaged)
        RaiseMarkError(DamageOf(mark));
    return mark.record.layout_change;
}

} // namespace

extern "C" {

PG_FUNCTION_INFO_V1(timeshard_config);
PG_FUNCTION_INFO_V1(timeshard_layout_change);
PG_FUNCTION_INFO_V1(timeshard_warn_of_node_id);

/// timeshard_config() → one row
Datum timeshard_config(PG_FUNCTION_ARGS)
{
    const Identity identity = IdentityInForce();
    const Layout layout(identity.node_id_bits);
    const std::int64_t end = identity.custom_epoch + kMaxOffset + 1;

    bool address_is_null;
    const Datum address = NodeAddress(identity, &address_is_null);
    Datum values[] = {
        Int32GetDatum(identity.node_id),
        CStringGetTextDatum(NodeIdSourceName(identity.node_id_source)),
        address,
        Int32GetDatum(layout.NodeIdBits()),
        Int32GetDatum(layout.SequenceBits()),
        Int32GetDatum(layout.MaxNodeId()),
        Int32GetDatum(layout.IdsPerMillisecond()),
        Int64GetDatum(identity.custom_epoch),
        TimestampTzGetDatum(ToTimestamp(identity.custom_epoch)),
        TimestampTzGetDatum(ToTimestamp(end)),
        BoolGetDatum(IsPreloaded()),
        BoolGetDatum(IdentityWouldChange(identity)),
    };
    bool nulls[lengthof(values)] = {};
    nulls[0] = !HasNodeId(identity.node_id_source);
    nulls[2] = address_is_null;
    return RowDatum(fcinfo, values, nulls);
}

/// timeshard_layout_change() → one row, of nulls if no change is known
Datum timeshard_layout_change(PG_FUNCTION_ARGS)
{
    const LayoutChange change = LastLayoutChange();
    Datum values[] = {
        Int64GetDatum(change.since_id),
        Int32GetDatum(change.node_id_bits),
        Int64GetDatum(change.custom_epoch),
    };
    bool nulls[lengthof(values)];
    for (bool &null : nulls)
        null = change.node_id_bits == 0;
    return RowDatum(fcinfo, values, nulls);
}

/// Called at the end of CREATE EXTENSION, by a function that exists only until then.
Datum timeshard_warn_of_node_id(PG_FUNCTION_ARGS)
{
    (void)fcinfo;
    WarnOfNodeId(IdentityInForce());
    PG_RETURN_VOID();
}
}

} // namespace timeshard
