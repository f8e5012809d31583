#pragma once

#include "../server/postgres.hpp"

/// The SQL that makes up the type of a typed key.
namespace timeshard {

/// A type of typed keys: its own name, and the name and schema that its parts keep when
/// the type is renamed or moved.
struct KeyType
{
    const char *schema;
    const char *name;
    const char *parts_schema;
    const char *parts_name;
};

/// The longest name of a type, in bytes: its parts have 14 more, and a name 63 at most.
inline constexpr int kMaxKeyTypeName = NAMEDATALEN - 1 - 14;

/// The statements that create it. `prefix` is checked, `output` the C function that
/// writes keys in its style, and `library` the path of this one.
const char *CreateScript(const KeyType &type, const char *prefix, const char *output,
                         const char *library);

/// The statements that drop what CreateScript() creates, but for the type itself.
const char *DropScript(const KeyType &type);

} // namespace timeshard
