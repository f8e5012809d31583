#pragma once

#include <cstddef>

#include "../server/postgres.hpp"

/// SQL rows.
namespace timeshard {

/// The calling function's row type, looked up once a query. Raises an error unless it
/// has `columns` columns: an ALTER EXTENSION may have updated the catalog while the
/// session still has the old library.
TupleDesc ResultDescriptor(FunctionCallInfo fcinfo, int columns);

/// A row of the calling function's result type.
template <std::size_t columns>
Datum RowDatum(FunctionCallInfo fcinfo, Datum (&values)[columns], bool (&nulls)[columns])
{
    TupleDesc descriptor = ResultDescriptor(fcinfo, columns);
    return HeapTupleGetDatum(heap_form_tuple(descriptor, values, nulls));
}

} // namespace timeshard
