#include "setting_definition.hpp"

#include <cstdlib>
#include <optional>

#include "compat.hpp"
#include "placeholder.hpp"

namespace timeshard {
namespace {

constexpr std::size_t kMaxSettings = 16;

/// A number's value where the configuration sets none.
std::int64_t BootValue(const Setting &setting)
{
    const char *raw = EnvironmentText(setting);
    if (raw == nullptr && !IsText(setting))
        return setting.fallback;
    std::int64_t value;
    if (!ParseValue(setting, raw != nullptr ? raw : "", &value))
        RaiseValueError(setting, "environment variable", setting.environment, raw);
    return value;
}

/// The value that the server has for the setting before it is defined; none if it is
/// one of the identity that cannot be read and may wait for the next start.
std::optional<std::int64_t> ExpectedValue(const Setting &setting, std::int64_t boot_value,
                                          bool (*identity_is_captured)())
{
    const char *raw = PlaceholderText(setting.name);
    if (raw == nullptr)
        return boot_value;
    std::int64_t value;
    if (ParseValue(setting, raw, &value))
        return value;
    if (!identity_is_captured())
        RaiseValueError(setting, "parameter", setting.name, raw);
    if (HasUnit(setting) || IsText(setting))
        return boot_value; // the server warns of it, and takes that
    return std::nullopt;
}

/// Can a value of this source be accepted though it cannot be read? From the server's
/// configuration, while the setting is being defined or on a reload, so that it counts
/// as pending; but not from ALTER SYSTEM, which runs in a portal.
bool MayBeUnreadable(const Setting &setting, GucSource source)
{
    return source <= PGC_S_ARGV && (!setting.verified || ActivePortal == nullptr);
}

/// The text that stands for a string setting's boot value, for as long as the process.
const char *BootText(Setting &setting, std::int64_t boot_value)
{
    if (IsText(setting)) {
        const char *raw = EnvironmentText(setting);
        return raw != nullptr ? raw : "";
    }
    if (setting.word != nullptr && boot_value == setting.word_value)
        return setting.word;
    snprintf(setting.boot_text, sizeof(setting.boot_text), "%lld",
             static_cast<long long>(boot_value));
    return setting.boot_text;
}

/// Makes the variable known to the server. The environment's value is its
/// boot value, so that a configuration line that is removed falls back to it,
/// and is set as the environment's too, so that pg_settings names the source.
void Define(const SettingEntry &entry, std::int64_t boot_value)
{
    Setting &setting = entry.setting;
    const int flags = setting.flags | kAllowInParallel;

    if (HasUnit(setting))
        DefineCustomIntVariable(setting.name, setting.description, setting.details,
                                &setting.duration, static_cast<int>(boot_value),
                                static_cast<int>(setting.min), static_cast<int>(setting.max),
                                PGC_SIGHUP, flags, nullptr, nullptr, nullptr);
    else
        DefineCustomStringVariable(setting.name, setting.description, setting.details,
                                   &setting.text, BootText(setting, boot_value), PGC_SIGHUP, flags,
                                   entry.check, nullptr, nullptr);
    const char *raw = EnvironmentText(setting);
    if (raw != nullptr && (!IsInParallelMode() || kAllowInParallel != 0))
        SetConfigOption(setting.name, raw, PGC_POSTMASTER, PGC_S_ENV_VAR);
}

} // namespace

const char *EnvironmentText(const Setting &setting)
{
    return setting.environment != nullptr ? std::getenv(setting.environment) : nullptr;
}

bool CheckNewText(const Setting &setting, bool is_identity, const char *text, GucSource source)
{
    std::int64_t value;
    if (ParseValue(setting, text, &value))
        return true;
    if (is_identity && MayBeUnreadable(setting, source)) {
        if (!IsUnderPostmaster) // where PostgreSQL logs what is wrong with a reload
            WarnOfValue(setting, text);
        return true;
    }
    if (IsText(setting)) // PostgreSQL's own message shows the value
        GUC_check_errmsg("invalid value for parameter \"%s\"", setting.name);
    GUC_check_errdetail("%s", ExpectationOf(setting, text));
    return false;
}

void DefineAll(std::span<const SettingEntry> entries, bool (*identity_is_captured)())
{
    std::int64_t boot_values[kMaxSettings];
    const char *names[kMaxSettings];

    Assert(entries.size() <= kMaxSettings);
    for (std::size_t i = 0; i < entries.size(); i++)
        names[i] = entries[i].setting.name;
    CheckUnknownNames({names, entries.size()}, identity_is_captured);
    for (std::size_t i = 0; i < entries.size(); i++) {
        Setting &setting = entries[i].setting;
        boot_values[i] = BootValue(setting);
        if (!setting.defined)
            setting.expected = ExpectedValue(setting, boot_values[i], identity_is_captured);
    }
    for (std::size_t i = 0; i < entries.size(); i++) {
        Setting &setting = entries[i].setting;
        if (!setting.defined) {
            setting.defined = true;
            Define(entries[i], boot_values[i]);
            setting.verified = ReadableValue(setting) == setting.expected;
            if (setting.verified && !setting.expected && !IsParallelWorker())
                WarnOfValue(setting, setting.text);
        }
        if (!setting.verified)
            ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                            errmsg("parameter \"%s\" could not be taken over from the server",
                                   setting.name),
                            errhint("Connect again.")));
    }
    MarkGUCPrefixReserved("timeshard");
}

} // namespace timeshard
