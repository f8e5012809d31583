/// What runs when the library is loaded.

#include "claiming.hpp"
#include "worker.hpp"
#include "settings.hpp"
#include "shared_state.hpp"
#include "start.hpp"

#include "compat.hpp"

namespace timeshard {
namespace {

shmem_request_hook_type previous_request_hook = nullptr;
shmem_startup_hook_type previous_startup_hook = nullptr;

void RequestSpace()
{
    if (previous_request_hook != nullptr)
        previous_request_hook();
    RequestAddinShmemSpace(add_size(SharedStateSize(), ClaimSize()));
}

/// Runs in the postmaster, at a start and after a crash of a backend: the memory is
/// new, and the identity stays.
void StartUp()
{
    if (previous_startup_hook != nullptr)
        previous_startup_hook();
    ForgetSharedState();
    SharedState &state = AttachedState();
    if (IsUnderPostmaster) // where sessions are not forked, each runs this
        return;
    KeepIdentity(state);
    RecordRestartPoint(state);
    StartClaim(state);
}

/// Has space reserved, and the identity captured at the server's start, when the
/// library is in shared_preload_libraries.
void PrepareForPreload()
{
    SetPreloaded();
    previous_request_hook = shmem_request_hook;
    shmem_request_hook = RequestSpace;
    previous_startup_hook = shmem_startup_hook;
    shmem_startup_hook = StartUp;
    if (RegistryIsConfigured())
        RegisterClaimant(); // first: if workers are short, the other one can be done without
    RegisterWorker();
}

} // namespace

extern "C" {

TIMESHARD_MODULE_MAGIC;

void _PG_init(void)
{
    DefineSettings(IdentityIsCaptured);
    if (process_shared_preload_libraries_in_progress)
        PrepareForPreload();
}
}

} // namespace timeshard
