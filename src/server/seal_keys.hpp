#pragma once

#include "aes.hpp"

/// The keys of public codes, from the file that timeshard.seal_key_file names. A session
/// keeps them until the server's configuration is reloaded.
namespace timeshard {

/// A key and its number, which is part of the codes it seals.
struct LiveSealKey
{
    unsigned number;
    Aes256 cipher;
};

// Each raises an error if there is no usable file. An error names the file and tells
// nothing of its content.

/// The key that seals.
const LiveSealKey &CurrentSealKey();

/// The key with this number, null if the file has none.
const LiveSealKey *FindSealKey(unsigned number);

} // namespace timeshard
