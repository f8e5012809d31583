/// Real threads on one real atomic word, by the real clock.

#include "clock.hpp"
#include "generator.hpp"
#include "layout.hpp"

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace {

using namespace timeshard;

/// How far two processors' readings of one clock can be apart, generously. A
/// generator that borrows from the future is whole milliseconds ahead.
constexpr std::int64_t kClockSkewNs = 100000;

struct Load
{
    const char *name;
    int node_id_bits;
    std::size_t threads;
    std::size_t ids_per_thread;
};

void PrintTo(const Load &load, std::ostream *out)
{
    *out << load.name;
}

std::int64_t Nanoseconds(const ClockReading &reading)
{
    return reading.milliseconds * kNanosecondsPerMillisecond + reading.nanoseconds;
}

/// What one thread saw of its own calls, without looking at the others.
struct Witness
{
    std::vector<std::int64_t> ids;
    std::size_t not_rising = 0;
    std::size_t early = 0;
    std::size_t borrowed = 0;
    std::size_t clock_errors = 0;
    std::size_t other_errors = 0;
};

class ThreadsTest : public testing::TestWithParam<Load>
{
protected:
    static constexpr std::int32_t kNode = 1;
    const Load load_ = GetParam();
    const Layout layout_{load_.node_id_bits};
    const std::size_t ids_per_thread_ = load_.ids_per_thread / SCALE;
    std::atomic<std::uint64_t> word_{0};

    /// One call as a session makes it, with its waits.
    std::int64_t NextId(Witness *witness)
    {
        for (;;) {
            const std::int64_t before = Nanoseconds(SystemClock::Now());
            const Step step = TakeNext(word_, SystemClock{}, kDefaultEpoch, layout_.MaxSequence(),
                                       kMaxOffset + 1);
            const std::int64_t after = Nanoseconds(SystemClock::Now());

            if (step.status == Status::kIssued) {
                const std::int64_t begin =
                    (OffsetOf(step.word) + kDefaultEpoch) * kNanosecondsPerMillisecond;
                const std::int64_t end = begin + kNanosecondsPerMillisecond;
                witness->borrowed += begin > after + kClockSkewNs;
                witness->early += end <= before - kClockSkewNs;
                return static_cast<std::int64_t>(step.word | layout_.NodeField(kNode));
            }
            witness->other_errors +=
                step.status == Status::kBeforeEpoch || step.status == Status::kPastEnd;
            witness->clock_errors +=
                step.status == Status::kBehind && step.gap_ns >= kNanosecondsPerMillisecond;
            std::this_thread::sleep_for(std::chrono::nanoseconds(step.gap_ns));
        }
    }

    template <typename Body>
    void Run(Body body)
    {
        std::barrier start(static_cast<std::ptrdiff_t>(load_.threads));
        std::vector<std::thread> threads;
        for (std::size_t i = 0; i < load_.threads; i++)
            threads.emplace_back([&, i] {
                start.arrive_and_wait();
                body(i);
            });
        for (std::thread &thread : threads)
            thread.join();
    }

    /// Checks what the threads saw alone, and that all their IDs are distinct.
    void Check(const std::vector<Witness> &witnesses)
    {
        std::vector<std::int64_t> all;
        for (const Witness &witness : witnesses) {
            EXPECT_EQ(witness.not_rising, 0u);
            EXPECT_EQ(witness.early, 0u);
            EXPECT_EQ(witness.borrowed, 0u);
            EXPECT_EQ(witness.clock_errors, 0u);
            EXPECT_EQ(witness.other_errors, 0u);
            all.insert(all.end(), witness.ids.begin(), witness.ids.end());
        }
        ASSERT_EQ(all.size(), load_.threads * ids_per_thread_);
        std::sort(all.begin(), all.end());
        EXPECT_EQ(std::adjacent_find(all.begin(), all.end()), all.end());
        EXPECT_TRUE(std::all_of(all.begin(), all.end(), [&](std::int64_t id) {
            return id > 0 && layout_.Split(id).node_id == kNode;
        }));
    }
};

// The default layout is bound by 4,096 IDs a ms, so that its sessions meet in
// exhausted milliseconds; one node bit is bound by the exchange, so that they
// meet in lost races; sixteen are nearly always exhausted.
INSTANTIATE_TEST_SUITE_P(Loads, ThreadsTest,
                         testing::Values(Load{"DefaultLayout", 10, 8, 250000},
                                         Load{"OneNodeBit", 1, 4, 500000},
                                         Load{"SixteenNodeBits", 16, 8, 10000}),
                         [](const auto &info) { return info.param.name; });

TEST_P(ThreadsTest, IdsAreUniqueAndRisingAndOfTheirMillisecond)
{
    std::vector<Witness> witnesses(load_.threads);
    Run([&](std::size_t i) {
        Witness witness;
        std::int64_t last = 0;
        witness.ids.reserve(ids_per_thread_);
        while (witness.ids.size() < ids_per_thread_) {
            const std::int64_t id = NextId(&witness);
            witness.not_rising += id <= last;
            last = id;
            witness.ids.push_back(id);
        }
        witnesses[i] = std::move(witness);
    });
    Check(witnesses);
}

/// A call that returns before another starts, in whichever thread, has the
/// smaller ID. The order of starts and ends is that of tickets off one counter.
TEST_P(ThreadsTest, IdsRiseFromAnyCallToALaterOneInAnyThread)
{
    constexpr std::int64_t kEndFlag = INT64_MIN;
    std::vector<Witness> witnesses(load_.threads);
    std::vector<std::int64_t> events(2 * load_.threads * ids_per_thread_);
    std::atomic<std::size_t> ticket{0};

    Run([&](std::size_t i) {
        Witness witness;
        witness.ids.reserve(ids_per_thread_);
        while (witness.ids.size() < ids_per_thread_) {
            const std::size_t start = ticket.fetch_add(1);
            const std::int64_t id = NextId(&witness);
            const std::size_t end = ticket.fetch_add(1);
            events[start] = id;
            events[end] = id | kEndFlag;
            witness.ids.push_back(id);
        }
        witnesses[i] = std::move(witness);
    });
    Check(witnesses);

    std::int64_t largest_returned = 0;
    std::size_t not_later = 0;
    for (const std::int64_t event : events) {
        if (event < 0)
            largest_returned = std::max(largest_returned, event & ~kEndFlag);
        else
            not_later += event <= largest_returned;
    }
    EXPECT_EQ(not_later, 0u);
}

} // namespace
