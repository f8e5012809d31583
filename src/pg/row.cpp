#include "row.hpp"

namespace timeshard::pg {

Datum RowDatum(FunctionCallInfo fcinfo, Datum *values, bool *nulls)
{
    TupleDesc descriptor;
    if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE)
        elog(ERROR, "return type must be a row type");
    return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls));
}

} // namespace timeshard::pg
