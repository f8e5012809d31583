# Timeshard, built by PGXS. `make help` lists what there is.

EXTENSION = timeshard
MODULE_big = timeshard
DATA = $(sort $(wildcard sql/timeshard--*.sql))
OBJS = $(patsubst %.cpp,%.o,$(sort $(wildcard src/core/*.cpp src/pg/*.cpp)))

REGRESS = install generate text parse config
REGRESS_OPTS = --inputdir=$(srcdir) --load-extension=timeshard

# 15's port/atomics/arch-x86.h says "register", which C++17 has dropped.
PG_CXXFLAGS = -std=c++20 -fno-exceptions -fno-rtti -Wall -Wextra -Wno-register $(TIMESHARD_CXXFLAGS)

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
include $(PGXS)
COMPILE.cxx.bc += $(PG_CXXFLAGS)
$(OBJS): $(wildcard src/core/*.hpp src/pg/*.hpp)
