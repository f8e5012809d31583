/// How long single calls take, each timed by itself. The percentiles are
/// counters, in ns, with the timer's own cost in them: LatencyOfNothing shows it.
/// An entry's real_time is the mean.

#include "session.hpp"

#include <algorithm>
#include <barrier>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <thread>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace timeshard::bench {
namespace {

constexpr std::size_t kSamples = 1000000; // of all threads together

std::int64_t SteadyNanoseconds()
{
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

/// A reading of the timer, fenced so that the call stays between two of them.
inline std::int64_t Ticks()
{
#if defined(__x86_64__)
    _mm_lfence();
    const auto ticks = static_cast<std::int64_t>(__rdtsc());
    _mm_lfence();
    return ticks;
#else
    return SteadyNanoseconds();
#endif
}

/// Times `count` calls, in ticks. A thread that moves to another processor can
/// see its counter go back by a little.
template <typename Call>
std::vector<std::int64_t> TimesOf(std::size_t count, Call &&call)
{
    std::vector<std::int64_t> times(count);
    for (std::int64_t &time : times) {
        const std::int64_t before = Ticks();
        call();
        time = std::max<std::int64_t>(Ticks() - before, 0);
    }
    return times;
}

/// Adds the percentiles of `times` to the report, and the timer's step: processors
/// let the counter jump.
void Report(benchmark::State &state, std::vector<std::int64_t> times, double ns_per_tick)
{
    std::sort(times.begin(), times.end());
    const auto at = [&](double share) {
        const auto place = static_cast<std::size_t>(share * static_cast<double>(times.size() - 1));
        return static_cast<double>(times[place]) * ns_per_tick;
    };
    const std::int64_t median = times[times.size() / 2];
    const auto next = std::upper_bound(times.begin(), times.end(), median);
    const double mean =
        static_cast<double>(std::accumulate(times.begin(), times.end(), std::int64_t{0})) /
        static_cast<double>(times.size()) * ns_per_tick;

    state.SetIterationTime(mean / 1e9);
    state.counters["mean_ns"] = mean;
    state.counters["p50_ns"] = at(0.5);
    state.counters["p90_ns"] = at(0.9);
    state.counters["p95_ns"] = at(0.95);
    state.counters["p99_ns"] = at(0.99);
    state.counters["p99.9_ns"] = at(0.999);
    state.counters["max_ns"] = at(1);
    state.counters["timer_step_ns"] =
        next == times.end() ? 0 : static_cast<double>(*next - median) * ns_per_tick;
    state.counters["samples"] = static_cast<double>(times.size());
}

/// Runs `times_of_thread` in so many threads at once and reports what they give.
template <typename Body>
void Sample(benchmark::State &state, std::size_t threads, Body times_of_thread)
{
    for (auto _ : state) {
        std::vector<std::vector<std::int64_t>> parts(threads);
        std::barrier start(static_cast<std::ptrdiff_t>(threads));
        std::vector<std::thread> running;
        const std::int64_t begin_ns = SteadyNanoseconds();
        const std::int64_t begin = Ticks();
        for (std::size_t i = 0; i < threads; i++)
            running.emplace_back([&, i] {
                BindToProcessor(static_cast<int>(i));
                start.arrive_and_wait();
                parts[i] = times_of_thread(kSamples / threads);
            });
        for (std::thread &thread : running)
            thread.join();
        const std::int64_t ticks = Ticks() - begin;
        const std::int64_t ns = SteadyNanoseconds() - begin_ns;

        std::vector<std::int64_t> all;
        for (const std::vector<std::int64_t> &part : parts)
            all.insert(all.end(), part.begin(), part.end());
        Report(state, std::move(all), static_cast<double>(ns) / static_cast<double>(ticks));
    }
}

void LatencyOfNothing(benchmark::State &state)
{
    Sample(state, 1, [](std::size_t count) { return TimesOf(count, [] {}); });
}

void LatencyOfClock(benchmark::State &state)
{
    Sample(state, 1, [](std::size_t count) {
        return TimesOf(count, [] {
            ClockReading reading = SystemClock::Now();
            benchmark::DoNotOptimize(reading);
        });
    });
}

void Latency(benchmark::State &state)
{
    const Layout layout(static_cast<int>(state.range(0)));
    SharedWord shared;
    Sample(state, static_cast<std::size_t>(state.range(1)), [&](std::size_t count) {
        Session session(shared, layout);
        return TimesOf(count, [&] { benchmark::DoNotOptimize(session.Next()); });
    });
}

BENCHMARK(LatencyOfNothing)->Iterations(1)->UseManualTime()->Apply(WithExtremes);
BENCHMARK(LatencyOfClock)->Iterations(1)->UseManualTime()->Apply(WithExtremes);
BENCHMARK(Latency)
    ->ArgNames({"node_bits", "sessions"})
    ->ArgsProduct({{1, 10, 12}, {1, 2, 8}})
    ->Iterations(1)
    ->UseManualTime()
    ->Apply(WithExtremes);

} // namespace
} // namespace timeshard::bench
