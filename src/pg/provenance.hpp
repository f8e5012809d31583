#pragma once

#include "../core/mark.hpp"

#include "identity.hpp"
#include "mark_file.hpp"

/// What the mark tells of the server that wrote it: who it was, and where.
namespace timeshard::pg {

/// True if the IDs of the record's server have another shape than ours.
bool LayoutDiffers(const MarkRecord &record, const Identity &identity);

/// True if the node ID was configured when the record was written and now is
/// derived from an address: a configuration has been lost, and the derived number
/// may be another server's.
bool IsNodeIdLost(const MarkRecord &record, const Identity &identity);

/// Raises the error for that. The number that `mark` names is this server's own only
/// if it stands in the file that it was written to; in a copy it is the original's.
[[noreturn]] void RefuseLostNodeId(const MarkReading &mark, const Identity &identity);

/// Tells the log of a changed node ID or layout, and warns when the data
/// directory is a copy that goes on with the node ID of the original.
void ReportProvenance(const MarkReading &mark, const Identity &identity,
                      const LayoutChange &change);

} // namespace timeshard::pg
