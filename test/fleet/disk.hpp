#pragma once

#include "mark_record.hpp"

#include <cstdint>

namespace timeshard::fleet {

/// The file of the mark. A write that a crash cuts off leaves its slot torn.
class Disk
{
public:
    const MarkRecord *Newest() const
    {
        return Newer(IsSound(slots_[0]) ? &slots_[0] : nullptr,
                     IsSound(slots_[1]) ? &slots_[1] : nullptr);
    }

    void Write(const MarkRecord &record) { Slot(record.generation) = record; }
    void Copy(const MarkRecord &record) { Slot(record.generation + 1) = record; }
    void Tear(const MarkRecord &record) { Slot(record.generation) = MarkRecord{}; }
    void Lose() { slots_[0] = slots_[1] = MarkRecord{}; }

private:
    MarkRecord &Slot(std::uint64_t generation)
    {
        return slots_[MarkSlotOf(generation) / kMarkSlotSize];
    }

    MarkRecord slots_[2]{};
};

} // namespace timeshard::fleet
