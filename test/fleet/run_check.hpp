#pragma once

#include "layout.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace timeshard::fleet {

/// Finds IDs that were made twice, exactly, by clocks that may show anything. It keeps IDs as
/// runs of neighbours, each with the claim that it was made by.
class RunCheck
{
public:
    explicit RunCheck(Layout layout) : layout_(layout) {}

    void Add(std::int64_t first, std::int32_t count, std::uint32_t claim)
    {
        ids_ += count;
        const bool follows = !runs_.empty() && runs_.back().claim == claim &&
                             runs_.back().first + runs_.back().count == first;
        if (follows)
            runs_.back().count += count;
        else
            runs_.push_back({first, count, claim});
    }

    /// Compares all that were added. To be called before the answers below.
    void Finish()
    {
        std::sort(runs_.begin(), runs_.end(), [this](const Run &a, const Run &b) {
            const std::int32_t number = layout_.Split(a.first).node_id;
            const std::int32_t other = layout_.Split(b.first).node_id;
            return number != other ? number < other : a.first < b.first;
        });
        std::vector<bool> ended; // claims that another's ID has followed
        Run reach{-1, 0, 0};     // the one that ends last, of its number so far
        for (const Run &run : runs_) {
            Compare(reach, run);
            if (run.claim >= ended.size())
                ended.resize(run.claim + 1, false);
            mixed_ += ended[run.claim] ? 1 : 0;
            if (reach.count > 0 && reach.claim != run.claim)
                ended[reach.claim] = true;
            if (run.first + run.count > reach.first + reach.count || !SameNumber(run, reach))
                reach = run;
        }
    }

    std::int64_t Ids() const { return ids_; }

    /// IDs that were there before, by another claim or by the same.
    std::int64_t Alike() const { return alike_; }

    /// IDs that were there before, made by a clone of the memory of the same claim.
    std::int64_t ClonesAlike() const { return clones_alike_; }

    /// Runs of a claim above another's of the same number, of which a run comes later still:
    /// the two came near each other, whether an ID repeats or not.
    std::int64_t Mixed() const { return mixed_; }

    /// A claim of which the memory was cloned: the two may make the same IDs.
    void NoteClones(std::uint32_t claim)
    {
        cloned_.resize(std::max<std::size_t>(cloned_.size(), claim + 1), false);
        cloned_[claim] = true;
    }

private:
    struct Run
    {
        std::int64_t first;
        std::int32_t count;
        std::uint32_t claim;
    };

    bool SameNumber(const Run &a, const Run &b) const
    {
        return layout_.Split(a.first).node_id == layout_.Split(b.first).node_id;
    }

    void Compare(const Run &reach, const Run &run)
    {
        const std::int64_t common =
            std::min<std::int64_t>(reach.first + reach.count - run.first, run.count);
        if (common <= 0 || reach.count == 0 || !SameNumber(reach, run))
            return;
        const bool clones =
            reach.claim == run.claim && run.claim < cloned_.size() && cloned_[run.claim];
        (clones ? clones_alike_ : alike_) += common;
    }

    Layout layout_;
    std::vector<Run> runs_;
    std::vector<bool> cloned_;
    std::int64_t ids_ = 0;
    std::int64_t alike_ = 0;
    std::int64_t clones_alike_ = 0;
    std::int64_t mixed_ = 0;
};

} // namespace timeshard::fleet
