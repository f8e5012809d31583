/// The errors of the registry's SQL functions, which find what is wrong but have no way
/// to say so.

#include <string_view>

#include "../server/postgres.hpp"

namespace timeshard {
namespace {

/// That this database hands out no numbers, or hands them out already.
void RegistryError(std::string_view what)
{
    if (what == "no registry")
        ereport(
            ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("this database is no registry of node IDs"),
             errdetail("It has no numbers to hand out."),
             errhint("Create one with timeshard_create_registry(), or correct the connection. "
                     "See \"Create a registry\" in " TIMESHARD_MANUAL "doc/claimed-node-ids.md.")));
    if (what == "a registry")
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("this database is a registry of node IDs already"),
                        errhint("See timeshard_fleet for its numbers.")));
    if (what == "proof")
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("proof was not signed by this registry"),
                        errdetail("The claim is of another registry, or the proof is not what that "
                                  "registry returned."),
                        errhint("Correct the connection, or claim anew.")));
}

/// What an operator got wrong. `value` is the limit or the number, `given` what was given.
void OperatorError(std::string_view what, const char *value, const char *given)
{
    if (what == "numbers")
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("numbers must be between 0 and %s", value),
                        errdetail("They are %s.", given),
                        errhint("Give them as a range, such as '[100,999]'.")));
    if (what == "claim length")
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("claim length must be between 10 minutes and 1 year"),
                        errdetail("It is %s.", given),
                        errhint("See \"How long a claim lasts\" in " TIMESHARD_MANUAL
                                "doc/claimed-node-ids.md.")));
    if (what == "no rest")
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("number %s does not rest", value),
                        errdetail("Numbers rest after the registry has lost its memory."),
                        errhint("See timeshard_fleet for the numbers that do.")));
}

/// What a claimant got wrong.
void ClaimantError(std::string_view what, const char *value, const char *given)
{
    if (what == "not its numbers")
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("the registry has none of the numbers %s", given),
                        errdetail("Its numbers are %s.", value),
                        errhint("Ask for numbers that it has, or for any by null.")));
    if (what == "claim")
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("claimant, clock, node_id_bits and custom_epoch must be given"),
                        errdetail("A claimant is named by 1 to 200 characters.")));
    if (what == "extension")
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("claimant, clock and tag must be given"),
                 errdetail("A claimant is named by 1 to 200 characters, and a tag has 8 to 100.")));
    if (what == "end")
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("used_until must be given"),
                 errdetail("It is an offset that no ID of the claim reaches.")));
}

/// An argument that may be null, as a C string.
const char *Words(FunctionCallInfo fcinfo, int n)
{
    return PG_ARGISNULL(n) ? "null" : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

} // namespace

extern "C" {

PG_FUNCTION_INFO_V1(timeshard_registry_error);

/// timeshard_registry_error(what text, value text, given text) → void
Datum timeshard_registry_error(PG_FUNCTION_ARGS)
{
    const char *what = Words(fcinfo, 0);
    const char *value = Words(fcinfo, 1);
    const char *given = Words(fcinfo, 2);
    RegistryError(what);
    OperatorError(what, value, given);
    ClaimantError(what, value, given);
    elog(ERROR, "the registry has no error \"%s\"", what);
}
}

} // namespace timeshard
