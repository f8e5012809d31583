#pragma once

#include <cstdint>

#include "../server/postgres.hpp"

/// IDs as SQL text with a prefix.
namespace timeshard {

/// Raises invalid_parameter_value unless the position is 0 to 19, in digits.
void CheckPosition(int position);

/// Makes room for an ID with `prefix`. Called before an ID is taken, so that a prefix
/// that is too long costs none.
text *AllocateFormatted(const text *prefix);

/// Fills that room with `id`, its prefix after `position` digits.
Datum Formatted(text *result, std::int64_t id, const text *prefix, int position);

} // namespace timeshard
