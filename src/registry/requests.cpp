#include "requests.hpp"

#include "../core/clock.hpp"

#include <cstdlib>
#include <unistd.h>

#include "../server/claiming.hpp"
#include "../server/postgres.hpp"
#include "../server/settings.hpp"

namespace timeshard {
namespace {

/// How long the registry may take to answer, with the connection.
constexpr std::int64_t kPatienceNs = 5'000'000'000;

/// A number as a parameter.
class Text
{
public:
    explicit Text(std::int64_t number)
    {
        snprintf(text_, sizeof(text_), "%lld", static_cast<long long>(number));
    }
    operator const char *() const { return text_; }

private:
    char text_[24];
};

/// This server's name in timeshard_fleet, for people: its cluster_name, and where it runs.
const char *OwnName()
{
    static char name[200];
    char host[100] = "";
    gethostname(host, sizeof(host) - 1);
    const bool named = cluster_name != nullptr && cluster_name[0] != '\0';
    snprintf(name, sizeof(name), "%s%s%s:%d", named ? cluster_name : "", named ? " on " : "", host,
             PostPortNumber);
    return name;
}

/// Makes the tag of a new request: random bits and the clock, so that neither a clone of
/// this memory nor a weak source of random bits repeats it.
void MakeTag(char *tag, std::size_t size)
{
    std::uint64_t random[2] = {};
    if (!pg_strong_random(random, sizeof(random)))
        random[0] = static_cast<std::uint64_t>(MonotonicNanoseconds());
    snprintf(tag, size, "%016llx%016llx%016llx", static_cast<unsigned long long>(random[0]),
             static_cast<unsigned long long>(random[1]),
             static_cast<unsigned long long>(GetCurrentTimestamp()));
}

std::int64_t ClockMs()
{
    return SystemClock::Now().milliseconds;
}

} // namespace

Answer RequestClaim(std::int32_t preferred)
{
    const Identity identity = IdentityInForce();
    const auto numbers = ConfiguredRegistryNumbers();
    char range[32];
    if (numbers)
        snprintf(range, sizeof(range), "[%d,%d]", numbers->first, numbers->last);
    const Text clock(ClockMs()), bits(identity.node_id_bits), epoch(identity.custom_epoch),
        number(preferred);
    const char *const parameters[] = {OwnName(),
                                      clock,
                                      bits,
                                      epoch,
                                      numbers ? range : nullptr,
                                      preferred >= 0 ? static_cast<const char *>(number) : nullptr};
    return AskRegistry(ConfiguredRegistry(),
                       "SELECT * FROM timeshard_claim($1, $2, $3, $4, $5, $6)", 6, parameters,
                       MonotonicNanoseconds() + kPatienceNs, true);
}

Answer RequestExtension()
{
    const bool repeats = CurrentCredentials().tag[0] != '\0';
    if (!repeats) {
        char tag[sizeof(Credentials::tag)];
        MakeTag(tag, sizeof(tag));
        SetCredentials(CurrentCredentials().proof, tag);
    }
    const Credentials &credentials = CurrentCredentials();
    const Text clock(ClockMs());
    const char *const parameters[] = {OwnName(), clock, credentials.proof, credentials.tag};
    const Answer answer =
        AskRegistry(ConfiguredRegistry(), "SELECT * FROM timeshard_extend_claim($1, $2, $3, $4)", 4,
                    parameters, MonotonicNanoseconds() + kPatienceNs, true);
    // What has not been done is asked by a new tag: a clone of this memory could use an old
    // one after this server, and would be taken for it.
    if (!repeats && !answer.lost && answer.proof[0] == '\0')
        SetCredentials(CurrentCredentials().proof, "");
    return answer;
}

Answer RequestCheck(std::int32_t number)
{
    const Text text(number);
    const char *const parameters[] = {text};
    return AskRegistry(ConfiguredRegistry(),
                       "SELECT CASE WHEN claimed THEN 'not_yours' ELSE 'kept' END AS outcome, "
                       "CASE WHEN claimed THEN 'the configured node ID is claimed by a server' "
                       "WHEN NOT claimed THEN 'the configured node ID is one that the registry "
                       "hands out' END AS message FROM timeshard_is_claimed($1) AS claimed",
                       1, parameters, MonotonicNanoseconds() + kPatienceNs, true);
}

Answer RequestEnd(std::int64_t used_until, std::int64_t deadline_ns)
{
    const Credentials &credentials = CurrentCredentials();
    const Text used(used_until);
    const char *const parameters[] = {credentials.proof,
                                      credentials.tag[0] != '\0' ? credentials.tag : nullptr, used};
    return AskRegistry(ConfiguredRegistry(), "SELECT * FROM timeshard_end_claim($1, $2, $3)", 3,
                       parameters, deadline_ns, false);
}

} // namespace timeshard
