#include "settings.hpp"

#include "../core/layout.hpp"

#include <cstdlib>
#include <optional>

#include "compat.hpp"
#include "placeholder.hpp"
#include "seal_key_setting.hpp"
#include "setting_value.hpp"

namespace timeshard {
namespace {

Setting node_id = {
    .name = "timeshard.node_id",
    .environment = "TIMESHARD_NODE_ID",
    .description = "This server's number among all that issue IDs; -1 derives it from the "
                   "machine's address.",
    .details = "It must fit timeshard.node_id_bits. A change takes effect when the server starts.",
    .min = -1,
    .max = kMaxNodeIdOfAnyLayout,
    .fallback = -1,
};

Setting node_id_bits = {
    .name = "timeshard.node_id_bits",
    .environment = "TIMESHARD_NODE_ID_BITS",
    .description = "Bits of an ID that carry the node ID; the sequence has 22 minus this.",
    .details = "A change takes effect when the server starts.",
    .min = kMinNodeIdBits,
    .max = kMaxNodeIdBits,
    .fallback = kDefaultNodeIdBits,
};

Setting custom_epoch = {
    .name = "timeshard.custom_epoch",
    .environment = "TIMESHARD_CUSTOM_EPOCH",
    .description = "Start of the time that IDs count, in milliseconds since 1970.",
    .details = "A change takes effect when the server starts.",
    .min = kMinEpoch,
    .max = kMaxEpoch,
    .fallback = kDefaultEpoch,
};

Setting max_clock_wait = {
    .name = "timeshard.max_clock_wait",
    .description = "Largest backward step of the clock that is waited out rather than refused.",
    .details = "0 refuses every step of a millisecond or more.",
    .min = 0,
    .max = 60000,
    .fallback = 1000,
    .flags = GUC_UNIT_MS,
};

Setting max_clock_jump = {
    .name = "timeshard.max_clock_jump",
    .description = "How far the clock may jump ahead in a running server before IDs are refused.",
    .details = "Compared with the time since boot. 0 turns the check off.",
    .min = 0,
    .max = 10 * 365 * SECS_PER_DAY,
    .fallback = SECS_PER_DAY,
    .flags = GUC_UNIT_S,
};

Setting *const kSettings[] = {&node_id, &node_id_bits, &custom_epoch, &max_clock_wait,
                              &max_clock_jump};

const char *EnvironmentText(const Setting &setting)
{
    return setting.environment != nullptr ? std::getenv(setting.environment) : nullptr;
}

/// The value where the configuration sets none.
std::int64_t BootValue(const Setting &setting)
{
    const char *raw = EnvironmentText(setting);
    if (raw == nullptr)
        return setting.fallback;
    std::int64_t value;
    if (!ParseValue(setting, raw, &value))
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
    if (HasUnit(setting))
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

/// The check hook of a string setting. The server does not tell a hook which setting
/// it checks, hence one instance for each.
template <const Setting &setting>
bool CheckText(char **new_value, void **, GucSource source)
{
    std::int64_t value;
    if (ParseValue(setting, *new_value, &value))
        return true;
    if (MayBeUnreadable(setting, source)) {
        if (!IsUnderPostmaster) // where PostgreSQL logs what is wrong with a reload
            WarnOfValue(setting, *new_value);
        return true;
    }
    GUC_check_errdetail("The value must be a whole number between %lld and %lld.",
                        static_cast<long long>(setting.min), static_cast<long long>(setting.max));
    return false;
}

GucStringCheckHook CheckOf(const Setting &setting)
{
    if (&setting == &node_id)
        return CheckText<node_id>;
    return &setting == &node_id_bits ? CheckText<node_id_bits> : CheckText<custom_epoch>;
}

/// Makes the variable known to the server. The environment's value is its
/// boot value, so that a configuration line that is removed falls back to it,
/// and is set as the environment's too, so that pg_settings names the source.
void Define(Setting &setting, std::int64_t boot_value)
{
    const int flags = setting.flags | kAllowInParallel;

    if (HasUnit(setting)) {
        DefineCustomIntVariable(setting.name, setting.description, setting.details,
                                &setting.duration, static_cast<int>(boot_value),
                                static_cast<int>(setting.min), static_cast<int>(setting.max),
                                PGC_SIGHUP, flags, nullptr, nullptr, nullptr);
    } else {
        snprintf(setting.boot_text, sizeof(setting.boot_text), "%lld",
                 static_cast<long long>(boot_value));
        DefineCustomStringVariable(setting.name, setting.description, setting.details,
                                   &setting.text, setting.boot_text, PGC_SIGHUP, flags,
                                   CheckOf(setting), nullptr, nullptr);
    }
    const char *raw = EnvironmentText(setting);
    if (raw != nullptr && (!IsInParallelMode() || kAllowInParallel != 0))
        SetConfigOption(setting.name, raw, PGC_POSTMASTER, PGC_S_ENV_VAR);
}

std::int64_t ValueOf(const Setting &setting)
{
    return ReadableValue(setting).value_or(setting.fallback);
}

} // namespace

void DefineSettings(bool (*identity_is_captured)())
{
    std::int64_t boot_values[lengthof(kSettings)];

    const char *names[lengthof(kSettings) + 1];
    for (std::size_t i = 0; i < lengthof(kSettings); i++)
        names[i] = kSettings[i]->name;
    names[lengthof(kSettings)] = kSealKeyFileSetting;
    CheckUnknownNames(names, identity_is_captured);
    CheckSealKeyFilePlaceholder();
    for (std::size_t i = 0; i < lengthof(kSettings); i++) {
        Setting &setting = *kSettings[i];
        boot_values[i] = BootValue(setting);
        if (!setting.defined)
            setting.expected = ExpectedValue(setting, boot_values[i], identity_is_captured);
    }
    for (std::size_t i = 0; i < lengthof(kSettings); i++) {
        Setting &setting = *kSettings[i];
        if (!setting.defined) {
            setting.defined = true;
            Define(setting, boot_values[i]);
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
    DefineSealKeyFile();
    MarkGUCPrefixReserved("timeshard");
}

bool ConfiguredIdentityIsReadable()
{
    return ReadableValue(node_id) && ReadableValue(node_id_bits) && ReadableValue(custom_epoch);
}

void CheckConfiguredIdentity()
{
    for (const Setting *setting : {&node_id, &node_id_bits, &custom_epoch})
        if (!ReadableValue(*setting))
            RaiseValueError(*setting, "parameter", setting->name, setting->text);
}

int ConfiguredNodeId()
{
    return static_cast<int>(ValueOf(node_id));
}

bool NodeIdIsFromEnvironment()
{
    return EnvironmentText(node_id) != nullptr &&
           FindVariable(node_id.name)->source <= PGC_S_ENV_VAR;
}

int ConfiguredNodeIdBits()
{
    return static_cast<int>(ValueOf(node_id_bits));
}

std::int64_t ConfiguredEpoch()
{
    return ValueOf(custom_epoch);
}

int MaxClockWait()
{
    return max_clock_wait.duration;
}

std::int64_t MaxClockJump()
{
    return std::int64_t{max_clock_jump.duration} * 1000;
}

} // namespace timeshard
