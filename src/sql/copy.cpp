/// Lets COPY insert rows in batches when it leaves a key to its default.
///
/// PostgreSQL batches rows only if no default is volatile; it makes an exception for
/// nextval() alone. So each function that makes one ID has a stable twin, and while
/// COPY FROM plans the defaults, the twin takes the function's place. COPY evaluates a
/// default for each row, so each row still gets an ID of its own. Where PostgreSQL
/// evaluates a stable function once for many rows, as in ADD COLUMN, the twin must never
/// stand.

#include <cstring>
#include <limits>

#include "../server/compat.hpp"

#include "copy.hpp"

namespace timeshard {
namespace {

/// True while COPY FROM plans its defaults. It plans them one by one, with no query,
/// in a memory context called COPY. What else a session plans meanwhile, such as a
/// statement of a function that the planner evaluates, it plans in another context.
///
/// Neither the portal nor the progress report would tell: a nested COPY or a caught
/// error ends the report, and ADD COLUMN would pass for COPY.
bool CopyPlansItsDefaults(const SupportRequestSimplify *request)
{
    return request->root == nullptr && std::strcmp(CurrentMemoryContext->name, "COPY") == 0;
}

/// True if this is what the extension's script creates: C code, which only a superuser
/// can create, with the result of the original, and stable.
bool IsTwin(const FormData_pg_proc &found, const FormData_pg_proc &original)
{
    return found.prolang == ClanguageId && found.prorettype == original.prorettype &&
           found.provolatile == PROVOLATILE_STABLE;
}

/// The function of the original's schema with its name and "_in_copy", its arguments
/// and one more of type internal. Invalid if there is none: the extension's objects
/// can be older than the library, and an owner can rename or move a function.
Oid FindTwin(const FormData_pg_proc &original)
{
    NameData name;
    if (original.pronargs >= FUNC_MAX_ARGS)
        return InvalidOid;
    snprintf(NameStr(name), NAMEDATALEN, "%s_in_copy", NameStr(original.proname));

    Oid types[FUNC_MAX_ARGS];
    std::memcpy(types, original.proargtypes.values, original.pronargs * sizeof(Oid));
    types[original.pronargs] = INTERNALOID;
    HeapTuple found = SearchSysCache3(PROCNAMEARGSNSP, PointerGetDatum(NameStr(name)),
                                      PointerGetDatum(buildoidvector(types, original.pronargs + 1)),
                                      ObjectIdGetDatum(original.pronamespace));
    if (!HeapTupleIsValid(found))
        return InvalidOid;
    const auto *twin = reinterpret_cast<const FormData_pg_proc *>(GETSTRUCT(found));
    const Oid oid = IsTwin(*twin, original) ? twin->oid : InvalidOid;
    ReleaseSysCache(found);
    return oid;
}

/// The twin of a function, if the caller may execute both. Otherwise the call stays as
/// it is, so that nobody needs a right to the twin, and it brings nobody a right.
Oid UsableTwin(Oid function)
{
    HeapTuple found = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
    if (!HeapTupleIsValid(found))
        return InvalidOid;
    const Oid twin = FindTwin(*reinterpret_cast<const FormData_pg_proc *>(GETSTRUCT(found)));
    ReleaseSysCache(found);
    return OidIsValid(twin) && MayExecute(function) && MayExecute(twin) ? twin : InvalidOid;
}

/// The same call of the twin. Its last argument is of type internal, so that no SQL can
/// call it, and not null, because the prefix functions are strict.
Node *CallTwin(const FuncExpr *call, Oid twin)
{
    Const *unused =
        makeConst(INTERNALOID, -1, InvalidOid, sizeof(Datum), Int32GetDatum(1), false, true);
    FuncExpr *result =
        makeFuncExpr(twin, call->funcresulttype, lappend(list_copy(call->args), unused),
                     call->funccollid, call->inputcollid, call->funcformat);
    result->location = call->location;
    return reinterpret_cast<Node *>(result);
}

} // namespace

Node *SimplifyForCopy(const SupportRequestSimplify *request)
{
    if (!CopyPlansItsDefaults(request))
        return nullptr;
    const Oid twin = UsableTwin(request->fcall->funcid);
    return OidIsValid(twin) ? CallTwin(request->fcall, twin) : nullptr;
}

extern "C" {

PG_FUNCTION_INFO_V1(timeshard_in_copy_support);

/// The planner's support function of the twins: an infinite cost. When the planner
/// inlines an SQL function, it repeats an argument that the body uses twice, unless that
/// is volatile or expensive. The body would see two IDs instead of one.
Datum timeshard_in_copy_support(PG_FUNCTION_ARGS)
{
    auto *node = reinterpret_cast<Node *>(PG_GETARG_POINTER(0));
    if (!IsA(node, SupportRequestCost))
        PG_RETURN_POINTER(kNullPointer);
    auto *request = reinterpret_cast<SupportRequestCost *>(node);
    request->startup = 0;
    request->per_tuple = std::numeric_limits<Cost>::infinity();
    PG_RETURN_POINTER(request);
}
}

} // namespace timeshard
