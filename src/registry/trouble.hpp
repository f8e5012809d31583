#pragma once

#include "registry_client.hpp"

#include "../server/claiming.hpp"

/// What sessions and the log learn of the registry's answers.
namespace timeshard {

/// True if a claim has been made in this run of the server, and not given up since.
inline bool HasClaim(const SharedState &state)
{
    return Claims(state.header.identity) && state.header.claim_end.load() != 0;
}

/// Notes what is wrong, for sessions and the log, or that nothing is any more.
void NoteTrouble(const SharedState &state, const Answer &answer);

} // namespace timeshard
