#include "row.hpp"

namespace timeshard {

TupleDesc ResultDescriptor(FunctionCallInfo fcinfo, int columns)
{
    if (fcinfo->flinfo->fn_extra != nullptr)
        return static_cast<TupleDesc>(fcinfo->flinfo->fn_extra);

    TupleDesc descriptor;
    const MemoryContext caller = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
    if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE)
        elog(ERROR, "return type must be a row type");
    if (descriptor->natts != columns)
        ereport(ERROR,
                (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                 errmsg("the extension timeshard is of another version than the library"),
                 errdetail("The function returns %d columns, and the library makes %d.",
                           descriptor->natts, columns),
                 errhint("Restart the server. See \"Upgrade and uninstall\" in " TIMESHARD_MANUAL
                         "README.md.")));
    descriptor = BlessTupleDesc(CreateTupleDescCopy(descriptor));
    MemoryContextSwitchTo(caller);
    fcinfo->flinfo->fn_extra = descriptor;
    return descriptor;
}

} // namespace timeshard
