#pragma once

#include <optional>

#include "identity.hpp"
#include "mark.hpp"

/// What the mark tells of the server that wrote it: who it was, and where.
namespace timeshard {

/// Notes in the record that it is written by this run of the server, as `identity`.
void NoteRun(const Identity &identity, MarkRecord *record);

/// The identity of this run of the server, if this run has written the mark. Its
/// memory may be gone since: all sessions are started anew when one has crashed.
std::optional<Identity> IdentityOfThisRun(const MarkReading &mark);

/// True if the IDs of the record's server have another shape than ours.
bool LayoutDiffers(const MarkRecord &record, const Identity &identity);

/// True if the node ID was configured when the record was written and now is
/// derived from an address: a configuration has been lost, and the derived number
/// may be another server's.
bool IsNodeIdLost(const MarkRecord &record, const Identity &identity);

/// Raises the error for that. The number in `mark` is this server's own only if the
/// record was written to this file; in a copy it is the original's.
[[noreturn]] void RaiseLostNodeIdError(const MarkReading &mark, const Identity &identity);

/// Logs a changed node ID or layout, and warns when the data directory is a copy
/// that continues with the original's node ID.
void ReportProvenance(const MarkReading &mark, const Identity &identity,
                      const LayoutChange &change);

} // namespace timeshard
