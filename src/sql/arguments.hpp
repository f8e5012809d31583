#pragma once

#include <cstdint>

/// Checks of SQL arguments. Each raises invalid_parameter_value.
namespace timeshard {

/// An ID is 0 or more.
void CheckId(std::int64_t id);

/// Bits of the node ID in a layout: 1 to 16.
void CheckNodeIdBits(std::int32_t node_id_bits);

/// An epoch in ms since 1970: as timeshard.custom_epoch.
void CheckEpoch(std::int64_t epoch);

} // namespace timeshard
