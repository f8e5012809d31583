/// Claims: the floor of a switch, what is given back, and the settings of a claimant.

#include "claim.hpp"
#include "generator.hpp"
#include "stage.hpp"

#include <gtest/gtest.h>

namespace {

using namespace timeshard;
using timeshard::test::Stage;
using timeshard::test::Word;

constexpr std::int32_t kMax = 4095;

/// The old limit may reach up to the mark's end, and a new number's claim may start
/// anywhere.
TEST(Claim, ASwitchLiftsTheWordAboveEveryOldLimitAndBelowTheClaim)
{
    EXPECT_EQ(FloorOfSwitch(6000, 9000), 8999);
    EXPECT_EQ(FloorOfSwitch(6000, 5000), 6000);
    EXPECT_EQ(FloorOfSwitch(0, 0), 0);
    EXPECT_EQ(FloorOfSwitch(kMaxOffset + 1, 5000), kMaxOffset);

    std::uint64_t word = FloorAt(FloorOfSwitch(6000, 5000));
    for (const std::int64_t now : {5999, 6000, 6001})
        EXPECT_NE(Advance(word, {now, 0}, kMax, 6000).status, Status::kIssued) << now;
    EXPECT_EQ(Advance(word, {6001, 0}, kMax, 7000), (Step{Status::kIssued, Word(6001, 0), 0}));
    word = FloorAt(FloorOfSwitch(6000, 9000));
    EXPECT_EQ(Advance(word, {9000, 0}, kMax, 9500), (Step{Status::kIssued, Word(9000, 0), 0}));
}

/// The switch is made while a session is between its limit and its exchange.
TEST(Claim, ASessionWithAnOldLimitIssuesNothingAfterASwitch)
{
    for (const std::size_t event : {0, 1, 2}) {
        Stage stage(Word(5000, 7), {5990, 0});
        stage.Before(event, [&] {
            // The new claim's first ID comes right after the switch.
            stage.word = Word(6001, 0);
            stage.now = {6001, 0};
        });
        Stage::Atomic atomic{stage};
        const Step step = TakeNext(atomic, Stage::Clock{stage}, 0, kMax, 6000);
        EXPECT_EQ(step.status, Status::kUnreserved) << event;
        EXPECT_EQ(stage.word, Word(6001, 0)) << event;
    }
}

TEST(Claim, WhatIsGivenBackIsWithinTheClaim)
{
    const ClaimedInterval claim{7, 5000, 9000};
    EXPECT_EQ(EndGivenBack(claim, 6000), 6000);
    EXPECT_EQ(EndGivenBack(claim, 0), 5000);
    EXPECT_EQ(EndGivenBack(claim, 4999), 5000);
    EXPECT_EQ(EndGivenBack(claim, 9001), 9000);
    EXPECT_EQ(EndGivenBack({7, 5000, 4000}, 6000), 5000);
}

TEST(Claim, NumbersAreARange)
{
    const auto is = [](std::string_view text, std::int32_t first, std::int32_t last) {
        const auto range = ParseNumberRange(text, 1023);
        return range && range->first == first && range->last == last;
    };
    EXPECT_TRUE(is("100-199", 100, 199));
    EXPECT_TRUE(is("0-1023", 0, 1023));
    EXPECT_TRUE(is("7", 7, 7));
    EXPECT_TRUE(is("7-7", 7, 7));
    for (const char *text : {"", "-", "1-", "-1", "9-8", "0-1024", "1024", "1--2", "1-2-3", "a",
                             "1 - 2", "1,2", "4294967296"})
        EXPECT_FALSE(ParseNumberRange(text, 1023)) << text;
}

TEST(Claim, AConnectionStringWithAPasswordIsSeen)
{
    for (const char *with :
         {"host=a password=b", "password = b", "password\t='b c'", "sslpassword=x host=a",
          "postgresql://me:secret@host/db", "postgres://:@host", "postgresql://host/db?password=x",
          "postgresql://a:b@h1:1,h2:2/x"})
        EXPECT_TRUE(CarriesPassword(with)) << with;
    for (const char *without :
         {"", "service=ids", "host=a passfile=/x dbname=password", "postgresql://me@host:5432/db",
          "postgresql://host:5432/d@b", "postgresql://[::1]:5432/x", "host=a:b@c"})
        EXPECT_FALSE(CarriesPassword(without)) << without;
}

} // namespace
