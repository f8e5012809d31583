#pragma once

#include "locks.hpp"
#include "postgres.hpp"

namespace timeshard {

/// Finds the structure of that name in the server's shared memory, or makes it, from
/// the reserve that every server keeps after its start unless space was requested.
/// Null if that is used up, which stays so until the server's next start.
/// `initialise` gets the new structure, under the lock.
template <typename Structure, typename Initialise>
Structure *FindOrMake(const char *name, Size size, Initialise &&initialise)
{
    const MemoryContext context = CurrentMemoryContext;
    Structure *volatile result = nullptr;
    PG_TRY();
    {
        WithServerLock(AddinShmemInitLock, LW_EXCLUSIVE, [&] {
            bool found;
            auto *structure = static_cast<Structure *>(ShmemInitStruct(name, size, &found));
            if (!found)
                initialise(structure);
            result = structure;
        });
    }
    PG_CATCH();
    {
        // ShmemInitStruct has undone what it did, and holds no lock.
        if (geterrcode() != ERRCODE_OUT_OF_MEMORY)
            PG_RE_THROW();
        MemoryContextSwitchTo(context);
        FlushErrorState();
    }
    PG_END_TRY();
    return result;
}

} // namespace timeshard
