#pragma once

/// What a setting's name holds before the library defines it.
namespace timeshard {

/// The text of the placeholder called `name` that the server's configuration has
/// left, null if there is none. Raises an error if anyone else has set it.
///
/// Until the library is loaded, any role can set a placeholder of that name. On
/// definition the server drops such a value, and with it the file's or the command
/// line's below, so the variable falls to its boot value: that would forge the
/// identity just as well. A parallel worker receives a placeholder set by its leader
/// without the value behind it, so both its sources are checked.
const char *PlaceholderText(const char *name);

} // namespace timeshard
