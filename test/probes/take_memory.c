/* A server's function that takes so many bytes of its shared memory for good, as other
 * extensions and the server's own locks may. */
#include "postgres.h"

#include "fmgr.h"
#include "storage/shmem.h"

PG_MODULE_MAGIC;
PG_FUNCTION_INFO_V1(take_memory);

Datum take_memory(PG_FUNCTION_ARGS)
{
    if (ShmemAllocNoError(PG_GETARG_INT64(0)) == NULL)
        elog(ERROR, "the memory is not there to be taken");
    PG_RETURN_VOID();
}
