#include "placeholder.hpp"

#include <cstring>
#include <limits>

#include "compat.hpp"

namespace timeshard {
namespace {

constexpr char kPrefix[] = "timeshard.";

/// Raises the error that says who has set the placeholder, and how to undo it: a
/// RESET in the session helps only if the value behind it is the server's.
[[noreturn]] void RaisePlaceholderError(const char *name, const config_generic &placeholder,
                                        bool known = true)
{
    const bool by_session = placeholder.reset_source <= PGC_S_ARGV;
    const bool by_client = placeholder.reset_source == PGC_S_CLIENT;
    ereport(ERROR,
            (errcode(ERRCODE_CANT_CHANGE_RUNTIME_PARAM),
             known ? errmsg("parameter \"%s\" can only be set in the server's configuration", name)
                   : errmsg("there is no parameter \"%s\"", name),
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

bool IsSetBySession(const config_generic &placeholder)
{
    return placeholder.source > PGC_S_ARGV || placeholder.reset_source > PGC_S_ARGV;
}

/// The known name that takes the least to be made of this one. PostgreSQL's
/// ClosestMatch, from 16, counts what is added like what is taken away, and so would
/// not find custom_epoch for epoch.
const char *NearestName(const char *name, std::span<const char *const> known)
{
    constexpr int kAdded = 1, kTakenAway = 2, kReplaced = 3;
    char *lower = pstrdup(name);
    for (char *letter = lower; *letter != '\0'; letter++)
        *letter = static_cast<char>(pg_tolower(static_cast<unsigned char>(*letter)));

    const char *nearest = nullptr;
    int least = std::numeric_limits<int>::max();
    for (const char *candidate : known) {
        const int distance = varstr_levenshtein(lower, static_cast<int>(std::strlen(lower)),
                                                candidate, static_cast<int>(std::strlen(candidate)),
                                                kAdded, kTakenAway, kReplaced, true);
        if (distance < least) {
            least = distance;
            nearest = candidate;
        }
    }
    pfree(lower);
    return nearest;
}

void CheckUnknownName(const config_generic &placeholder, std::span<const char *const> known,
                      bool (*identity_is_captured)())
{
    const char *const name = placeholder.name;
    if (IsSetBySession(placeholder))
        RaisePlaceholderError(name, placeholder, false);
    const char *const nearest = NearestName(name, known);
    if (!identity_is_captured())
        ereport(ERROR, (errcode(ERRCODE_CONFIG_FILE_ERROR),
                        errmsg("unrecognized configuration parameter \"%s\"", name),
                        errdetail("The server's configuration sets it, and timeshard has no such "
                                  "setting."),
                        errhint("Perhaps you meant \"%s\".", nearest)));
    if (!IsParallelWorker())
        ereport(WARNING,
                (errcode(ERRCODE_CONFIG_FILE_ERROR),
                 errmsg("unrecognized configuration parameter \"%s\"", name),
                 errdetail(
                     "A reload brought it into the server's configuration. If it is still there at "
                     "the next start, no ID will be issued."),
                 errhint("Perhaps you meant \"%s\".", nearest)));
}

} // namespace

void CheckUnknownNames(std::span<const char *const> known, bool (*identity_is_captured)())
{
    ForEachVariable([&](const config_generic &variable) {
        if ((variable.flags & GUC_CUSTOM_PLACEHOLDER) == 0 ||
            pg_strncasecmp(variable.name, kPrefix, sizeof(kPrefix) - 1) != 0)
            return;
        for (const char *name : known)
            if (pg_strcasecmp(variable.name, name) == 0)
                return;
        if (TextOf(variable) != nullptr) // or all that was set has been undone
            CheckUnknownName(variable, known, identity_is_captured);
    });
}

const char *PlaceholderText(const char *name)
{
    const config_generic *variable = FindVariable(name);
    if (variable == nullptr)
        return nullptr;
    if ((variable->flags & GUC_CUSTOM_PLACEHOLDER) == 0)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("another copy of the timeshard library is loaded in this session"),
                        errhint("Connect again.")));
    if (IsSetBySession(*variable))
        RaisePlaceholderError(name, *variable);
    return TextOf(*variable);
}

} // namespace timeshard
