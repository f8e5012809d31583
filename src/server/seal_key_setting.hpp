#pragma once

/// timeshard.seal_key_file: the path of the file with the keys of public codes. Which
/// keys these are is the server's to say, as the identity is.
namespace timeshard {

inline constexpr char kSealKeyFileSetting[] = "timeshard.seal_key_file";

/// Raises an error if anyone but the server's configuration has set it. Comes before
/// DefineSealKeyFile().
void CheckSealKeyFilePlaceholder();

/// Defines the setting. Raises an error, also at later attempts, if its value is then
/// another than the server's.
void DefineSealKeyFile();

/// The path as it stands in this process; empty if none is configured.
const char *SealKeyFilePath();

} // namespace timeshard
