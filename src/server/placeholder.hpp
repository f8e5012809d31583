#pragma once

#include <span>

/// What the names of settings hold before the library defines them.
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

/// Raises an error if a timeshard.* is set that is none of `known`: a misspelt setting
/// would be ignored, and IDs numbered by a guess. One in the server's configuration is
/// only warned of if `identity_is_captured()`. One of a session or a role is refused
/// whatever it would do, since it can hide the server's.
void CheckUnknownNames(std::span<const char *const> known, bool (*identity_is_captured)());

} // namespace timeshard
