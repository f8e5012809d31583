#include "setting_value.hpp"

#include "../core/text.hpp"

#include "postgres.hpp"

namespace timeshard {

bool HasUnit(const Setting &setting)
{
    return (setting.flags & GUC_UNIT) != 0;
}

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

std::optional<std::int64_t> ReadableValue(const Setting &setting)
{
    std::int64_t value = setting.duration;
    if (!HasUnit(setting) && !ParseValue(setting, setting.text, &value))
        return std::nullopt;
    return value;
}

void RaiseValueError(const Setting &setting, const char *kind, const char *name, const char *raw)
{
    ereport(ERROR,
            (errcode(ERRCODE_CONFIG_FILE_ERROR),
             errmsg("invalid value for %s \"%s\": \"%s\"", kind, name, raw),
             errdetail("The value must be a whole number between %lld and %lld.",
                       static_cast<long long>(setting.min), static_cast<long long>(setting.max))));
    pg_unreachable();
}

void WarnOfValue(const Setting &setting, const char *raw)
{
    ereport(WARNING,
            (errcode(ERRCODE_CONFIG_FILE_ERROR),
             errmsg("invalid value for %s \"%s\": \"%s\"", "parameter", setting.name, raw),
             errdetail("The value must be a whole number between %lld and %lld. The server goes on "
                       "with the value that it started with.",
                       static_cast<long long>(setting.min), static_cast<long long>(setting.max)),
             errhint("Correct it before the server's next start. Otherwise no ID will be issued "
                     "then.")));
}

} // namespace timeshard
