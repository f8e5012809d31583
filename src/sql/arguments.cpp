#include "../core/layout.hpp"

#include "../server/postgres.hpp"

#include "arguments.hpp"

namespace timeshard {

void CheckId(std::int64_t id)
{
    if (id < 0)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("ID must not be negative"),
                        errdetail("The ID is %lld.", static_cast<long long>(id))));
}

void CheckNodeIdBits(std::int32_t node_id_bits)
{
    if (node_id_bits < kMinNodeIdBits || node_id_bits > kMaxNodeIdBits)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("node ID bits must be between %d and %d", kMinNodeIdBits, kMaxNodeIdBits),
                 errdetail("The value is %d.", node_id_bits)));
}

void CheckEpoch(std::int64_t epoch)
{
    if (epoch < kMinEpoch || epoch > kMaxEpoch)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("epoch must be between %lld and %lld", static_cast<long long>(kMinEpoch),
                        static_cast<long long>(kMaxEpoch)),
                 errdetail("The value is %lld; it counts milliseconds since 1970.",
                           static_cast<long long>(epoch))));
}

} // namespace timeshard
