#include "wait_events.hpp"

#include "compat.hpp"

namespace timeshard {
namespace {

uint32 clock_event = PG_WAIT_EXTENSION;
uint32 mark_event = PG_WAIT_EXTENSION;

} // namespace

void NameWaitEvents()
{
    clock_event = NewWaitEvent("TimeshardClock");
    mark_event = NewWaitEvent("TimeshardMark");
}

uint32 ClockWaitEvent()
{
    return clock_event;
}

uint32 MarkWaitEvent()
{
    return mark_event;
}

} // namespace timeshard
