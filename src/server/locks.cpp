#include "locks.hpp"

#include "compat.hpp"
#include "wait_events.hpp"

namespace timeshard {
namespace {

/// The longest sleep without a look at the lock. A release wakes every session that
/// waits, so this only serves against a release that PostgreSQL made by itself.
constexpr long kLongestSleepMs = 1000;

} // namespace

void InitialiseStateLock(StateLock &lock, int tranche)
{
    LWLockInitialize(&lock.lock, tranche);
    ConditionVariableInit(&lock.released);
}

bool TryLock(StateLock &lock)
{
    return LWLockConditionalAcquire(&lock.lock, LW_EXCLUSIVE);
}

void Unlock(StateLock &lock)
{
    LWLockRelease(&lock.lock);
    if (MyProc != nullptr) // not in the postmaster, at a start: nobody waits yet
        ConditionVariableBroadcast(&lock.released);
}

void AwaitRelease(StateLock &lock)
{
    ConditionVariableTimedSleep(&lock.released, kLongestSleepMs, MarkWaitEvent());
}

} // namespace timeshard
