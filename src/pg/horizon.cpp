#include "../core/horizon.hpp"

#include "horizon.hpp"

#include "postgres.hpp"

namespace timeshard::pg {
namespace {

/// A prepared transaction as PostgreSQL keeps it: in a process entry without a
/// process, which carries on the session's owner and number. The entry keeps what
/// it says when the transaction has ended, until another one gets it.
struct Prepared
{
    TransactionId xid;
    int owner; ///< negative if it was prepared before the server's start
    LocalTransactionId number;
};

/// The ID first: PREPARE TRANSACTION fills it in last.
Prepared ReadPrepared(int index)
{
    const volatile PGPROC &entry = PreparedXactProcs[index];
    const TransactionId xid = entry.xid;
    pg_read_barrier();
    return {xid, OwnerOf(entry), LocalNumberOf(entry)};
}

/// True if it is among the transactions that PostgreSQL takes for running, under
/// the lock of that array, which keeps it there. The ID alone does not tell: one
/// that ended long ago compares as one to come after 2^31 others.
bool IsOpen(int index, const Prepared &prepared)
{
    const PGPROC &entry = PreparedXactProcs[index];
    return TransactionIdIsValid(prepared.xid) && ProcGlobal->xids[entry.pgxactoff] == prepared.xid;
}

/// Keeps the position of this owner, which is about to be overwritten, if it is
/// that of a transaction that has been prepared and is still open.
void KeepIfPrepared(Positions &positions, int owner, std::uint64_t position)
{
    for (int i = 0; i < max_prepared_xacts; i++) {
        const Prepared prepared = ReadPrepared(i);
        if (prepared.owner != owner || !IsOf(position, TagFor(prepared.number)))
            continue;
        LWLockAcquire(ProcArrayLock, LW_SHARED);
        if (IsOpen(i, prepared))
            KeepPosition(positions.OfPrepared(i), position, TagFor(prepared.xid));
        LWLockRelease(ProcArrayLock);
    }
}

/// Whose transaction this process takes IDs for.
const PGPROC *Leader()
{
    return MyProc->lockGroupLeader != nullptr ? MyProc->lockGroupLeader : MyProc;
}

/// Counts a position, if it is of the transaction with this tag. `session` is null
/// where that is prepared.
void Count(std::uint64_t position, std::uint64_t tag, const volatile PGPROC *session,
           OldestPosition *oldest)
{
    if (!IsOf(position, tag) || OffsetOfPosition(position) >= oldest->offset)
        return;
    oldest->offset = OffsetOfPosition(position);
    oldest->pid = session != nullptr ? session->pid : 0;
    oldest->role = session != nullptr ? session->roleId : InvalidOid;
}

void CountSessions(Positions &positions, OldestPosition *oldest)
{
    for (int i = 0; i < MaxBackends; i++) {
        const volatile PGPROC &entry = ProcGlobal->allProcs[i];
        const int owner = OwnerOf(entry);
        const LocalTransactionId number = LocalNumberOf(entry);
        if (number == InvalidLocalTransactionId || owner < 0 || owner >= MaxBackends)
            continue;
        Count(positions.OfOwner(owner).load(), TagFor(number), &entry, oldest);
    }
}

/// The slot before the copy: who overwrites the slot has made the copy before. Both
/// count: the slot may be a later transaction's with the same tag.
void CountPrepared(Positions &positions, OldestPosition *oldest)
{
    if (max_prepared_xacts == 0)
        return;
    LWLockAcquire(ProcArrayLock, LW_SHARED);
    for (int i = 0; i < max_prepared_xacts; i++) {
        const Prepared prepared = ReadPrepared(i);
        if (!IsOpen(i, prepared))
            continue;
        if (prepared.owner < 0) {
            oldest->prepared_earlier = prepared.xid;
            continue;
        }
        const std::uint64_t own = positions.OfOwner(prepared.owner).load();
        Count(own, TagFor(prepared.number), nullptr, oldest);
        const std::uint64_t copy = positions.OfPrepared(i).load();
        Count(copy, TagFor(prepared.xid), nullptr, oldest);
    }
    LWLockRelease(ProcArrayLock);
}

} // namespace

bool PublishOwnPosition(SharedState &state)
{
    Positions &positions = AttachedPositions();
    const PGPROC *leader = Leader();
    const int owner = OwnerOf(*leader);
    if (owner < 0 || owner >= MaxBackends)
        elog(ERROR, "timeshard: session without a number of its own");
    const bool published = PublishPosition(
        positions.OfOwner(owner), state.word, TagFor(LocalNumberOf(*leader)),
        [&](std::uint64_t position) { KeepIfPrepared(positions, owner, position); });
    return published && !IsInParallelMode();
}

void RaiseOwnPosition(std::int64_t offset)
{
    RaisePosition(AttachedPositions().OfOwner(OwnerOf(*MyProc)), offset,
                  TagFor(LocalNumberOf(*MyProc)));
}

/// Sessions before prepared transactions: PostgreSQL makes the entry of a prepared
/// one before it takes the transaction from the session.
OldestPosition FindOldestPosition()
{
    Positions &positions = AttachedPositions();
    OldestPosition oldest;
    pg_memory_barrier();
    CountSessions(positions, &oldest);
    pg_memory_barrier();
    CountPrepared(positions, &oldest);
    return oldest;
}

} // namespace timeshard::pg
