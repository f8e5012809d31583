#pragma once

#include "clock.hpp"
#include "generator.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <ostream>
#include <string>
#include <utility>

namespace timeshard {

/// For GoogleTest's messages.
inline void PrintTo(const Step &step, std::ostream *out)
{
    *out << "status " << static_cast<int>(step.status) << ", word " << OffsetOf(step.word) << "/"
         << SequenceOf(step.word) << ", gap " << step.gap_ns << " ns";
}

inline bool operator==(const Step &a, const Step &b)
{
    return a.status == b.status && a.word == b.word && a.gap_ns == b.gap_ns;
}

} // namespace timeshard

namespace timeshard::test {

/// A reservation of all the time that there is.
inline constexpr std::int64_t kAllReserved = kMaxOffset + 1;

constexpr std::uint64_t Word(std::int64_t offset, std::int32_t sequence)
{
    return WordAt(offset) | static_cast<std::uint64_t>(sequence);
}

/// A stage on which the generator's races and clock steps are played step by
/// step. It holds one state word and one clock, keeps a log of what is done to
/// them (L load, C clock read, X exchange), and runs what is scripted for the
/// moment just before an event: a rival that issues, a clock that is set.
class Stage
{
public:
    std::uint64_t word;
    ClockReading now;

    Stage(std::uint64_t first_word, ClockReading first_reading)
        : word(first_word), now(first_reading)
    {}

    /// `act` runs just before event number `event`, counted from 0.
    void Before(std::size_t event, std::function<void()> act) { script_[event] = std::move(act); }

    /// `act` runs just before every event that has no script of its own.
    void BeforeEach(std::function<void()> act) { always_ = std::move(act); }

    const std::string &Log() const { return log_; }

    struct Atomic
    {
        Stage &stage;

        std::uint64_t load()
        {
            stage.Happen('L');
            return stage.word;
        }

        bool compare_exchange_strong(std::uint64_t &expected, std::uint64_t desired)
        {
            stage.Happen('X');
            if (stage.word != expected) {
                expected = stage.word;
                return false;
            }
            stage.word = desired;
            return true;
        }
    };

    struct Clock
    {
        Stage &stage;

        ClockReading Now()
        {
            stage.Happen('C');
            return stage.now;
        }
    };

private:
    void Happen(char event)
    {
        if (const auto scripted = script_.find(log_.size()); scripted != script_.end())
            scripted->second();
        else if (always_)
            always_();
        log_ += event;
    }

    std::map<std::size_t, std::function<void()>> script_;
    std::function<void()> always_;
    std::string log_;
};

} // namespace timeshard::test
