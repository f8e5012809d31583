#pragma once

#include "postgres.hpp"

/// What differs between server versions, and nothing else.

extern "C" {
#if PG_VERSION_NUM >= 160000 // 16 moved the varlena macros out of postgres.h
#include "varatt.h"
#endif

PGDLLEXPORT void _PG_init(void); // declared in fmgr.h from 16
}

// What the server checks when it loads the library. 18 lets it carry its name and
// version too, which pg_get_loaded_modules() shows.
#if PG_VERSION_NUM >= 180000
#define TIMESHARD_MODULE_MAGIC                                                                     \
    PG_MODULE_MAGIC_EXT(.name = "timeshard", .version = TIMESHARD_VERSION)
#else
#define TIMESHARD_MODULE_MAGIC PG_MODULE_MAGIC
#endif

namespace timeshard {

// The minor releases of November 2024 let a setting be defined inside a
// parallel operation, where a session's first call can be.
#ifdef GUC_ALLOW_IN_PARALLEL
inline constexpr int kAllowInParallel = GUC_ALLOW_IN_PARALLEL;
#else
inline constexpr int kAllowInParallel = 0;
#endif

/// For PG_RETURN_POINTER, which from 19 on needs a value of a pointer's type.
inline constexpr void *kNullPointer = nullptr;

/// The record of a configuration variable or placeholder, null if there is
/// none. Names compare as the server compares them, whatever the case.
inline config_generic *FindVariable(const char *name)
{
#if PG_VERSION_NUM >= 160000 // 16 made find_option public
    return find_option(name, false, true, DEBUG5);
#else
    config_generic **variables = get_guc_variables();
    for (int i = 0; i < GetNumConfigOptions(); i++)
        if (pg_strcasecmp(variables[i]->name, name) == 0)
            return variables[i];
    return nullptr;
#endif
}

/// Calls `look` with the record of each variable and placeholder.
template <typename Look>
void ForEachVariable(Look &&look)
{
#if PG_VERSION_NUM >= 160000 // 16 put them into a hash table
    int count;
    config_generic **variables = get_guc_variables(&count);
#else
    config_generic **variables = get_guc_variables();
    const int count = GetNumConfigOptions();
#endif
    for (int i = 0; i < count; i++)
        look(*variables[i]);
}

/// The text that a placeholder has been given.
inline const char *TextOf(const config_generic &placeholder)
{
#if PG_VERSION_NUM >= 190000 // 19 moved the string's part into the common record
    return *placeholder._string.variable;
#else
    return *reinterpret_cast<const config_string *>(&placeholder)->variable;
#endif
}

// A virtual transaction ID, by which PostgreSQL knows a session's transaction: an
// owner, a number from 0 to MaxBackends - 1 that no other session has (negative if
// there is none), and a number that the owner counts, 0 outside transactions.
// 17 moved both and counts owners by process entries.
#if PG_VERSION_NUM >= 170000
inline int OwnerOf(const volatile PGPROC &entry)
{
    return entry.vxid.procNumber;
}
inline LocalTransactionId LocalNumberOf(const volatile PGPROC &entry)
{
    return entry.vxid.lxid;
}
#else
inline int OwnerOf(const volatile PGPROC &entry)
{
    return entry.backendId - 1;
}
inline LocalTransactionId LocalNumberOf(const volatile PGPROC &entry)
{
    return entry.lxid;
}
#endif

/// A number for a kind of lock. From 19 the name goes with it, for every session.
inline int NewLockTranche(const char *name)
{
#if PG_VERSION_NUM >= 190000
    return LWLockNewTrancheId(name);
#else
    (void)name;
    return LWLockNewTrancheId();
#endif
}

/// Tells this session the lock's name.
inline void NameLockTranche(int tranche, const char *name)
{
#if PG_VERSION_NUM >= 190000
    (void)tranche, (void)name;
#else
    LWLockRegisterTranche(tranche, name);
#endif
}

// How a parse tree is walked. 15 declares its callbacks without arguments, as C
// allowed then; g++ accepts the cast without a warning by way of void (*)().
using Walker = bool (*)(Node *, void *);
#if PG_VERSION_NUM >= 160000
inline Walker AsServersWalker(Walker walker)
{
    return walker;
}
#else
inline bool (*AsServersWalker(Walker walker))()
{
    return reinterpret_cast<bool (*)()>(reinterpret_cast<void (*)()>(walker));
}
#endif

/// An SQL fragment: the support function of a B-tree on bigint for skip scans, new in 18.
#if PG_VERSION_NUM >= 180000
inline constexpr char kSkipSupportOfBigint[] =
    ", FUNCTION 6 pg_catalog.btint8skipsupport(pg_catalog.internal)";
#else
inline constexpr char kSkipSupportOfBigint[] = "";
#endif

// What the current role may do. 16 has one function for the rights on every kind of object.
#if PG_VERSION_NUM >= 160000
inline bool MayExecute(Oid function)
{
    return object_aclcheck(ProcedureRelationId, function, GetUserId(), ACL_EXECUTE) == ACLCHECK_OK;
}
inline bool MayCreateIn(Oid schema)
{
    return object_aclcheck(NamespaceRelationId, schema, GetUserId(), ACL_CREATE) == ACLCHECK_OK;
}
inline bool OwnsType(Oid type)
{
    return object_ownercheck(TypeRelationId, type, GetUserId());
}
#else
inline bool MayExecute(Oid function)
{
    return pg_proc_aclcheck(function, GetUserId(), ACL_EXECUTE) == ACLCHECK_OK;
}
inline bool MayCreateIn(Oid schema)
{
    return pg_namespace_aclcheck(schema, GetUserId(), ACL_CREATE) == ACLCHECK_OK;
}
inline bool OwnsType(Oid type)
{
    return pg_type_ownercheck(type, GetUserId());
}
#endif

/// Raises the error of an input function. From 16 the caller can ask to have it returned
/// instead, as COPY ... ON_ERROR does; then this returns from the function.
#if PG_VERSION_NUM >= 160000
#define TIMESHARD_INPUT_ERROR(fcinfo, ...) ereturn((fcinfo)->context, Datum{0}, __VA_ARGS__)
#else
#define TIMESHARD_INPUT_ERROR(fcinfo, ...) ereport(ERROR, (__VA_ARGS__))
#endif

/// A wait event of this name: 17 lets extensions name what they wait for. Raises no
/// error: where the server has no name left, and before 17, it is the plain
/// Extension. The caller holds no LWLock.
inline uint32 NewWaitEvent(const char *name)
{
#if PG_VERSION_NUM >= 170000
    volatile uint32 event = PG_WAIT_EXTENSION;
    const MemoryContext context = CurrentMemoryContext;
    PG_TRY();
    {
        event = WaitEventExtensionNew(name);
    }
    PG_CATCH();
    {
        LWLockReleaseAll(); // the server's own, which that error leaves locked
        MemoryContextSwitchTo(context);
        FlushErrorState();
    }
    PG_END_TRY();
    return event;
#else
    (void)name;
    return PG_WAIT_EXTENSION;
#endif
}

} // namespace timeshard
