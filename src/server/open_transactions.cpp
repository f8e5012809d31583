#include "open_transactions.hpp"

#include "../core/position.hpp"

#include <cstring>

#include "compat.hpp"
#include "shared_memory.hpp"

namespace timeshard {
namespace {

constexpr char kName[] = "timeshard positions";

Positions *positions = nullptr; ///< this process's mapping

/// A prepared transaction as PostgreSQL keeps it: in a process entry without a
/// process, which holds the session's owner and number. The entry keeps its
/// contents after the transaction's end, until another transaction gets it.
struct Prepared
{
    TransactionId xid;
    int owner; ///< negative if it was prepared before the server's start
    LocalTransactionId number;
};

/// Reads the transaction ID first: PREPARE TRANSACTION fills it in last. It has no write
/// barrier there, so on a processor that reorders stores an entry of another session may
/// show the new ID with the old owner. Without the lock that is harmless: at worst
/// KeepIfPrepared() copies a position too many, which only holds the horizon back. It
/// never misses its own owner's transaction: that one was prepared by this process, or by
/// one that ended before this one started. With the lock the entry is whole, because
/// PostgreSQL adds it to the running transactions under that lock.
Prepared ReadPrepared(int index)
{
    const volatile PGPROC &entry = PreparedXactProcs[index];
    const TransactionId xid = entry.xid;
    pg_read_barrier();
    return {xid, OwnerOf(entry), LocalNumberOf(entry)};
}

/// True if PostgreSQL counts it among the running transactions. The caller holds
/// ProcArrayLock, which keeps it there. The ID alone does not tell: after 2^31
/// others, one that ended long ago compares as still to come.
bool IsOpen(int index, const Prepared &prepared)
{
    const PGPROC &entry = PreparedXactProcs[index];
    return TransactionIdIsValid(prepared.xid) && ProcGlobal->xids[entry.pgxactoff] == prepared.xid;
}

/// Keeps the position of this owner, which is about to be overwritten, if it is
/// that of a transaction that has been prepared and is still open.
void KeepIfPrepared(int owner, std::uint64_t position)
{
    for (int i = 0; i < max_prepared_xacts; i++) {
        const Prepared prepared = ReadPrepared(i);
        if (prepared.owner != owner || !IsOf(position, TagFor(prepared.number)))
            continue;
        LWLockAcquire(ProcArrayLock, LW_SHARED);
        if (IsOpen(i, prepared))
            KeepPosition(positions->OfPrepared(i), position, TagFor(prepared.xid));
        LWLockRelease(ProcArrayLock);
    }
}

/// The process whose transaction this one takes IDs for.
const PGPROC *Leader()
{
    return MyProc->lockGroupLeader != nullptr ? MyProc->lockGroupLeader : MyProc;
}

/// Counts a position if it belongs to the transaction with this tag. `session` is
/// null if that is prepared.
void Count(std::uint64_t position, std::uint64_t tag, const volatile PGPROC *session,
           OldestPosition *oldest)
{
    if (!IsOf(position, tag) || OffsetOfPosition(position) >= oldest->offset)
        return;
    oldest->offset = OffsetOfPosition(position);
    oldest->pid = session != nullptr ? session->pid : 0;
    oldest->role = session != nullptr ? session->roleId : InvalidOid;
}

void CountSessions(OldestPosition *oldest)
{
    for (int i = 0; i < MaxBackends; i++) {
        const volatile PGPROC &entry = ProcGlobal->allProcs[i];
        const int owner = OwnerOf(entry);
        const LocalTransactionId number = LocalNumberOf(entry);
        if (number == InvalidLocalTransactionId || owner < 0 || owner >= MaxBackends)
            continue;
        Count(positions->OfOwner(owner).load(), TagFor(number), &entry, oldest);
    }
}

/// Reads the slot before the copy, because a session that overwrites the slot makes
/// the copy first. Both count: the slot may belong to a later transaction with the
/// same tag.
void CountPrepared(OldestPosition *oldest)
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
        const std::uint64_t own = positions->OfOwner(prepared.owner).load();
        Count(own, TagFor(prepared.number), nullptr, oldest);
        const std::uint64_t copy = positions->OfPrepared(i).load();
        Count(copy, TagFor(prepared.xid), nullptr, oldest);
    }
    LWLockRelease(ProcArrayLock);
}

} // namespace

std::size_t PositionsSize()
{
    const Size count = static_cast<Size>(MaxBackends) + static_cast<Size>(max_prepared_xacts);
    return add_size(sizeof(Positions), mul_size(count, sizeof(std::uint64_t)));
}

bool AttachPositions()
{
    const Size size = PositionsSize();
    positions = FindOrMake<Positions>(
        kName, size, [=](Positions *made) { std::memset(static_cast<void *>(made), 0, size); });
    return positions != nullptr;
}

Positions &AttachedPositions()
{
    return *positions;
}

bool PublishOwnPosition(const std::atomic<std::uint64_t> &word)
{
    const PGPROC *leader = Leader();
    const int owner = OwnerOf(*leader);
    if (owner < 0 || owner >= MaxBackends)
        elog(ERROR, "timeshard: session without a number of its own");
    const bool published =
        PublishPosition(positions->OfOwner(owner), word, TagFor(LocalNumberOf(*leader)),
                        [=](std::uint64_t position) { KeepIfPrepared(owner, position); });
    return published && !IsInParallelMode();
}

void LiftOwnPosition(std::int64_t offset)
{
    LiftPosition(positions->OfOwner(OwnerOf(*MyProc)), offset, TagFor(LocalNumberOf(*MyProc)));
}

/// Scans sessions before prepared transactions: PostgreSQL fills in the entry of a
/// prepared transaction before it takes the transaction from the session.
///
/// The session's number is no atomic. The first barrier keeps its load behind the caller's
/// own ID. A transaction with a smaller ID set its number before it took that ID, and the
/// caller's exchange came after that one on the same word, so the number is seen. The
/// second barrier keeps the order of the scans: whoever finds the number cleared finds the
/// prepared entry, which was added under ProcArrayLock before. test/model/horizon.pml has
/// both (SLOTS_BEFORE_OWN_ID, DUMMIES_BEFORE_LIVE).
OldestPosition FindOldestPosition()
{
    OldestPosition oldest;
    pg_memory_barrier();
    CountSessions(&oldest);
    pg_memory_barrier();
    CountPrepared(&oldest);
    return oldest;
}

} // namespace timeshard
