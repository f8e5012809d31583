/// The registry of node IDs. What it does is SQL, in sql/timeshard_registry.sql; here
/// is what SQL cannot do: act as the owner of the tables, be durable, and sign.

#include "../server/compat.hpp"

namespace timeshard {
namespace {

/// A registry that can forget what it has answered would give a number twice.
void RequireDurability()
{
    if (!enableFsync)
        ereport(ERROR,
                (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                 errmsg("a registry of node IDs needs fsync"),
                 errdetail("After a crash it would give numbers away that others still hold."),
                 errhint("Set fsync = on and reload the server's configuration.")));
    ForceSyncCommit(); // whatever the caller has set; what follows counts for standbys
    if (synchronous_commit < SYNCHRONOUS_COMMIT_ON)
        set_config_option("synchronous_commit", "on", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL,
                          true, 0, false);
}

/// The statement that calls the SQL function NAME_as_owner, which stands beside the
/// called function NAME and takes the same arguments.
const char *StatementFor(const FormData_pg_proc &called)
{
    StringInfoData statement;
    initStringInfo(&statement);
    const char *inner = psprintf("%s_as_owner", NameStr(called.proname));
    appendStringInfo(&statement, "SELECT %s(",
                     quote_qualified_identifier(get_namespace_name(called.pronamespace), inner));
    for (int i = 0; i < called.pronargs; i++)
        appendStringInfo(&statement, i == 0 ? "$%d" : ", $%d", i + 1);
    appendStringInfoChar(&statement, ')');
    return statement.data;
}

/// The answer of that statement. SPI is connected.
Datum Ask(FunctionCallInfo fcinfo, const FormData_pg_proc &called)
{
    Datum values[FUNC_MAX_ARGS];
    char nulls[FUNC_MAX_ARGS];
    for (int i = 0; i < called.pronargs; i++) {
        values[i] = fcinfo->args[i].value;
        nulls[i] = fcinfo->args[i].isnull ? 'n' : ' ';
    }
    Oid *types = const_cast<Oid *>(called.proargtypes.values);
    const int status = SPI_execute_with_args(StatementFor(called), called.pronargs, types, values,
                                             nulls, false, 1);
    if (status != SPI_OK_SELECT || SPI_processed != 1)
        elog(ERROR, "the registry's function gave no answer: %d", status);
    const TupleDesc row = SPI_tuptable->tupdesc;
    // Its owner can replace it by a function with another result.
    if (SPI_gettypeid(row, 1) != called.prorettype)
        elog(ERROR, "function %s_as_owner has another result than %s", NameStr(called.proname),
             NameStr(called.proname));
    const Datum answer = SPI_getbinval(SPI_tuptable->vals[0], row, 1, &fcinfo->isnull);
    if (fcinfo->isnull)
        return 0;
    const Form_pg_attribute column = TupleDescAttr(row, 0);
    return SPI_datumTransfer(answer, column->attbyval, column->attlen);
}

/// Runs NAME_as_owner with the rights of the called function's owner. An error needs no
/// care: the end of the (sub)transaction restores user and settings.
Datum RunAsOwner(FunctionCallInfo fcinfo)
{
    const HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(fcinfo->flinfo->fn_oid));
    if (!HeapTupleIsValid(tuple))
        elog(ERROR, "cache lookup failed for function %u", fcinfo->flinfo->fn_oid);
    const auto &called = *reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple));

    Oid user;
    int context;
    GetUserIdAndSecContext(&user, &context);
    SetUserIdAndSecContext(called.proowner, context | SECURITY_LOCAL_USERID_CHANGE);
    const int settings = NewGUCNestLevel();
    set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
                      GUC_ACTION_SAVE, true, 0, false);
    SPI_connect();
    const Datum answer = Ask(fcinfo, called);
    SPI_finish();
    AtEOXact_GUC(false, settings);
    SetUserIdAndSecContext(user, context);
    ReleaseSysCache(tuple);
    return answer;
}

} // namespace

extern "C" {

PG_FUNCTION_INFO_V1(timeshard_registry_change);
PG_FUNCTION_INFO_V1(timeshard_registry_alone);
PG_FUNCTION_INFO_V1(timeshard_registry_read);
PG_FUNCTION_INFO_V1(timeshard_hmac);

/// Runs NAME_as_owner, which changes the registry.
Datum timeshard_registry_change(PG_FUNCTION_ARGS)
{
    PreventCommandDuringRecovery("a change of the registry");
    RequireDurability();
    return RunAsOwner(fcinfo);
}

/// The same for an answer that the caller acts on, so that nothing may undo it.
Datum timeshard_registry_alone(PG_FUNCTION_ARGS)
{
    if (IsTransactionBlock() || IsSubTransaction())
        ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
                        errmsg("claims cannot be made or changed inside a transaction block"),
                        errdetail("A rollback would give the number to another claimant while "
                                  "this one issues IDs."),
                        errhint("Turn autocommit on for this connection.")));
    return timeshard_registry_change(fcinfo);
}

/// Runs NAME_as_owner, which reads the registry.
Datum timeshard_registry_read(PG_FUNCTION_ARGS)
{
    return RunAsOwner(fcinfo);
}

/// timeshard_hmac(key bytea, message bytea) → bytea: HMAC with SHA-256 (RFC 2104). The
/// extension's owner can make it non-strict.
Datum timeshard_hmac(PG_FUNCTION_ARGS)
{
    if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
        PG_RETURN_NULL();
    const bytea *key = PG_GETARG_BYTEA_PP(0);
    const bytea *message = PG_GETARG_BYTEA_PP(1);
    auto *result = static_cast<bytea *>(palloc(VARHDRSZ + PG_SHA256_DIGEST_LENGTH));
    SET_VARSIZE(result, VARHDRSZ + PG_SHA256_DIGEST_LENGTH);

    pg_hmac_ctx *hmac = pg_hmac_create(PG_SHA256);
    const auto bytes = [](const bytea *value) {
        return reinterpret_cast<const uint8 *>(VARDATA_ANY(value));
    };
    if (hmac == nullptr || pg_hmac_init(hmac, bytes(key), VARSIZE_ANY_EXHDR(key)) < 0 ||
        pg_hmac_update(hmac, bytes(message), VARSIZE_ANY_EXHDR(message)) < 0 ||
        pg_hmac_final(hmac, reinterpret_cast<uint8 *>(VARDATA(result)), PG_SHA256_DIGEST_LENGTH) <
            0)
        elog(ERROR, "could not compute HMAC: %s", pg_hmac_error(hmac));
    pg_hmac_free(hmac);
    PG_RETURN_BYTEA_P(result);
}
}

} // namespace timeshard
