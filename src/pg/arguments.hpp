#pragma once

#include <cstdint>

#include "postgres.hpp"

/// What SQL functions are given. Each check raises invalid_parameter_value.
namespace timeshard::pg {

/// An ID is 0 or more.
void CheckId(std::int64_t id);

/// Bits of the node ID in a layout: 1 to 16.
void CheckNodeIdBits(std::int32_t node_id_bits);

/// An epoch in ms since 1970: as timeshard.custom_epoch.
void CheckEpoch(std::int64_t epoch);

/// The start of `input`, as much as an error quotes: whole characters of up to 64
/// bytes, and three dots if that is not all.
const char *Shortened(const text *input);

} // namespace timeshard::pg
