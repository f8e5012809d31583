#pragma once

#include <cstdint>
#include <string_view>

#include "../server/postgres.hpp"

/// Public codes as SQL values, for the functions of bigint and of typed keys.
namespace timeshard {

/// `prefix`, then the 13 characters of `id` sealed for `purpose`. The purpose is in the
/// database's encoding. Raises an error for a negative ID and without a usable key file.
text *SealedText(std::int64_t id, std::string_view purpose, std::string_view prefix = {});

/// The ID of 13 characters that were sealed for `purpose`. Raises
/// invalid_text_representation for anything else, with `code` as the error shows it.
std::int64_t OpenedId(std::string_view characters, std::string_view purpose, const text *code);

} // namespace timeshard
