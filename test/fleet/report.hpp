#pragma once

#include "wrong_clock.hpp"

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

/// What the programs of this folder share: arguments and what they print.
namespace timeshard::fleet {

/// An argument, or what stands for one that is not given. Ends the program if it is not a whole
/// number in its range.
inline std::int64_t Argument(const char *name, const char *text, std::int64_t missing,
                             std::int64_t least, std::int64_t most)
{
    if (text == nullptr)
        return missing;
    const std::string_view digits = text;
    const char *const end = digits.data() + digits.size();
    std::int64_t value = 0;
    const auto [rest, error] = std::from_chars(digits.data(), end, value);
    if (error == std::errc() && rest == end && value >= least && value <= most)
        return value;
    std::fprintf(stderr, "%s must be a whole number between %lld and %lld, not \"%s\"\n", name,
                 static_cast<long long>(least), static_cast<long long>(most), text);
    std::exit(2);
}

inline double Seconds(std::int64_t ns)
{
    return static_cast<double>(ns) / static_cast<double>(kSecond);
}

inline double Milliseconds(std::int64_t ns)
{
    return static_cast<double>(ns) / static_cast<double>(kMs);
}

inline void Row(const char *what, std::int64_t count)
{
    std::printf("%-52s %14lld\n", what, static_cast<long long>(count));
}

inline void RowOf(const char *what, double amount, const char *unit)
{
    std::printf("%-52s %14.3f %s\n", what, amount, unit);
}

} // namespace timeshard::fleet
