#include "registry_hosts.hpp"

#include <cstring>
#include <initializer_list>

namespace timeshard {
namespace {

/// A list of more hosts than this begins at the first of them again.
constexpr int kMaxHosts = 16;

int mute_attempts = 0;

/// The items of a list, such as "a,b,c", begun at the one with this number, round.
char *Rotated(const char *list, int first)
{
    char *const result = pstrdup(list);
    for (; first > 0 && std::strchr(result, ',') != nullptr; first--) {
        char *const comma = std::strchr(result, ',');
        const auto head = static_cast<std::size_t>(comma - result);
        const std::size_t tail = std::strlen(comma + 1);
        std::memcpy(result, list + head + 1, tail);
        result[tail] = ',';
        std::memcpy(result + tail + 1, list, head);
        list = pstrdup(result);
    }
    return result;
}

} // namespace

PGconn *StartConnection(const char *conninfo)
{
    const char *keywords[8] = {"dbname", "fallback_application_name"};
    const char *values[8] = {conninfo, "timeshard"};
    PGconn *const first = PQconnectStartParams(keywords, values, 1);
    PQconninfoOption *const options = PQconninfo(first);
    int count = 2;
    for (const PQconninfoOption *option = options; option && option->keyword; option++)
        for (const char *list : {"host", "hostaddr", "port"})
            if (std::strcmp(option->keyword, list) == 0 && option->val != nullptr &&
                std::strchr(option->val, ',') != nullptr) {
                keywords[count] = list;
                values[count++] = Rotated(option->val, mute_attempts % kMaxHosts);
            }
    PQconninfoFree(options);
    if (mute_attempts == 0 || count == 2)
        return first;
    PQfinish(first);
    return PQconnectStartParams(keywords, values, 1);
}

void NoteMuteHost()
{
    mute_attempts++;
}

} // namespace timeshard
