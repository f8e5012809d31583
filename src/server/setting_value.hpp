#pragma once

#include <cstdint>
#include <optional>

/// One setting, and its values as text.
namespace timeshard {

/// To the server, those of times are integers with a unit. The others are strings. Those of
/// numbers are read as plain decimal numbers: PostgreSQL reads 010 as 8 and 7.6 as 8 in an
/// integer setting, which could silently give two servers one number, and the epoch needs 64
/// bits.
struct Setting
{
    const char *name;
    const char *environment = nullptr; ///< the variable's name, if it has one
    const char *description;
    const char *details;
    std::int64_t min = 0, max = 0, fallback = 0;
    int flags = 0;

    const char *word = nullptr; ///< a word that stands for `word_value`, or none
    std::int64_t word_value = 0;

    /// Of a plain text, which is empty by default: what is wrong with it, or null.
    const char *(*complaint)(const char *text) = nullptr;

    int duration = 0;        ///< the value of a time, in its unit
    char *text = nullptr;    ///< the value of any other
    char boot_text[24] = ""; ///< a number's boot value, which must outlive the definition

    std::optional<std::int64_t> expected{}; ///< the server's value before the definition
    bool defined = false;                   ///< the definition was begun
    bool verified = false;                  ///< after it, the value in force was the expected one
};

/// True if the server reads the setting as an integer with a unit.
bool HasUnit(const Setting &setting);

/// True if the setting is a plain text.
bool IsText(const Setting &setting);

/// Reads `raw` as a value of `setting`, with a unit as the server would. Values of a
/// plain text are only compared: one is the text's hash.
bool ParseValue(const Setting &setting, const char *raw, std::int64_t *value);

/// The value in force in this process; none if it cannot be read.
std::optional<std::int64_t> ReadableValue(const Setting &setting);

/// What a value of the setting must be, or what is wrong with `raw`, as a sentence.
const char *ExpectationOf(const Setting &setting, const char *raw);

/// Raises the error of a bad value: `kind` and `name` say what has it. Does not show a
/// plain text, which may carry a password.
[[noreturn]] void RaiseValueError(const Setting &setting, const char *kind, const char *name,
                                  const char *raw);

/// Warns of a value that a reload has brought. It waits, since this run of the server
/// has its identity.
void WarnOfValue(const Setting &setting, const char *raw);

} // namespace timeshard
