#pragma once

#include "layout.hpp"
#include "wrong_clock.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

/// What is asked of the fleet's IDs. It knows nothing of how they were made: they
/// are 64-bit numbers that come in the order of true time.
namespace timeshard::fleet {

/// A set of numbers, exact: one bit for each that there can be. Only those of a
/// window are kept, since an ID of another time than its own is a fault anyway; the
/// window moves on with true time.
class Window
{
public:
    /// The numbers of `milliseconds` (a power of two), 2^22 of each.
    explicit Window(std::int64_t milliseconds)
        : slices_(milliseconds), bits_(static_cast<std::size_t>(milliseconds) * kWordsOfSlice)
    {}

    /// Drops what lies before `oldest`, a millisecond since the epoch.
    void MoveTo(std::int64_t oldest)
    {
        oldest_ = std::max(oldest_, oldest - slices_); // all that it has is cleared then
        for (; oldest_ < oldest; oldest_++) {
            const auto begin = bits_.begin() + static_cast<std::ptrdiff_t>(SliceOf(oldest_));
            std::fill(begin, begin + kWordsOfSlice, 0);
        }
    }

    bool Covers(std::int64_t id) const
    {
        const std::int64_t ms = id >> kLowerBits;
        return ms >= oldest_ && ms < oldest_ + slices_;
    }

    /// False if it is there already. The window must cover it.
    bool Insert(std::int64_t id)
    {
        const auto place = static_cast<std::uint64_t>(id) & ((1u << kLowerBits) - 1);
        std::uint64_t &word = bits_[SliceOf(id >> kLowerBits) + place / 64];
        const std::uint64_t bit = std::uint64_t{1} << place % 64;
        const bool is_new = (word & bit) == 0;
        word |= bit;
        return is_new;
    }

private:
    static constexpr std::size_t kWordsOfSlice = (std::size_t{1} << kLowerBits) / 64;

    std::size_t SliceOf(std::int64_t ms) const
    {
        return static_cast<std::size_t>(ms & (slices_ - 1)) * kWordsOfSlice;
    }

    std::int64_t slices_;
    std::int64_t oldest_ = 0;
    std::vector<std::uint64_t> bits_;
};

/// The longest time by which a number came after a larger one.
class Disorder
{
public:
    /// Of pairs further apart than `reach_ns` only the latest part is measured.
    explicit Disorder(std::int64_t reach_ns) : reach_ns_(reach_ns) {}

    void Add(std::int64_t at_ns, std::int64_t id)
    {
        // Of the numbers made longer ago than the longest disorder so far, the
        // largest: only one below it can be a longer one.
        while (next_ < records_.size() && records_[next_].at_ns < at_ns - longest_ns_)
            next_++;
        if (next_ > 0 && records_[next_ - 1].id > id)
            Measure(at_ns, id);
        if (records_.empty() || id > records_.back().id)
            records_.push_back({at_ns, id});
        if (records_.size() >= kMany)
            Forget(at_ns);
    }

    std::int64_t LongestNs() const { return longest_ns_; }

private:
    static constexpr std::size_t kMany = 4000000;

    struct Record
    {
        std::int64_t at_ns;
        std::int64_t id;
    };

    void Measure(std::int64_t at_ns, std::int64_t id)
    {
        const auto first = std::upper_bound(
            records_.begin(), records_.end(), id,
            [](std::int64_t number, const Record &record) { return number < record.id; });
        longest_ns_ = at_ns - first->at_ns;
        next_ = static_cast<std::size_t>(first - records_.begin());
    }

    void Forget(std::int64_t at_ns)
    {
        std::size_t old = 0;
        while (old < next_ && records_[old].at_ns < at_ns - reach_ns_)
            old++;
        records_.erase(records_.begin(), records_.begin() + static_cast<std::ptrdiff_t>(old));
        next_ -= old;
    }

    std::int64_t reach_ns_;
    std::int64_t longest_ns_ = 0;
    std::vector<Record> records_; ///< numbers larger than all before them
    std::size_t next_ = 0;        ///< the first that is not older than longest_ns_
};

/// The check of a fleet whose clocks are promised to be wrong by no more than
/// `bound_ns`, either way.
class Check
{
public:
    explicit Check(std::int64_t bound_ns)
        : bound_ns_(bound_ns),
          milliseconds_(Slices(bound_ns)),
          window_(milliseconds_),
          disorder_(8 * bound_ns + 100 * kMs)
    {}

    /// An ID and the true time at which it was made, which never falls.
    void Add(std::int64_t at_ns, std::int64_t id)
    {
        ids_++;
        const std::int64_t now_ns = kBegin * kMs + at_ns;
        const std::int64_t first_ns = (id >> kLowerBits) * kMs;
        window_.MoveTo((now_ns + bound_ns_) / kMs + 1 - milliseconds_);
        if (first_ns > now_ns + bound_ns_ || first_ns + kMs <= now_ns - bound_ns_ ||
            !window_.Covers(id))
            beyond_++;
        else if (!window_.Insert(id))
            alike_++;
        disorder_.Add(at_ns, id);
    }

    std::int64_t Ids() const { return ids_; }

    /// IDs that were there before.
    std::int64_t Alike() const { return alike_; }

    /// IDs whose millisecond is further from true time than the bound.
    std::int64_t Beyond() const { return beyond_; }

    std::int64_t DisorderNs() const { return disorder_.LongestNs(); }

    /// By how much two clocks differ at most, and the millisecond to which an ID
    /// is rounded down.
    std::int64_t MostDisorderNs() const { return 2 * bound_ns_ + kMs; }

    bool Holds() const { return alike_ == 0 && beyond_ == 0 && DisorderNs() < MostDisorderNs(); }

private:
    /// Enough for every ID that is not beyond the bound, as a power of two.
    static std::int64_t Slices(std::int64_t bound_ns)
    {
        std::int64_t slices = 4;
        while (slices < 2 * bound_ns / kMs + 3)
            slices *= 2;
        return slices;
    }

    std::int64_t bound_ns_;
    std::int64_t milliseconds_;
    Window window_;
    Disorder disorder_;
    std::int64_t ids_ = 0;
    std::int64_t alike_ = 0;
    std::int64_t beyond_ = 0;
};

} // namespace timeshard::fleet
