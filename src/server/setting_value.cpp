#include "setting_value.hpp"

#include "../core/text.hpp"

#include <cstring>

#include "postgres.hpp"

namespace timeshard {

bool HasUnit(const Setting &setting)
{
    return (setting.flags & GUC_UNIT) != 0;
}

bool IsText(const Setting &setting)
{
    return setting.complaint != nullptr;
}

bool ParseValue(const Setting &setting, const char *raw, std::int64_t *value)
{
    if (IsText(setting)) {
        const auto *bytes = reinterpret_cast<const unsigned char *>(raw);
        *value = static_cast<std::int64_t>(
            hash_bytes_extended(bytes, static_cast<int>(std::strlen(raw)), 0));
        return setting.complaint(raw) == nullptr;
    }
    if (setting.word != nullptr && std::strcmp(raw, setting.word) == 0) {
        *value = setting.word_value;
        return true;
    }
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

std::optional<std::int64_t> ReadableValue(const Setting &setting)
{
    std::int64_t value = setting.duration;
    if (!HasUnit(setting) && !ParseValue(setting, setting.text, &value))
        return std::nullopt;
    return value;
}

const char *ExpectationOf(const Setting &setting, const char *raw)
{
    if (IsText(setting))
        return setting.complaint(raw);
    const char *range =
        psprintf("The value must be a whole number between %lld and %lld.",
                 static_cast<long long>(setting.min), static_cast<long long>(setting.max));
    return setting.word == nullptr
               ? range
               : psprintf("%s The word \"%s\" is valid too.", range, setting.word);
}

void RaiseValueError(const Setting &setting, const char *kind, const char *name, const char *raw)
{
    ereport(ERROR,
            (errcode(ERRCODE_CONFIG_FILE_ERROR),
             IsText(setting) ? errmsg("invalid value for %s \"%s\"", kind, name)
                             : errmsg("invalid value for %s \"%s\": \"%s\"", kind, name, raw),
             errdetail_internal("%s", ExpectationOf(setting, raw))));
    pg_unreachable();
}

void WarnOfValue(const Setting &setting, const char *raw)
{
    ereport(WARNING,
            (errcode(ERRCODE_CONFIG_FILE_ERROR),
             errmsg("invalid value for %s \"%s\": \"%s\"", "parameter", setting.name, raw),
             errdetail("%s The server goes on with the value that it started with.",
                       ExpectationOf(setting, raw)),
             errhint("Correct it before the server's next start. Otherwise no ID will be issued "
                     "then.")));
}

} // namespace timeshard
