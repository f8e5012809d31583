#pragma once

/// The only door to PostgreSQL's headers. Include it after the standard and
/// core headers: it redefines names such as snprintf, and turns ERROR and LOG
/// into numbers. Every difference between server versions is settled here.

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wregister"
#if defined(__clang__)
#pragma GCC diagnostic ignored "-Wdeprecated-register"
#pragma GCC diagnostic ignored "-Wignored-attributes" // gnu_printf, of a server built by gcc
#endif
#endif

extern "C" {
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "access/twophase.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "common/controldata_utils.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "port/atomics.h"
#include "port/pg_crc32c.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/pmsignal.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/inet.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
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

#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#if PG_VERSION_NUM < 150000
#error "Timeshard needs PostgreSQL 15 or later"
#endif

namespace timeshard::pg {

// The minor releases of November 2024 let a setting be defined inside a
// parallel operation, where a session's first call can be.
#ifdef GUC_ALLOW_IN_PARALLEL
inline constexpr int kAllowInParallel = GUC_ALLOW_IN_PARALLEL;
#else
inline constexpr int kAllowInParallel = 0;
#endif

/// For PG_RETURN_POINTER, which from 19 takes nothing that has no pointer's type.
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

/// The text that a placeholder has been given.
inline const char *TextOf(const config_generic &placeholder)
{
#if PG_VERSION_NUM >= 190000 // 19 made the record of a text a part of the common one
    return *placeholder._string.variable;
#else
    return *reinterpret_cast<const config_string *>(&placeholder)->variable;
#endif
}

// A virtual transaction ID, by which PostgreSQL knows a session's transaction: an
// owner, a number from 0 to MaxBackends - 1 that no other session has (negative
// if there is none), and a number that the owner counts, 0 outside transactions.
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

/// Has this session know the lock's name.
inline void NameLockTranche(int tranche, const char *name)
{
#if PG_VERSION_NUM >= 190000
    (void)tranche, (void)name;
#else
    LWLockRegisterTranche(tranche, name);
#endif
}

// How a tree of the parser is walked. 15 declares its callbacks without arguments,
// as C allowed then; g++ takes a cast by way of void (*)() for meant.
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

#if PG_VERSION_NUM >= 170000 // 17 lets extensions name what they wait for
inline uint32 NamedWaitEvent(uint32 &event, const char *name)
{
    if (event == 0)
        event = WaitEventExtensionNew(name);
    return event;
}
inline uint32 clock_wait_event = 0;
inline uint32 mark_wait_event = 0;
inline uint32 ClockWaitEvent()
{
    return NamedWaitEvent(clock_wait_event, "TimeshardClock");
}
inline uint32 MarkWaitEvent()
{
    return NamedWaitEvent(mark_wait_event, "TimeshardMark");
}
#else
inline uint32 ClockWaitEvent()
{
    return PG_WAIT_EXTENSION;
}
inline uint32 MarkWaitEvent()
{
    return PG_WAIT_EXTENSION;
}
#endif

} // namespace timeshard::pg
