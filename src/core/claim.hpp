#pragma once

#include "window.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>

/// Claimed node IDs. A claim is an interval of ID space: while a server holds it, no
/// other server issues IDs of that number in those offsets, whatever any clock shows.
namespace timeshard {

/// IDs of `number` may be issued in offsets from `floor` up to, not including, `end`.
struct ClaimedInterval
{
    std::int32_t number;
    std::int64_t floor;
    std::int64_t end;
};

/// Where the word must stand before a server may issue IDs by a claim that starts at
/// `claim_floor`, after it may have issued IDs of another number below `mark_end`. A
/// session that read its limit and number before has a limit of at most `mark_end`, so
/// above this floor it issues nothing.
constexpr std::int64_t FloorOfSwitch(std::int64_t mark_end, std::int64_t claim_floor)
{
    return std::max({FloorOfEnd(mark_end), claim_floor - 1, std::int64_t{0}});
}

/// What the end of a claim becomes when it is given back by a server that may have
/// issued IDs below `mark_end`.
constexpr std::int64_t EndGivenBack(const ClaimedInterval &claim, std::int64_t mark_end)
{
    return std::clamp(mark_end, claim.floor, std::max(claim.floor, claim.end));
}

/// A range of numbers, both included.
struct NumberRange
{
    std::int32_t first;
    std::int32_t last;
};

/// Reads "100-199" or "7", without spaces. None if `text` is something else, or a
/// number in it is above `max`.
std::optional<NumberRange> ParseNumberRange(std::string_view text, std::int32_t max);

/// True if a libpq connection string, of keywords and values or a URI, carries a
/// password. Servers log their settings, so such a string must not be one. May also be
/// true of a string with such a word within a value.
bool CarriesPassword(std::string_view conninfo);

} // namespace timeshard
