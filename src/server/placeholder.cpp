#include "placeholder.hpp"

#include "compat.hpp"

namespace timeshard {
namespace {

/// Raises the error that says who has set the placeholder, and how to undo it: a
/// RESET in the session helps only if the value behind it is the server's.
[[noreturn]] void RaisePlaceholderError(const char *name, const config_generic &placeholder)
{
    const bool by_session = placeholder.reset_source <= PGC_S_ARGV;
    const bool by_client = placeholder.reset_source == PGC_S_CLIENT;
    ereport(ERROR,
            (errcode(ERRCODE_CANT_CHANGE_RUNTIME_PARAM),
             errmsg("parameter \"%s\" can only be set in the server's configuration", name),
             by_session  ? errdetail("This session, or a function's SET clause, has set it.")
             : by_client ? errdetail("The options of this connection have set it.")
                         : errdetail("It is stored for the role or the database."),
             by_session ? errhint("Use RESET %s.", name)
             : by_client
                 ? errhint("Remove it from the connection's options and connect again.")
                 : errhint("Have a superuser run ALTER ROLE ..., ALTER DATABASE ... or ALTER "
                           "ROLE ... IN DATABASE ... RESET %s, and connect again.",
                           name)));
    pg_unreachable();
}

} // namespace

const char *PlaceholderText(const char *name)
{
    const config_generic *variable = FindVariable(name);
    if (variable == nullptr)
        return nullptr;
    if ((variable->flags & GUC_CUSTOM_PLACEHOLDER) == 0)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("another copy of the timeshard library is loaded in this session"),
                        errhint("Connect again.")));
    if (variable->source > PGC_S_ARGV || variable->reset_source > PGC_S_ARGV)
        RaisePlaceholderError(name, *variable);
    return TextOf(*variable);
}

} // namespace timeshard
