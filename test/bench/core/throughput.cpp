/// What a call costs on average, and what threads that share one word take from
/// each other.
///
/// The first three are Google Benchmark's own loops in one thread. For many
/// threads its clock starts and stops in each of them, so that with more threads
/// than processors it finds rates that no layout allows; those are counted here,
/// between two moments while all threads run. Their real_time is the time between
/// two IDs of all threads together; counters tell the rest.

#include "session.hpp"

#include <atomic>
#include <barrier>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <deque>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>

namespace timeshard::bench {

double seconds_per_run = 0.2;

namespace {

constexpr int kBatch = 64; // calls between two looks at the end

void EmptyLoop(benchmark::State &state)
{
    std::uint64_t nothing = 0;
    for (auto _ : state)
        benchmark::DoNotOptimize(nothing);
}

void ClockReadingAlone(benchmark::State &state)
{
    for (auto _ : state) {
        ClockReading reading = SystemClock::Now();
        benchmark::DoNotOptimize(reading);
    }
}

void NextId(benchmark::State &state)
{
    SharedWord shared;
    Session session(shared, Layout(static_cast<int>(state.range(0))));
    for (auto _ : state)
        benchmark::DoNotOptimize(session.Next());
}

/// What a thread has done so far; each on cache lines of its own.
struct alignas(128) Tally
{
    std::atomic<std::int64_t> ids{0};
    std::atomic<std::int64_t> lost{0};
    std::atomic<std::int64_t> waits{0};
};

struct Sum
{
    double ids = 0;
    double lost = 0;
    double waits = 0;
    double wall_ns = 0;
    double processor_ns = 0;
};

double Nanoseconds(clockid_t clock)
{
    std::timespec now;
    clock_gettime(clock, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

Sum SumOf(const std::deque<Tally> &tallies)
{
    Sum sum;
    for (const Tally &tally : tallies) {
        sum.ids += static_cast<double>(tally.ids.load(std::memory_order_relaxed));
        sum.lost += static_cast<double>(tally.lost.load(std::memory_order_relaxed));
        sum.waits += static_cast<double>(tally.waits.load(std::memory_order_relaxed));
    }
    sum.wall_ns = Nanoseconds(CLOCK_MONOTONIC);
    sum.processor_ns = Nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
    return sum;
}

/// Runs `batch(tally)` over and over in so many threads. The threads' tallies are
/// read twice while all of them run, so that neither a late start nor a late end
/// counts.
template <typename Batch>
void Contend(benchmark::State &state, int threads, Batch batch)
{
    for (auto _ : state) {
        std::deque<Tally> tallies(static_cast<std::size_t>(threads));
        std::atomic<bool> stop{false};
        std::barrier start(threads + 1);
        std::vector<std::thread> running;
        for (int i = 0; i < threads; i++)
            running.emplace_back([&, i] {
                Tally &tally = tallies[static_cast<std::size_t>(i)];
                BindToProcessor(i);
                start.arrive_and_wait();
                while (!stop.load(std::memory_order_relaxed))
                    batch(tally);
            });
        start.arrive_and_wait();
        std::this_thread::sleep_for(std::chrono::duration<double>(seconds_per_run / 10));
        const Sum begin = SumOf(tallies);
        std::this_thread::sleep_for(std::chrono::duration<double>(seconds_per_run));
        const Sum end = SumOf(tallies);
        stop = true;
        for (std::thread &thread : running)
            thread.join();

        const double ids = end.ids - begin.ids;
        const double wall_ns = end.wall_ns - begin.wall_ns;
        state.SetIterationTime(wall_ns / ids / 1e9);
        state.counters["ids_per_second"] = ids / wall_ns * 1e9;
        state.counters["processor_ns_per_id"] = (end.processor_ns - begin.processor_ns) / ids;
        state.counters["lost_per_id"] = (end.lost - begin.lost) / ids;
        state.counters["waits_per_id"] = (end.waits - begin.waits) / ids;
    }
}

void Raise(std::atomic<std::int64_t> *counter, std::int64_t by)
{
    counter->store(counter->load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}

/// The least that a word which all threads raise can cost: one addition that
/// never fails.
void AddAlone(benchmark::State &state)
{
    SharedWord shared;
    Contend(state, static_cast<int>(state.range(0)), [&](Tally &tally) {
        for (int i = 0; i < kBatch; i++)
            benchmark::DoNotOptimize(shared.word.fetch_add(1));
        Raise(&tally.ids, kBatch);
    });
}

/// Load and exchange as the generator does, without its clock and its step.
void ExchangeAlone(benchmark::State &state)
{
    SharedWord shared;
    Contend(state, static_cast<int>(state.range(0)), [&](Tally &tally) {
        CountingAtomic atomic{shared.word};
        for (int i = 0; i < kBatch; i++) {
            std::uint64_t last = atomic.load();
            while (!atomic.compare_exchange_strong(last, last + 1)) {
            }
        }
        Raise(&tally.ids, kBatch);
        Raise(&tally.lost, atomic.lost);
    });
}

void Sessions(benchmark::State &state)
{
    const Layout layout(static_cast<int>(state.range(0)));
    SharedWord shared;
    Contend(state, static_cast<int>(state.range(1)), [&](Tally &tally) {
        Session session(shared, layout);
        for (int i = 0; i < kBatch; i++)
            benchmark::DoNotOptimize(session.Next());
        Raise(&tally.ids, kBatch);
        Raise(&tally.lost, session.Lost());
        Raise(&tally.waits, session.Waits());
    });
}

void Once(benchmark::internal::Benchmark *benchmark)
{
    WithExtremes(benchmark->Iterations(1)->UseManualTime());
}

BENCHMARK(EmptyLoop)->Apply(WithExtremes);
BENCHMARK(ClockReadingAlone)->Apply(WithExtremes);
BENCHMARK(NextId)
    ->ArgName("node_bits")
    ->Arg(1)
    ->Arg(10)
    ->Arg(12)
    ->UseRealTime()
    ->Apply(WithExtremes);
BENCHMARK(AddAlone)->ArgName("sessions")->RangeMultiplier(2)->Range(1, 32)->Apply(Once);
BENCHMARK(ExchangeAlone)->ArgName("sessions")->RangeMultiplier(2)->Range(1, 32)->Apply(Once);
BENCHMARK(Sessions)
    ->ArgNames({"node_bits", "sessions"})
    ->ArgsProduct({{1, 10, 12}, {1, 2, 4, 8, 16, 32}})
    ->Apply(Once);

} // namespace
} // namespace timeshard::bench
