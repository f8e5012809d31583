#pragma once

#include <string_view>

#include "../server/postgres.hpp"

/// SQL values of type text.
namespace timeshard {

/// The bytes of a value, which must not be compressed or stored elsewhere.
std::string_view ViewOf(const text *value);

/// The start of `input`, as much as an error quotes: whole characters of up to 64
/// bytes, and three dots if that is not all.
const char *Shortened(const text *input);
const char *Shortened(std::string_view input);

} // namespace timeshard
