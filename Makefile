# Timeshard, built by PGXS. `make help` lists the targets.

EXTENSION = timeshard
MODULE_big = timeshard
DATA = $(sort $(wildcard sql/timeshard--*.sql))
OBJS = $(patsubst %.cpp,%.o,$(sort $(wildcard src/core/*.cpp src/pg/*.cpp)))
OUR_HEADERS = $(wildcard src/core/*.hpp src/pg/*.hpp)

# pg_regress: passes on any server that has the extension installed.
REGRESS = extension generate text parse config contexts stats time codes batch horizon
REGRESS_OPTS = --inputdir=. --encoding=UTF8 --no-locale

# 15's port/atomics/arch-x86.h says "register", which C++17 dropped. Without
# exceptions and RTTI the library needs no C++ runtime.
PG_CXXFLAGS = -std=c++20 -fno-exceptions -fno-rtti -Wall -Wextra -Wno-register \
    -DTIMESHARD_VERSION='"$(VERSION_HERE)"' $(TIMESHARD_CXXFLAGS)
VERSION_HERE := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" timeshard.control)

# Servers load libraries into one name space: without this, a second copy of the
# library in a session (another version, under another path) would run the code
# of the first.
SHLIB_LINK = -Wl,-Bsymbolic

EXTRA_CLEAN = build tmp_check

# What a plain `make` does, whichever rule comes first.
.DEFAULT_GOAL = all

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)

.PHONY: help demo test test-versions test-mutants test-fuzz bench bench-generation bench-mark bench-horizon
# Targets that need no PostgreSQL yet: they install what is missing.
demo:
	@test/demo.sh

test:
	@test/run.sh $(STAGES)

test-versions:
	@test/versions.sh

test-mutants:
	@test/mutants/run.sh $(MUTANTS)

test-fuzz:
	@test/fuzz.sh

bench:
	@test/bench/bench.sh

bench-generation:
	@test/bench/generation.sh

bench-mark:
	@test/bench/mark.sh

bench-horizon:
	@test/bench/horizon.sh

help:
	@echo 'make                    build against the server that PG_CONFIG names'
	@echo 'make install            install there (make uninstall removes it)'
	@echo 'make installcheck       pg_regress on the running server that PGHOST, PGPORT name'
	@echo 'make demo               Timeshard at its main job on a throw-away server'
	@echo 'make test               every test but the mutants, on throw-away servers'
	@echo 'make test-versions      the same on each version that Debian offers, in throw-away roots'
	@echo 'make test-mutants       break the code on purpose, see the tests notice'
	@echo 'make test-fuzz          ten million hostile inputs to each text entry of the core'
	@echo 'make bench              Timeshard beside its rivals: a report with plots (OUT=folder, QUICK=1)'
	@echo 'make bench-generation   what an ID costs, as ratios'
	@echo 'make bench-mark         what the durable mark costs, against the release without it'
	@echo 'make bench-horizon      what the horizon costs, against the release without it'

ifneq ($(PGXS),)
all:
include $(PGXS)

# PGXS leaves the flags out of the bitcode step, and headers out of the rules.
COMPILE.cxx.bc += $(PG_CXXFLAGS)
$(OBJS) $(OBJS:.o=.bc): $(OUR_HEADERS) Makefile timeshard.control
else ifeq ($(filter demo test test-versions test-mutants test-fuzz bench bench-generation bench-mark bench-horizon help,$(MAKECMDGOALS)),)
$(error $(PG_CONFIG) is not there: install the server's development files (Debian: \
postgresql-server-dev-15), or name another with PG_CONFIG=)
endif
