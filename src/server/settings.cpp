#include "settings.hpp"

#include "../core/layout.hpp"
#include "../core/text.hpp"

#include <cstdlib>

#include "compat.hpp"
#include "placeholder.hpp"

namespace timeshard {
namespace {

/// One setting. To the server, those of times are integers with a unit. The others
/// are strings, read as plain decimal numbers: PostgreSQL reads 010 as 8
/// and 7.6 as 8 in an integer setting, which could silently give two servers one
/// number, and the epoch needs 64 bits.
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

    std::int64_t expected = 0; ///< the server's value before the definition
    bool defined = false;      ///< the definition was begun
    bool verified = false;     ///< after it, the value in force was the expected one
};

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

bool HasUnit(const Setting &setting)
{
    return setting.flags != 0;
}

/// Reads `raw` as a value of `setting`, with a unit as the server would.
bool ParseValue(const Setting &setting, const char *raw, std::int64_t *value)
{
    if (HasUnit(setting)) {
        int duration;
        if (!parse_int(raw, &duration, setting.flags, nullptr))
            return false;
        *value = duration;
    } else if (!ParseInteger(raw, value)) {
        return false;
    }
    return *value >= setting.min && *value <= setting.max;
}

[[noreturn]] void RaiseValueError(const Setting &setting, const char *kind, const char *name,
                                  const char *raw)
{
    ereport(ERROR,
            (errcode(ERRCODE_CONFIG_FILE_ERROR),
             errmsg("invalid value for %s \"%s\": \"%s\"", kind, name, raw),
             errdetail("The value must be a whole number between %lld and %lld.",
                       static_cast<long long>(setting.min), static_cast<long long>(setting.max))));
    pg_unreachable();
}

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

/// The value that the server has for the setting before it is defined.
std::int64_t ExpectedValue(const Setting &setting, std::int64_t boot_value)
{
    const char *raw = PlaceholderText(setting.name);
    if (raw == nullptr)
        return boot_value;
    std::int64_t value;
    if (!ParseValue(setting, raw, &value))
        RaiseValueError(setting, "parameter", setting.name, raw);
    return value;
}

/// The check hook of a string setting. The server does not tell a hook which setting
/// it checks, hence one instance for each.
template <const Setting &setting>
bool CheckText(char **new_value, void **, GucSource)
{
    std::int64_t value;
    if (ParseValue(setting, *new_value, &value))
        return true;
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
    if (HasUnit(setting))
        return setting.duration;
    std::int64_t value = -1;
    ParseInteger(setting.text, &value);
    return value;
}

} // namespace

void DefineSettings()
{
    std::int64_t boot_values[lengthof(kSettings)];

    for (std::size_t i = 0; i < lengthof(kSettings); i++) {
        Setting &setting = *kSettings[i];
        boot_values[i] = BootValue(setting);
        if (!setting.defined)
            setting.expected = ExpectedValue(setting, boot_values[i]);
    }
    for (std::size_t i = 0; i < lengthof(kSettings); i++) {
        Setting &setting = *kSettings[i];
        if (!setting.defined) {
            setting.defined = true;
            Define(setting, boot_values[i]);
            setting.verified = ValueOf(setting) == setting.expected;
        }
        if (!setting.verified)
            ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                            errmsg("parameter \"%s\" could not be taken over from the server",
                                   setting.name),
                            errhint("Connect again.")));
    }
    MarkGUCPrefixReserved("timeshard");
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
