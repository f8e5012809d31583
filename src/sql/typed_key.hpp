#pragma once

#include <string_view>

#include "../server/postgres.hpp"

namespace timeshard {

/// The prefix of the typed keys that the calling function belongs to: the name of its
/// argument. It ends with a null character that is not part of it.
std::string_view PrefixOf(FunctionCallInfo fcinfo);

} // namespace timeshard
