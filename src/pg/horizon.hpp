#pragma once

#include "../core/layout.hpp"

#include <cstdint>

#include "shared_state.hpp"

/// Where the server's open transactions stand, for the horizon.
namespace timeshard::pg {

/// Publishes where the generator stands for the current transaction, before it
/// takes its first ID; a parallel worker does for its leader's. Nothing runs at
/// the transaction's end: PostgreSQL's own record of it tells who asks. True if
/// the position may be raised to that ID.
bool PublishOwnPosition(SharedState &state);

/// Raises it to the offset of the transaction's first ID.
void RaiseOwnPosition(std::int64_t offset);

/// The least position of all open transactions, and whose it is.
struct OldestPosition
{
    std::int64_t offset = kMaxOffset + 1; ///< so where none is published

    int pid = 0;           ///< of the session; 0 if it is prepared, or none
    Oid role = InvalidOid; ///< the session's

    /// Open, and prepared before the server's start or promotion: nobody knows where
    /// it stands. Invalid if there is none.
    TransactionId prepared_earlier = InvalidTransactionId;
};

/// Looks at all positions. Those published later are of IDs above every ID that
/// the caller has taken before.
OldestPosition FindOldestPosition();

} // namespace timeshard::pg
