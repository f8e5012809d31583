#pragma once

#include <cstdint>

#include "postgres.hpp"

/// The locks that the extension takes.
///
/// No error is raised while one is held. PostgreSQL sends an error to the client
/// before it releases the locks, and a client that does not read would keep the
/// lock from everybody. So code under a lock returns a status, and the caller
/// raises the error after the release. Messages for the log count as errors here:
/// client_min_messages can send them to the client.
namespace timeshard {

/// Guards the identity, the floor and the mark; part of the shared state. An
/// LWLock, so PostgreSQL releases it when the process ends, and a condition
/// variable, so that a session can wait for it and still answer a cancel, as it
/// could not inside LWLockAcquire.
struct StateLock
{
    LWLock lock;
    ConditionVariable released;
};

void InitialiseStateLock(StateLock &lock, int tranche);

/// Takes the lock if it is free. True if it was taken.
bool TryLock(StateLock &lock);

/// Releases the lock and wakes those who wait for it, the first to come first.
void Unlock(StateLock &lock);

/// One attempt of LockUnless(), and a wait for the next release. The caller calls
/// ConditionVariablePrepareToSleep() before the first.
void AwaitRelease(StateLock &lock);

/// Waits for the lock and takes it, or returns false, without it, as soon as
/// `needless()` is true: another session has done the work meanwhile. Answers a
/// cancel while it waits.
template <typename Needless>
bool LockUnless(StateLock &lock, Needless &&needless)
{
    if (TryLock(lock))
        return true;
    ConditionVariablePrepareToSleep(&lock.released);
    bool locked = TryLock(lock);
    while (!locked && !needless()) {
        AwaitRelease(lock);
        locked = TryLock(lock);
    }
    ConditionVariableCancelSleep();
    return locked;
}

/// Runs `work` under a lock of the server's. Where `work` cannot but call what may
/// raise an error, the lock is released before the error goes on its way.
template <typename Work>
void WithServerLock(LWLock *lock, LWLockMode mode, Work &&work)
{
    LWLockAcquire(lock, mode);
    PG_TRY();
    {
        work();
    }
    PG_CATCH();
    {
        // HOLD_INTERRUPTS: an error has reset the count that the release lowers.
        InterruptHoldoffCount = InterruptHoldoffCount + 1;
        LWLockRelease(lock);
        PG_RE_THROW();
    }
    PG_END_TRY();
    LWLockRelease(lock);
}

} // namespace timeshard
