#pragma once

#include <span>

#include "postgres.hpp"
#include "setting_value.hpp"

/// Making settings known to the server.
namespace timeshard {

/// A setting, and the check hook of one that is a string to the server.
struct SettingEntry
{
    Setting &setting;
    GucStringCheckHook check;
};

/// What such a hook does with a new value. `is_identity`: the setting is one of the
/// identity, whose value may wait for the next start.
bool CheckNewText(const Setting &setting, bool is_identity, const char *text, GucSource source);

/// The environment's value of a setting, null if there is none.
const char *EnvironmentText(const Setting &setting);

/// Defines the settings; see DefineSettings().
void DefineAll(std::span<const SettingEntry> entries, bool (*identity_is_captured)());

} // namespace timeshard
