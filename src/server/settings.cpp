#include "settings.hpp"

#include "../core/claim.hpp"
#include "../core/layout.hpp"

#include "compat.hpp"
#include "setting_definition.hpp"

namespace timeshard {
namespace {

const char *ComplainOfConninfo(const char *text)
{
    return CarriesPassword(text)
               ? "The connection string carries a password, and servers log their settings. Use a "
                 "password file, a service file or a certificate."
               : nullptr;
}

/// Any path will do; a file that is not there is an error of the functions that need it.
const char *ComplainOfNothing(const char *)
{
    return nullptr;
}

const char *ComplainOfNumbers(const char *text)
{
    return text[0] == '\0' || ParseNumberRange(text, kMaxNodeIdOfAnyLayout)
               ? nullptr
               : "The value must be a range such as 100-199, a number, or empty.";
}

Setting node_id = {
    .name = "timeshard.node_id",
    .environment = "TIMESHARD_NODE_ID",
    .description = "This server's number among all that issue IDs; -1 derives it from the "
                   "machine's address, and \"registry\" claims one from a registry.",
    .details = "It must fit timeshard.node_id_bits. A change takes effect when the server starts.",
    .min = -1,
    .max = kMaxNodeIdOfAnyLayout,
    .fallback = -1,
    .word = "registry",
    .word_value = kNodeIdFromRegistry,
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

Setting registry = {
    .name = "timeshard.registry",
    .environment = "TIMESHARD_REGISTRY",
    .description = "The database that node IDs are claimed from: a libpq connection string, "
                   "without a password.",
    .details = "Used where timeshard.node_id is \"registry\".",
    .flags = GUC_SUPERUSER_ONLY,
    .complaint = ComplainOfConninfo,
};

Setting registry_numbers = {
    .name = "timeshard.registry_numbers",
    .environment = "TIMESHARD_REGISTRY_NUMBERS",
    .description = "The node IDs that this server may claim, such as 100-199; empty for all of the "
                   "registry's.",
    .details = "A change holds for the next claim.",
    .complaint = ComplainOfNumbers,
};

Setting seal_key_file = {
    .name = "timeshard.seal_key_file",
    .description = "File with the keys of public codes.",
    .details = "Only the server's user may read it. Each session reads it at its first public code "
               "and after a reload.",
    .flags = GUC_SUPERUSER_ONLY,
    .complaint = ComplainOfNothing,
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

/// The check hook of a string setting. The server does not tell a hook which setting
/// it checks, hence one instance for each.
template <const Setting &setting, bool is_identity>
bool CheckText(char **new_value, void **, GucSource source)
{
    return CheckNewText(setting, is_identity, *new_value, source);
}

constexpr SettingEntry kSettings[] = {
    {node_id, CheckText<node_id, true>},
    {node_id_bits, CheckText<node_id_bits, true>},
    {custom_epoch, CheckText<custom_epoch, true>},
    {registry, CheckText<registry, false>},
    {registry_numbers, CheckText<registry_numbers, false>},
    {seal_key_file, CheckText<seal_key_file, false>},
    {max_clock_wait, nullptr},
    {max_clock_jump, nullptr},
};

std::int64_t ValueOf(const Setting &setting)
{
    return ReadableValue(setting).value_or(setting.fallback);
}

} // namespace

void DefineSettings(bool (*identity_is_captured)())
{
    DefineAll(kSettings, identity_is_captured);
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

const char *ConfiguredRegistry()
{
    return registry.text;
}

std::optional<NumberRange> ConfiguredRegistryNumbers()
{
    return ParseNumberRange(registry_numbers.text, kMaxNodeIdOfAnyLayout);
}

const char *SealKeyFilePath()
{
    return seal_key_file.text;
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
