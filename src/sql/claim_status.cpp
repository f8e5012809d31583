/// The SQL function that tells which number this server has claimed, and until when.

#include "../server/claiming.hpp"
#include "../server/timestamps.hpp"

#include "row.hpp"

namespace timeshard {

extern "C" {

PG_FUNCTION_INFO_V1(timeshard_claim_status);

/// timeshard_claim_status() → one row, of nulls where the number is not claimed
Datum timeshard_claim_status(PG_FUNCTION_ARGS)
{
    const SharedState *state = AttachedStateIfAny();
    const std::int64_t end = state != nullptr ? state->header.claim_end.load() : 0;
    const bool held = state != nullptr && Claims(state->header.identity) && end != 0;
    // The error can name hosts and roles: for those who may read the server's log.
    const char *error =
        has_privs_of_role(GetUserId(), ROLE_PG_MONITOR) ? LastClaimError() : nullptr;
    Datum values[] = {
        held ? Int32GetDatum(CurrentNodeId(state->header)) : 0,
        held ? TimestampTzGetDatum(ToTimestamp(state->header.identity.custom_epoch + end)) : 0,
        error != nullptr ? CStringGetTextDatum(error) : 0,
    };
    bool nulls[] = {!held, !held, error == nullptr};
    return RowDatum(fcinfo, values, nulls);
}
}

} // namespace timeshard
