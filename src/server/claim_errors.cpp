#include "claim_errors.hpp"

#include "claiming.hpp"
#include "timestamps.hpp"

namespace timeshard {

void CheckClaimant(const Identity &identity)
{
    if (!Claims(identity) || IsPreloaded())
        return;
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("timeshard must be preloaded to claim a node ID"),
                    errdetail("timeshard.node_id is \"registry\", and the worker that asks the "
                              "registry starts with the server."),
                    errhint("Add timeshard to shared_preload_libraries and restart the server.")));
}

void RaiseClaimedNumberError(std::int32_t number)
{
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("node ID %d is claimed from the registry by another server", number),
                    errdetail("This server is configured with a number that the registry hands "
                              "out."),
                    errhint("Set timeshard.node_id to \"registry\", or to a number that the "
                            "registry does not hand out, and restart the server.")));
    pg_unreachable();
}

void RaiseNoClaimError(const SharedState &state)
{
    if (state.header.claimant.load() == 0)
        ereport(ERROR,
                (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                 errmsg("this server holds no claim of a node ID, and issues no IDs"),
                 errdetail("The worker that claims does not run."),
                 errhint("If it does not come within seconds, raise max_worker_processes and "
                         "restart the server. See \"When there is no claim\" in " TIMESHARD_MANUAL
                         "doc/claimed-node-ids.md.")));
    const std::int64_t end = state.header.claim_end.load();
    const char *error =
        has_privs_of_role(GetUserId(), ROLE_PG_MONITOR) ? LastClaimError() : nullptr;
    const char *ended = end > 0 ? psprintf(" The last claim ran out at %s.",
                                           TimeText(state.header.identity.custom_epoch + end))
                                : "";
    ereport(ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("this server holds no claim of a node ID, and issues no IDs"),
             error != nullptr
                 ? errdetail("The registry that it claims from gave none: %s.%s", error, ended)
                 : errdetail("The registry that it claims from has not given it one yet.%s", ended),
             errhint("IDs are issued again once the registry gives a claim. A member of pg_monitor "
                     "sees what is wrong in timeshard_claim_status(). See \"When there is no "
                     "claim\" in " TIMESHARD_MANUAL "doc/claimed-node-ids.md.")));
    pg_unreachable();
}

} // namespace timeshard
