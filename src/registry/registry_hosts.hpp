#pragma once

#include "../server/postgres.hpp"

#include "libpq.hpp"

/// Which of a registry's hosts is asked. libpq goes on to the next host after a refusal, but
/// waits for one that is mute.
namespace timeshard {

/// Starts a connection, at a later host of the list after mute ones, if `conninfo` or its
/// service file has one. As PQconnectStartParams().
PGconn *StartConnection(const char *conninfo);

/// Has the next connection begin at the next host.
void NoteMuteHost();

} // namespace timeshard
