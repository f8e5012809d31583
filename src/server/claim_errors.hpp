#pragma once

#include "shared_state.hpp"

/// The errors of a server that may not issue IDs because of a registry.
namespace timeshard {

/// Raises an error if the number has to be claimed and no claimant can run.
void CheckClaimant(const Identity &identity);

/// The number that is configured here is another server's.
[[noreturn]] void RaiseClaimedNumberError(std::int32_t number);

/// The registry has given no number, or no longer does.
[[noreturn]] void RaiseNoClaimError(const SharedState &state);

} // namespace timeshard
