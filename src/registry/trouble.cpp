#include "trouble.hpp"

#include "../core/clock.hpp"

#include "../server/claiming.hpp"
#include "../server/postgres.hpp"
#include "../server/timestamps.hpp"

namespace timeshard {
namespace {

/// How often the same trouble is logged.
constexpr std::int64_t kLogAgainNs = 600'000'000'000;

/// True if what is wrong should be logged: its kind is news, or it has lasted for long.
/// Messages of some kinds change each time.
bool IsWorthLogging(const Answer &answer)
{
    static Outcome logged = Outcome::kClaimed;
    static std::int64_t logged_ns = 0;
    const std::int64_t now_ns = MonotonicNanoseconds();
    if (answer.outcome == logged && now_ns - logged_ns < kLogAgainNs)
        return false;
    logged = answer.outcome;
    logged_ns = now_ns;
    return true;
}

} // namespace

void NoteTrouble(const SharedState &state, const Answer &answer)
{
    if (answer.outcome == Outcome::kInterrupted)
        return;
    const bool news = NoteClaimError(answer.message);
    if (!IsWorthLogging(answer))
        return;
    if (answer.message[0] == '\0') {
        if (news)
            ereport(LOG, (errmsg("timeshard's registry answers again")));
        return;
    }
    ereport(WARNING, (errmsg("trouble with timeshard's registry: %s", answer.message),
                      errhint("See \"When there is no claim\" in " TIMESHARD_MANUAL
                              "doc/claimed-node-ids.md."),
                      HasClaim(state) ? errdetail("The claim of node ID %d holds until %s.",
                                                  CurrentNodeId(state.header),
                                                  TimeText(state.header.identity.custom_epoch +
                                                           state.header.claim_end.load()))
                                      : 0));
}

} // namespace timeshard
