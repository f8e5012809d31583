#pragma once

#include <cstdint>
#include <optional>

/// One setting, and its values as text.
namespace timeshard {

/// To the server, those of times are integers with a unit. The others are strings, read as plain
/// decimal numbers: PostgreSQL reads 010 as 8 and 7.6 as 8 in an integer setting, which could
/// silently give two servers one number, and the epoch needs 64 bits.
struct Setting
{
    const char *name;
    const char *environment = nullptr; ///< the variable's name, if it has one
    const char *description;
    const char *details;
    std::int64_t min, max, fallback;
    int flags = 0;

    int duration = 0;        ///< the value of a time, in its unit
    char *text = nullptr;    ///< the value of any other
    char boot_text[24] = ""; ///< its boot value, which must outlive the definition

    std::optional<std::int64_t> expected{}; ///< the server's value before the definition
    bool defined = false;                   ///< the definition was begun
    bool verified = false;                  ///< after it, the value in force was the expected one
};

/// True if the server reads the setting as an integer with a unit.
bool HasUnit(const Setting &setting);

/// Reads `raw` as a value of `setting`, with a unit as the server would.
bool ParseValue(const Setting &setting, const char *raw, std::int64_t *value);

/// The value in force in this process; none if it cannot be read.
std::optional<std::int64_t> ReadableValue(const Setting &setting);

/// Raises the error of a bad value: `kind` and `name` say what has it.
[[noreturn]] void RaiseValueError(const Setting &setting, const char *kind, const char *name,
                                  const char *raw);

/// Warns of a value that a reload has brought. It waits, since this run of the server
/// has its identity.
void WarnOfValue(const Setting &setting, const char *raw);

} // namespace timeshard
