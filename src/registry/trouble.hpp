#pragma once

#include "registry_client.hpp"

#include "../server/shared_state.hpp"

/// What sessions and the log learn of the registry's answers.
namespace timeshard {

/// Notes what is wrong, for sessions and the log, or that nothing is any more.
void NoteTrouble(const SharedState &state, const Answer &answer);

} // namespace timeshard
