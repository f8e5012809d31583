#pragma once

#include "../core/claim.hpp"

#include <cstdint>
#include <optional>

/// The timeshard.* settings: where they come from, and the errors where anything but
/// the server's configuration has set one.
namespace timeshard {

/// Defines the settings. Raises an error if a value is bad, a name is unknown, or
/// either was given by a session or a role before the library was loaded; then, and
/// at every later attempt in the same session, the library does not load.
///
/// What a reload has brought is warned of instead, and waits for the server's next
/// start, if `identity_is_captured()`, which is asked only then.
void DefineSettings(bool (*identity_is_captured)());

/// False if a value of the identity cannot be read, and waits.
bool ConfiguredIdentityIsReadable();

/// Raises the error for that: no identity can be made of it.
void CheckConfiguredIdentity();

// The values as they stand in this process; the default of one that cannot be read.

/// What timeshard.node_id is where the number is claimed.
inline constexpr int kNodeIdFromRegistry = -2;

/// timeshard.node_id, -1 to derive it, kNodeIdFromRegistry to claim it.
int ConfiguredNodeId();

/// True if timeshard.node_id has its value from the server's environment.
bool NodeIdIsFromEnvironment();

/// timeshard.node_id_bits, 1 to 16.
int ConfiguredNodeIdBits();

/// timeshard.custom_epoch, in ms since 1970.
std::int64_t ConfiguredEpoch();

/// timeshard.registry, empty if there is none.
const char *ConfiguredRegistry();

/// timeshard.registry_numbers; none if all will do.
std::optional<NumberRange> ConfiguredRegistryNumbers();

/// timeshard.seal_key_file, empty if there is none.
const char *SealKeyFilePath();

/// timeshard.max_clock_wait, in ms, 0 to 60,000.
int MaxClockWait();

/// timeshard.max_clock_jump, in ms; 0 if it is off.
std::int64_t MaxClockJump();

} // namespace timeshard
