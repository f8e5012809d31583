#include "mark_lock.hpp"

#include "postgres.hpp"

namespace timeshard::pg {
namespace {

constexpr long kLongestNapMs = 16;

} // namespace

void LockHeader(Header &header)
{
    long nap_ms = 0;
    while (!LWLockConditionalAcquire(&header.lock, LW_EXCLUSIVE))
        NapForMark(nap_ms);
}

void NapForMark(long &nap_ms)
{
    nap_ms = Min(nap_ms * 2 + 1, kLongestNapMs);
    WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, nap_ms, MarkWaitEvent());
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
}

} // namespace timeshard::pg
