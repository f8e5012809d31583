#pragma once

#include "../core/claim.hpp"

#include <cstddef>
#include <cstdint>

#include "shared_state.hpp"

/// The number that a server has claimed from a registry: what it holds, and how that
/// changes under sessions that issue IDs. Asking the registry is src/registry's.
namespace timeshard {

/// What the next request shows, and the tag of a request that may be under way, empty if
/// none is. Opaque; see doc/registry-protocol.md.
struct Credentials
{
    char proof[256];
    char tag[104];
};

/// In shared memory of its own, on a server with a registry. The claimant, which
/// is the worker of src/registry, alone writes it.
struct Claim
{
    ClaimedInterval interval;

    /// Those in use, and a place for the next. So a claimant that is killed while it
    /// writes leaves the old ones whole.
    Credentials credentials[2];
    std::atomic<std::uint32_t> in_use;

    // The last trouble with the registry, empty if there is none.
    slock_t error_lock;
    char error[512];
};

/// The shared memory that a claim takes: 0 where there is no registry.
std::size_t ClaimSize();

/// True if the configuration names a registry to claim the number from, or to look
/// whether others have claimed the number that is configured. (It may do so only since a
/// reload: the identity in force is the state's.)
bool RegistryIsConfigured();

/// Starts the claimant with the server. Raises an error if its library or a setting is
/// missing. Called in the postmaster, when the library is preloaded.
void RegisterClaimant();

/// Complains at this level of numbers to claim that the node ID bits cannot hold.
void CheckNumbersToClaim(int elevel);

/// Makes the claim's memory anew in the postmaster, at a start and after a crash of a
/// session. The second gives back what the server held.
void StartClaim(SharedState &state);

/// True if the number has to be claimed.
inline bool Claims(const Identity &identity)
{
    return identity.node_id_source == NodeIdSource::kRegistry;
}

/// True if a claim has been made in this run of the server, and not given up since. Its end
/// may have passed.
inline bool HasClaim(const SharedState &state)
{
    return Claims(state.header.identity) && state.header.claim_end.load() != 0;
}

/// True while the server may issue IDs of its number: the claim's end has not come, or the
/// number is configured, and the registry knows of nobody else who has it.
bool HoldsNumber(const Header &header);

/// Waits a moment for a claim, and has the claimant look for one. Raises an error if the
/// call has waited since `since_ns`, monotonic, for as long as a call waits after a start.
void AwaitClaim(SharedState &state, std::int64_t since_ns);

// What the claimant does.

/// What the next request shows.
const Credentials &CurrentCredentials();

/// Notes what requests show from now on.
void SetCredentials(const char *proof, const char *tag);

/// Changes over to a new claim, while sessions go on. False if the claimant has to end
/// while it waits for the lock.
bool AdoptClaim(SharedState &state, const ClaimedInterval &interval, const char *proof);

/// The registry has moved the claim's end to `end`, unless that is known.
void ExtendClaim(SharedState &state, std::int64_t end);

/// Ends the claim for this server: no reservation grows any more. Returns an offset that
/// no ID of its number reaches. Waits for the lock until `deadline_ns`, monotonic, at
/// most; -1 if that has come.
std::int64_t CloseClaim(SharedState &state, std::int64_t deadline_ns);

/// Refuses IDs of the present number, which another server has. What is reserved is void,
/// so a call that starts after this one has returned issues none.
void RefuseNumber(SharedState &state);

/// Issues IDs of the configured number, which nobody else has.
void AcceptNumber(SharedState &state);

/// Notes the last trouble with the registry; empty if it is over. True if it is news.
bool NoteClaimError(const char *error);

/// The last trouble with the registry, in this process's memory; null if there is none.
char *LastClaimError();

} // namespace timeshard
