/// The SQL function that tells what is in force.

#include "../core/layout.hpp"

#include "shared_state.hpp"

#include "postgres.hpp"
#include "row.hpp"
#include "settings.hpp"
#include "timestamps.hpp"

namespace {

/// The address that the node ID was derived from, for those who may read the
/// server's statistics; it tells where in the network the server is.
Datum NodeAddress(const timeshard::pg::Identity &identity, bool *is_null)
{
    *is_null = identity.node_address[0] == '\0' || !has_privs_of_role(GetUserId(), ROLE_PG_MONITOR);
    if (*is_null)
        return 0;
    return DirectFunctionCall1(inet_in, CStringGetDatum(identity.node_address));
}

} // namespace

extern "C" {

PG_FUNCTION_INFO_V1(timeshard_config);

/// timeshard_config() → one row
Datum timeshard_config(PG_FUNCTION_ARGS)
{
    const timeshard::pg::Identity &identity = timeshard::pg::IdentityInForce();
    const timeshard::Layout layout(identity.node_id_bits);
    const std::int64_t end = identity.custom_epoch + timeshard::kMaxOffset + 1;

    bool address_is_null;
    const Datum address = NodeAddress(identity, &address_is_null);
    Datum values[] = {
        Int32GetDatum(identity.node_id),
        CStringGetTextDatum(timeshard::pg::NodeIdSourceName(identity.node_id_source)),
        address,
        Int32GetDatum(layout.NodeIdBits()),
        Int32GetDatum(layout.SequenceBits()),
        Int32GetDatum(layout.MaxNodeId()),
        Int32GetDatum(layout.IdsPerMillisecond()),
        Int64GetDatum(identity.custom_epoch),
        TimestampTzGetDatum(timeshard::pg::ToTimestamp(identity.custom_epoch)),
        TimestampTzGetDatum(timeshard::pg::ToTimestamp(end)),
        BoolGetDatum(timeshard::pg::IsPreloaded()),
        BoolGetDatum(timeshard::pg::IdentityWouldChange(identity)),
    };
    bool nulls[lengthof(values)] = {};
    nulls[2] = address_is_null;
    return timeshard::pg::RowDatum(fcinfo, values, nulls);
}
}
