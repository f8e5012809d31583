/// The SQL function that makes many IDs, and its planner support.

#include <cstdint>

#include "../server/compat.hpp"
#include "../server/generation.hpp"

#include "copy.hpp"

namespace timeshard {
namespace {

/// The most IDs in a row that one reservation takes: enough that its cost is no
/// longer felt, and few enough that with one node bit no batch takes a whole
/// millisecond of two million from everybody else.
constexpr std::int32_t kLongestRun = 1024;

/// What is left of a batch.
struct Batch
{
    std::int64_t next;
    std::int32_t in_run; ///< IDs reserved and not yet returned
    std::int32_t to_reserve;
};

void StartBatch(FunctionCallInfo fcinfo, FuncCallContext *context)
{
    const std::int32_t count = PG_GETARG_INT32(0);
    if (count < 0)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("count must not be negative"),
                 errdetail("The count is %d.", count)));
    auto *batch =
        static_cast<Batch *>(MemoryContextAllocZero(context->multi_call_memory_ctx, sizeof(Batch)));
    batch->to_reserve = count;
    context->user_fctx = batch;
}

void Reserve(Batch *batch)
{
    const Run run = NextRun("timeshard_next_ids()", Min(batch->to_reserve, kLongestRun));
    batch->next = run.first;
    batch->in_run = run.count;
    batch->to_reserve -= run.count;
}

/// The rows that a call with a known count gives; false if it is not known.
bool EstimateRows(SupportRequestRows *request)
{
    if (request->node == nullptr || !IsA(request->node, FuncExpr))
        return false;
    auto *count = static_cast<Node *>(linitial(reinterpret_cast<FuncExpr *>(request->node)->args));
    count = estimate_expression_value(request->root, count);
    if (!IsA(count, Const))
        return false;
    const auto *constant = reinterpret_cast<const Const *>(count);
    request->rows = constant->constisnull ? 0 : Max(DatumGetInt32(constant->constvalue), 0);
    return true;
}

} // namespace

extern "C" {

PG_FUNCTION_INFO_V1(timeshard_next_ids);
PG_FUNCTION_INFO_V1(timeshard_next_ids_support);

/// timeshard_next_ids(count integer) → setof bigint
Datum timeshard_next_ids(PG_FUNCTION_ARGS)
{
    if (SRF_IS_FIRSTCALL()) {
        FuncCallContext *created = SRF_FIRSTCALL_INIT();
        StartBatch(fcinfo, created);
    }
    FuncCallContext *context = SRF_PERCALL_SETUP();
    auto *batch = static_cast<Batch *>(context->user_fctx);

    if (batch->in_run == 0) {
        if (batch->to_reserve == 0)
            SRF_RETURN_DONE(context);
        Reserve(batch);
    }
    batch->in_run--;
    SRF_RETURN_NEXT(context, Int64GetDatum(batch->next++));
}

/// The planner's support function of all functions that make IDs: how many rows a batch
/// gives, and the calls that COPY makes. One for both, because every release has it: a
/// session that still runs an older library after an update finds it and goes on.
Datum timeshard_next_ids_support(PG_FUNCTION_ARGS)
{
    auto *request = reinterpret_cast<Node *>(PG_GETARG_POINTER(0));
    if (IsA(request, SupportRequestRows) &&
        EstimateRows(reinterpret_cast<SupportRequestRows *>(request)))
        PG_RETURN_POINTER(request);
    if (IsA(request, SupportRequestSimplify))
        PG_RETURN_POINTER(SimplifyForCopy(reinterpret_cast<SupportRequestSimplify *>(request)));
    PG_RETURN_POINTER(kNullPointer);
}
}

} // namespace timeshard
