#pragma once

#include "clock.hpp"
#include "generator.hpp"
#include "layout.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <ctime>
#include <sched.h>

#include <benchmark/benchmark.h>

namespace timeshard::bench {

/// How long each run of many sessions lasts, after a tenth of it to get going.
extern double seconds_per_run;

/// Binds the calling thread to the processors that the program may use, in turn.
/// Without it the scheduler can leave two threads on one processor for a whole
/// run, and they never contend.
inline void BindToProcessor(int thread)
{
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return;
    int turn = thread % CPU_COUNT(&allowed);
    for (int processor = 0; processor < CPU_SETSIZE; processor++)
        if (CPU_ISSET(processor, &allowed) && turn-- == 0) {
            cpu_set_t one;
            CPU_ZERO(&one);
            CPU_SET(processor, &one);
            sched_setaffinity(0, sizeof one, &one);
        }
}

/// The state word, alone on its cache lines as it is in the server.
struct alignas(128) SharedWord
{
    std::atomic<std::uint64_t> word{0};
};

/// The generator's atomic, which also counts the exchanges that another thread won.
struct CountingAtomic
{
    std::atomic<std::uint64_t> &word;
    std::int64_t lost = 0;

    std::uint64_t load() const { return word.load(); }

    bool compare_exchange_strong(std::uint64_t &expected, std::uint64_t desired)
    {
        if (word.compare_exchange_strong(expected, desired)) [[likely]]
            return true;
        lost++;
        return false;
    }
};

/// Takes IDs as a session of the server does: it sleeps through the rest of a
/// millisecond that is used up, in whole microseconds.
class Session
{
public:
    Session(SharedWord &shared, Layout layout)
        : atomic_{shared.word}, max_sequence_(layout.MaxSequence())
    {}

    std::uint64_t Next()
    {
        for (;;) {
            const Step step =
                TakeNext(atomic_, SystemClock{}, kDefaultEpoch, max_sequence_, kMaxOffset + 1);
            if (step.status == Status::kIssued) [[likely]]
                return step.word;
            Wait(step.gap_ns);
        }
    }

    std::int64_t Lost() const { return atomic_.lost; }
    std::int64_t Waits() const { return waits_; }

private:
    [[gnu::noinline]] void Wait(std::int64_t gap_ns)
    {
        const std::int64_t ns = (std::min(gap_ns, kNanosecondsPerMillisecond) + 999) / 1000 * 1000;
        const std::timespec rest = {ns / 1000000000, static_cast<long>(ns % 1000000000)};
        nanosleep(&rest, nullptr);
        waits_++;
    }

    CountingAtomic atomic_;
    std::int32_t max_sequence_;
    std::int64_t waits_ = 0;
};

/// Applied to a benchmark: the least and the greatest of its repetitions, beside
/// Google Benchmark's own median.
inline void WithExtremes(benchmark::internal::Benchmark *benchmark)
{
    benchmark
        ->ComputeStatistics(
            "min",
            [](const auto &values) { return *std::min_element(values.begin(), values.end()); })
        ->ComputeStatistics("max", [](const auto &values) {
            return *std::max_element(values.begin(), values.end());
        });
}

} // namespace timeshard::bench
