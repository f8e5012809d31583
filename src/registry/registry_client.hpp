#pragma once

#include "../core/claim.hpp"

#include <cstddef>
#include <cstdint>

/// One statement at the registry, over a connection of its own, without ever blocking for
/// longer than a deadline. (Names are resolved by the C library, which blocks; see
/// LimitNameResolution().)
namespace timeshard {

/// What came of a statement.
enum class Outcome : std::uint8_t {
    kClaimed,
    kExtended,
    kConfirmed,
    kEnded,
    kKept,     ///< the number rests: the claim holds until its end
    kNotYours, ///< the claim is someone else's, or no more
    kNoneFree,
    kRefused,     ///< the clocks or the layouts differ
    kError,       ///< the registry's error
    kUnreachable, ///< no answer
    kInterrupted, ///< this process has to end
};

struct Answer
{
    Outcome outcome;
    ClaimedInterval interval; ///< if kClaimed or kExtended
    std::int64_t free_at;     ///< if kNoneFree: when one will be free, ms since 1970; else 0
    char proof[256];          ///< if kClaimed, kExtended or kConfirmed
    char message[512];        ///< what is wrong, one line; empty if nothing is
    bool lost;                ///< no answer, but the registry may have done what was asked
};

/// Has names resolved in a second or two, or not at all, in this process.
void LimitNameResolution();

/// Runs `statement` with the parameters, which are text or null, at the registry that
/// `conninfo` names. It gives one row, as doc/registry-protocol.md has it. Gives up at
/// `deadline_ns`, monotonic, and, if `interruptible`, as soon as this process has to end.
Answer AskRegistry(const char *conninfo, const char *statement, int count,
                   const char *const *parameters, std::int64_t deadline_ns, bool interruptible);

} // namespace timeshard
