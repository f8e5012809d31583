/// ParseRouteLine. The input is the line.

#include "fuzz.hpp"
#include "node_address.hpp"

#include <optional>
#include <vector>

namespace timeshard::fuzz {
namespace {

Answers<3> answers({"default-route", "other-route", "no-route"});

enum Answer { kDefaultRoute, kOtherRoute, kNoRoute };

struct Reading
{
    Answer answer;
    std::string interface;
    std::uint32_t metric;
};

std::vector<std::string> Fields(std::string_view line)
{
    std::vector<std::string> fields;
    bool within = false;
    for (const char c : line) {
        const bool space = c == ' ' || c == '\t' || c == '\n';
        if (!space && !within)
            fields.emplace_back();
        if (!space)
            fields.back() += c;
        within = !space;
    }
    return fields;
}

/// Digits only, of a number that fits 32 bits.
std::optional<std::uint32_t> Number(std::string_view field, unsigned base)
{
    constexpr std::string_view kLower = "0123456789abcdef", kUpper = "0123456789ABCDEF";
    std::uint64_t value = 0;
    for (const char c : field) {
        std::size_t digit = kLower.find(c);
        if (digit == kLower.npos)
            digit = kUpper.find(c);
        if (digit >= base) // npos too
            return std::nullopt;
        value = value * base + digit;
        if (value > UINT32_MAX)
            return std::nullopt;
    }
    if (field.empty())
        return std::nullopt;
    return static_cast<std::uint32_t>(value);
}

/// The rule put down a second time: Iface Destination Gateway Flags RefCnt Use
/// Metric Mask, and anything behind them.
Reading Reference(std::string_view line)
{
    constexpr std::array<unsigned, 8> kBases = {0, 16, 16, 16, 10, 10, 10, 16};
    const std::vector<std::string> fields = Fields(line);
    if (fields.size() < kBases.size())
        return {kNoRoute, "", 0};
    std::array<std::uint32_t, kBases.size()> numbers{};
    for (std::size_t i = 1; i < kBases.size(); i++) {
        const std::optional<std::uint32_t> number = Number(fields[i], kBases[i]);
        if (!number)
            return {kNoRoute, "", 0};
        numbers[i] = *number;
    }
    const bool up = numbers[3] % 2 == 1;
    if (!up || numbers[1] != 0 || numbers[7] != 0)
        return {kOtherRoute, "", 0};
    return {kDefaultRoute, fields[0], numbers[6]};
}

void Check(std::string_view line, const Reading &expected)
{
    const ExactText exact(line);
    const std::string_view view = exact;
    const std::optional<DefaultRoute> route = ParseRouteLine(view);

    Require(route.has_value() == (expected.answer == kDefaultRoute),
            "agrees what is a default route", {line});
    if (!route)
        return;
    Require(route->interface == expected.interface && route->metric == expected.metric,
            "agrees with the reference", {line, route->interface});
    Require(route->interface.data() >= view.data() &&
                route->interface.data() + route->interface.size() <= view.data() + view.size(),
            "the interface's name is a part of the line", {line});
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    const std::string_view line = Input(data, size).Rest();
    const Reading expected = Reference(line);

    answers.NextInput();
    answers.Count(expected.answer);
    Check(line, expected);
    // White space around it changes nothing, nor do more columns.
    Check(" \t" + std::string(line) + "\t0\n", Reference(std::string(line) + "\t0"));
    return 0;
}

} // namespace timeshard::fuzz
