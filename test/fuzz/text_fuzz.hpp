#pragma once

#include "fuzz.hpp"
#include "text.hpp"
#include "text_reference.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

/// What the targets on IDs in text share.
namespace timeshard::fuzz {

/// From here on, IDs have no zero to pad them with, and need their prefix.
inline constexpr std::int64_t kFirstWithoutZero = 1000000000000000000;

inline std::string Format(std::int64_t id, std::string_view prefix, std::size_t position)
{
    ExactText out(std::string(kIdDigits + prefix.size(), '#'));
    WriteFormatted(id, ExactText(prefix), position, out.data());
    return std::string(std::string_view(out));
}

inline ParsedId Parse(std::string_view text)
{
    return ParseFormatted(ExactText(text));
}

inline ParsedId Parse(std::string_view text, std::string_view prefix)
{
    return ParseFormatted(ExactText(text), ExactText(prefix));
}

} // namespace timeshard::fuzz
