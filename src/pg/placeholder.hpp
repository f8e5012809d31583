#pragma once

/// What stands under a setting's name before the library defines it.
namespace timeshard::pg {

/// The text of the placeholder called `name` that the server's configuration has
/// left, null if there is none. Raises an error if anyone else has set it.
///
/// Until the library is loaded, any role can set a placeholder of that name;
/// the server drops such a value on definition and with it the file's or the
/// command line's below, so the variable falls to its boot value: the identity
/// would be forged all the same. A parallel worker receives a placeholder set
/// by its leader without the value behind it, so both its sources are looked at.
const char *PlaceholderText(const char *name);

} // namespace timeshard::pg
