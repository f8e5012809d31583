#pragma once

#include <cstdint>

/// Who a server is among those that issue IDs: its node ID, layout and epoch.
namespace timeshard {

/// Where the node ID came from.
/// In the mark too, so a number keeps its meaning.
enum class NodeIdSource : std::int32_t {
    kConfiguration,
    kEnvironment,
    kAddress,
    kNone,
    kRegistry, ///< claimed
};

/// The word that timeshard_config() shows for a source.
const char *NodeIdSourceName(NodeIdSource source);

/// Plain data: it stands in shared memory. What stands there never changes in a run of the
/// server, so it has no claimed number: see CurrentNodeId().
struct Identity
{
    std::int64_t custom_epoch;       ///< ms since 1970
    std::int32_t node_id;            ///< 0 to the layout's largest; 0 if there is none
    std::int32_t node_id_bits;       ///< 1 to 16
    std::int32_t configured_node_id; ///< the setting that gave it, or says how it is found
    NodeIdSource node_id_source;
    char node_address[46]; ///< the address it was derived from, else empty
};

/// Makes the identity of the settings as they stand in this process, with the
/// machine's address where no node ID is configured. Raises an error if a
/// setting cannot be read, or the node ID does not fit the layout.
Identity MakeIdentity();

/// Logs who the server is; a WARNING at the server's start if it has no node ID.
void ReportIdentity(const Identity &identity);

/// Warns if no node ID is configured: the derived one may be another server's.
void WarnOfNodeId(const Identity &identity);

/// Raises the error that there is no node ID to issue IDs with.
[[noreturn]] void RaiseNoNodeIdError();

/// True if the settings as they stand in this process would make another
/// identity at the next start of the server, or none.
bool IdentityWouldChange(const Identity &identity);

} // namespace timeshard
