#pragma once

#include "postgres.hpp"

namespace timeshard::pg {

/// A row of the calling function's result type.
Datum RowDatum(FunctionCallInfo fcinfo, Datum *values, bool *nulls);

} // namespace timeshard::pg
