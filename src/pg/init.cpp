#include "shared_state.hpp"

#include "postgres.hpp"
#include "promotion.hpp"
#include "settings.hpp"

extern "C" {

TIMESHARD_MODULE_MAGIC;

void _PG_init(void)
{
    timeshard::pg::DefineSettings();
    timeshard::pg::PrepareSharedState();
    timeshard::pg::RegisterPromotionWorker();
}
}
