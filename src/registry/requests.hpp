#pragma once

#include <cstdint>

#include "registry_client.hpp"

/// What the claimant asks of the registry: doc/registry-protocol.md.
namespace timeshard {

/// Claims a number, the one of the last run if that is free; -1 if there is none.
Answer RequestClaim(std::int32_t preferred);

/// Extends the claim that is held, once more with the same tag if an answer was lost.
Answer RequestExtension();

/// Asks whether somebody holds a number that is configured on this server: kNotYours if so,
/// kKept if not.
Answer RequestCheck(std::int32_t number);

/// Gives the claim back, whose IDs are below the offset `used_until`. Gives up at
/// `deadline_ns`, monotonic, and not before.
Answer RequestEnd(std::int64_t used_until, std::int64_t deadline_ns);

} // namespace timeshard
