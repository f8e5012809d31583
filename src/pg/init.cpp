#include "postgres.hpp"
#include "settings.hpp"
#include "shared_state.hpp"

extern "C" {

PG_MODULE_MAGIC;

void _PG_init(void)
{
    timeshard::pg::DefineSettings();
    timeshard::pg::PrepareSharedState();
}
}
