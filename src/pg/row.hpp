#pragma once

#include <cstddef>

#include "postgres.hpp"

namespace timeshard::pg {

/// The calling function's row type, looked up once a query. Raises an error unless
/// it has `columns` columns: the extension can have been updated in the catalog while
/// the session has the old library.
TupleDesc ResultDescriptor(FunctionCallInfo fcinfo, int columns);

/// A row of the calling function's result type.
template <std::size_t columns>
Datum RowDatum(FunctionCallInfo fcinfo, Datum (&values)[columns], bool (&nulls)[columns])
{
    TupleDesc descriptor = ResultDescriptor(fcinfo, columns);
    return HeapTupleGetDatum(heap_form_tuple(descriptor, values, nulls));
}

} // namespace timeshard::pg
