/// When a call waits for the clock and when it refuses: the rule by itself,
/// then played as the server plays it, in simulated time.

#include "generator.hpp"
#include "patience.hpp"
#include "window.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>

#include <gtest/gtest.h>

namespace {

using namespace timeshard;

constexpr std::int64_t kMs = 1000000; // in ns
constexpr std::int64_t kSecond = 1000 * kMs;

constexpr Step Behind(std::int64_t gap_ns, std::int64_t offset = 500)
{
    return {Status::kBehind, WordAt(offset), gap_ns};
}

constexpr Step Exhausted(std::int64_t gap_ns, std::int64_t offset = 500)
{
    return {Status::kExhausted, WordAt(offset) | 4095, gap_ns};
}

class PatienceTest : public testing::TestWithParam<std::int64_t>
{
protected:
    const std::int64_t limit_ms_ = GetParam();
    const std::int64_t limit_ns_ = limit_ms_ * kMs;
    /// What the manual says: 9/8 of the limit and 10 ms.
    const std::int64_t bound_ns_ = limit_ns_ + limit_ns_ / 8 + 10 * kMs;

    bool FirstAnswer(const Step &step) const
    {
        return Patience(limit_ms_, kMinWindowMs).ShouldWait(step, 7, 7);
    }
};

INSTANTIATE_TEST_SUITE_P(Limits, PatienceTest, testing::Values(0, 1, 100, 60000));

TEST_P(PatienceTest, WaitsOutAGapBelowOneMillisecondAlways)
{
    EXPECT_TRUE(FirstAnswer(Behind(1)));
    EXPECT_TRUE(FirstAnswer(Behind(kMs - 1)));
}

TEST_P(PatienceTest, WaitsOutAGapUpToTheLimit)
{
    EXPECT_EQ(FirstAnswer(Behind(kMs)), limit_ms_ >= 1);
    EXPECT_EQ(FirstAnswer(Behind(kMs + 1)), limit_ms_ > 1);
    if (limit_ms_ > 0) {
        EXPECT_TRUE(FirstAnswer(Behind(limit_ns_)));
    }
    EXPECT_FALSE(FirstAnswer(Behind(std::max(limit_ns_ + 1, kMs))));
    EXPECT_FALSE(FirstAnswer(Behind(3600 * kSecond)));
}

TEST_P(PatienceTest, WaitsForTheNextMillisecondOfAnExhaustedOne)
{
    EXPECT_TRUE(FirstAnswer(Exhausted(1)));
    EXPECT_TRUE(FirstAnswer(Exhausted(kMs)));
}

TEST_P(PatienceTest, OneMillisecondIsAwaitedUpToTheBound)
{
    Patience patience(limit_ms_, kMinWindowMs);

    EXPECT_EQ(patience.Waited(40), 0);
    EXPECT_TRUE(patience.ShouldWait(Exhausted(1), 40, 40));
    EXPECT_TRUE(patience.ShouldWait(Exhausted(1), 40 + bound_ns_, 40 + bound_ns_));
    EXPECT_EQ(patience.Waited(40 + bound_ns_), bound_ns_);
    EXPECT_FALSE(patience.ShouldWait(Exhausted(1), 41 + bound_ns_, 41 + bound_ns_));
    EXPECT_EQ(patience.Waited(41 + bound_ns_), bound_ns_ + 1);
}

TEST_P(PatienceTest, ExhaustedThenBehindIsOneWait)
{
    Patience patience(limit_ms_, kMinWindowMs);

    EXPECT_TRUE(patience.ShouldWait(Exhausted(1), 0, 0));
    EXPECT_TRUE(patience.ShouldWait(Behind(5), bound_ns_, bound_ns_));
    EXPECT_FALSE(patience.ShouldWait(Behind(5), bound_ns_ + 1, bound_ns_ + 1));
}

TEST_P(PatienceTest, ALargeStepDuringTheWaitIsRefusedAtOnce)
{
    Patience patience(limit_ms_, kMinWindowMs);

    EXPECT_TRUE(patience.ShouldWait(Behind(kMs - 1), 0, 0));
    EXPECT_FALSE(patience.ShouldWait(Behind(std::max(limit_ns_, kMs) + 1), 1, 1));
}

TEST_P(PatienceTest, ProgressByOthersBeginsANewWait)
{
    Patience patience(limit_ms_, kMinWindowMs);

    EXPECT_TRUE(patience.ShouldWait(Exhausted(1, 500), 0, 0));
    EXPECT_TRUE(patience.ShouldWait(Exhausted(1, 501), bound_ns_ + 1, bound_ns_ + 1));
    EXPECT_EQ(patience.Waited(bound_ns_ + 1), 0);
    EXPECT_TRUE(patience.ShouldWait(Exhausted(1, 501), 2 * bound_ns_ + 1, 2 * bound_ns_ + 1));
    EXPECT_FALSE(patience.ShouldWait(Exhausted(1, 501), 2 * bound_ns_ + 2, 2 * bound_ns_ + 2));
}

/// The server's loop around Patience, in simulated time: true time runs by the
/// sleeps alone, and the wall clock is any function of it.
class Call
{
public:
    /// Wall clock in ns since the epoch, by true time in ns.
    std::function<std::int64_t(std::int64_t)> wall = [](std::int64_t t) { return t; };
    /// What happens between the monotonic clock's reading and the attempt, and
    /// between the attempt and the decision.
    std::function<void(Call &)> before_attempt = [](Call &) {};
    std::function<void(Call &)> after_attempt = [](Call &) {};
    std::uint64_t word = 0;
    std::int64_t time = 0;
    int attempts = 0;

    /// True if an ID was issued, false if refused. Gives up as a failure after
    /// far longer than any bound.
    bool Run(std::int64_t limit_ms)
    {
        Patience patience(limit_ms, kMinWindowMs);
        const std::int64_t begin = time;

        while (time - begin < 6000 * kSecond) {
            attempts++;
            const std::int64_t attempted = time;
            before_attempt(*this);
            const std::int64_t now = wall(time);
            const Step step = Advance(word, {now / kMs, static_cast<std::int32_t>(now % kMs)}, 4095,
                                      kMaxOffset + 1);
            if (step.status == Status::kIssued) {
                word = step.word;
                return true;
            }
            const std::int64_t answered = time;
            after_attempt(*this);
            if (!patience.ShouldWait(step, attempted, answered))
                return false;
            time += std::min(step.gap_ns, 20 * kMs) + 60000; // sleeps last a little longer
        }
        ADD_FAILURE() << "the call waits for ever";
        return false;
    }
};

/// The last ID is of second 10; the call starts there.
Call CallAtSecondTen()
{
    Call call;
    call.time = 10 * kSecond;
    call.word = WordAt(10000) | 4095;
    return call;
}

TEST_P(PatienceTest, AStepWithinTheLimitIsWaitedOut)
{
    Call call = CallAtSecondTen();
    call.wall = [&](std::int64_t t) { return t - std::max(limit_ns_ - kMs, kMs / 2); };

    EXPECT_TRUE(call.Run(limit_ms_));
    EXPECT_LE(call.time - 10 * kSecond, limit_ns_ + 25 * kMs);
}

/// chrony corrects a fast clock by running it up to 1/12 slow.
TEST_P(PatienceTest, ASlewedClockIsWaitedOut)
{
    Call call = CallAtSecondTen();
    call.wall = [&](std::int64_t t) {
        const std::int64_t since = t - 10 * kSecond;
        return 10 * kSecond - std::max(limit_ns_ - kMs, kMs / 2) + since / 12 * 11;
    };

    EXPECT_TRUE(call.Run(limit_ms_));
    EXPECT_GE(call.time - 10 * kSecond, limit_ns_ - kMs);
}

TEST_P(PatienceTest, AClockThatStandsStillIsRefusedAtTheBound)
{
    for (const std::int64_t gap : {std::int64_t{1}, kMs - 1, limit_ns_}) {
        Call call = CallAtSecondTen();
        call.wall = [&](std::int64_t) { return 10 * kSecond - gap; };

        EXPECT_FALSE(call.Run(limit_ms_));
        EXPECT_GE(call.time - 10 * kSecond, bound_ns_);
        EXPECT_LE(call.time - 10 * kSecond, bound_ns_ + 25 * kMs);
    }
}

/// Each time the gap has nearly closed the clock is set back again, never by
/// more than the limit allows.
TEST_P(PatienceTest, AClockSetBackAgainAndAgainIsRefusedAtTheBound)
{
    const std::int64_t gap = std::max(limit_ns_, kMs - 1);
    Call call = CallAtSecondTen();
    call.wall = [&](std::int64_t t) { return 10 * kSecond - gap + (t - 10 * kSecond) % gap; };

    EXPECT_FALSE(call.Run(limit_ms_));
    EXPECT_GT(call.attempts, 2);
    EXPECT_GE(call.time - 10 * kSecond, bound_ns_);
    EXPECT_LE(call.time - 10 * kSecond, bound_ns_ + 25 * kMs);
}

/// Faster sessions that take all of every millisecond are no fault of the
/// clock, however long it lasts.
TEST_P(PatienceTest, RivalsThatTakeEverythingAreNoClockStep)
{
    Call call = CallAtSecondTen();
    const std::int64_t until = call.time + bound_ns_ + kSecond;
    call.before_attempt = [&](Call &now) {
        if (now.time < until)
            now.word = WordAt(now.time / kMs) | 4095;
    };

    EXPECT_TRUE(call.Run(limit_ms_));
    EXPECT_GE(call.time, until);
}

/// The process is stopped just before its first attempt, and the first sleep
/// ends early: the time that it was stopped has not been spent waiting.
TEST_P(PatienceTest, BeingStoppedBeforeAnAttemptIsNotWaiting)
{
    Patience patience(limit_ms_, kMinWindowMs);
    const std::int64_t stopped = bound_ns_ + kSecond;

    EXPECT_TRUE(patience.ShouldWait(Exhausted(500000), 0, stopped));
    EXPECT_TRUE(patience.ShouldWait(Exhausted(100000), stopped + 400000, stopped + 400000));
}

/// The process is stopped for an hour just after an attempt. By the time that
/// it goes on, the clock is right again, and it must not be refused for what
/// the attempt saw an hour ago.
TEST_P(PatienceTest, AStoppedProcessDoesNotBlameTheClock)
{
    Call call = CallAtSecondTen();
    call.wall = [](std::int64_t t) { return t < 20 * kSecond ? 10 * kSecond - 500000 : t; };
    call.after_attempt = [](Call &now) {
        if (now.attempts == 2)
            now.time += 3600 * kSecond;
    };

    EXPECT_TRUE(call.Run(limit_ms_));
    EXPECT_EQ(call.attempts, 3);
}

} // namespace
