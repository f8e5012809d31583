/// Usage: core_bench [--seconds_per_run=0.2] [Google Benchmark's options]

#include "session.hpp"

#include <cstdlib>
#include <cstring>

#include <benchmark/benchmark.h>

int main(int argc, char **argv)
{
    constexpr const char *kOption = "--seconds_per_run=";

    benchmark::Initialize(&argc, argv);
    if (argc == 2 && std::strncmp(argv[1], kOption, std::strlen(kOption)) == 0) {
        timeshard::bench::seconds_per_run = std::atof(argv[1] + std::strlen(kOption));
        argc = 1;
    }
    if (benchmark::ReportUnrecognizedArguments(argc, argv) ||
        !(timeshard::bench::seconds_per_run > 0))
        return 2;
#if defined(__x86_64__)
    benchmark::AddCustomContext("latency_timer", "rdtsc between fences");
#else
    benchmark::AddCustomContext("latency_timer", "steady_clock");
#endif
    benchmark::AddCustomContext("latency_timer_cost", "in every percentile; see LatencyOfNothing");
    benchmark::AddCustomContext("threads", "bound to the processors in turn");
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}
