#pragma once

#include "../server/postgres.hpp"

/// What lets COPY insert rows in batches when it leaves a key to its default.
namespace timeshard {

/// The call of the stable twin that takes the place of a call that makes one ID, while
/// COPY FROM plans its defaults. Null wherever the call stays as it is.
Node *SimplifyForCopy(const SupportRequestSimplify *request);

} // namespace timeshard
