# Timeshard, built by PGXS. `make help` lists the targets.

# Packagers build in another folder than the sources' (VPATH): what is searched
# for is searched for here, and what is built has the same name there.
top := $(patsubst %/,%,$(dir $(firstword $(MAKEFILE_LIST))))
ours = $(sort $(patsubst $(top)/%,%,$(wildcard $(addprefix $(top)/,$(1)))))

EXTENSION = timeshard
MODULE_big = timeshard
# The first release's script, an upgrade script for each later one, and the script
# of this version, which is made from sql/timeshard.sql.
DATA = sql/timeshard--1.0.0.sql $(call ours,sql/timeshard--*--*.sql)
DATA_built = sql/timeshard--$(VERSION_HERE).sql
ROOMS = src/core src/server src/sql
OBJS = $(patsubst %.cpp,%.o,$(call ours,$(addsuffix /*.cpp,$(ROOMS))))
# The worker that claims node IDs, a library of its own: it needs libpq, and the other
# one needs libc alone. It is loaded after that one, and calls it.
REGISTRY = timeshard_registry$(DLSUFFIX)
REGISTRY_OBJS = $(patsubst %.cpp,%.o,$(call ours,src/registry/*.cpp))
OUR_HEADERS = $(call ours,$(addsuffix /*.hpp,$(ROOMS) src/registry))

# pg_regress: passes on any server that has the extension installed, but for one whose
# default isolation or strings are not PostgreSQL's own.
REGRESS = extension generate text parse config contexts stats time codes seal batch horizon largest typed_keys partitions registry
REGRESS_OPTS = --inputdir=$(top) --encoding=UTF8 --no-locale

# 15's port/atomics/arch-x86.h says "register", which C++17 dropped. Without
# exceptions and RTTI the library needs no C++ runtime.
# x86-64's prefetch for writing is used when asked for only; processors that do
# not know it ignore it.
PG_CXXFLAGS = -std=c++20 -fno-exceptions -fno-rtti -Wall -Wextra -Wno-register \
  $(if $(filter x86_64,$(host_cpu)),-mprfchw) -DTIMESHARD_VERSION='"$(VERSION_HERE)"' \
  -DTIMESHARD_MANUAL='"$(manual)/"' \
  $(TIMESHARD_CXXFLAGS)
VERSION_HERE := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" $(top)/timeshard.control)

# Servers load libraries into one name space: without this, a second copy of the
# library in a session (another version, under another path) would run the code
# of the first. macOS binds a library to itself anyway, and its linker knows no such option.
SHLIB_LINK = $(if $(filter darwin,$(PORTNAME)),,-Wl,-Bsymbolic)

# The manual, installed as it lies here: its pages link to each other, and hints name
# them by their paths. (PGXS's DOCS would put all into one folder.)
manual = $(docdir)/timeshard
MANUAL = README.md CHANGELOG.md $(call ours,doc/*.md doc/*.sql doc/*.py doc/*.tsv doc/benchmarks/*.md doc/benchmarks/*.svg doc/monitoring/*)
MANUAL_FOLDERS = $(addprefix $(DESTDIR)$(manual)/,$(sort $(dir $(MANUAL))))

EXTRA_CLEAN = build tmp_check

# What a plain `make` does, whichever rule comes first.
.DEFAULT_GOAL = all

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)

.PHONY: help demo test test-versions test-upgrade reference test-mutants test-fuzz dist deb test-packages
.PHONY: bench bench-generation bench-seal fleet fleet-real seal-trips test-citus
# Targets that need no PostgreSQL yet: they install what is missing.
demo:
	@test/demo.sh

test:
	@test/run.sh $(STAGES)

test-versions:
	@test/versions.sh

test-upgrade:
	@test/upgrade.sh

reference:
	@test/reference.sh

test-mutants:
	@test/mutants/run.sh $(MUTANTS)

test-fuzz:
	@test/fuzz.sh

bench:
	@test/bench/bench.sh

bench-generation:
	@test/bench/generation.sh

bench-seal:
	@test/bench/seal.sh

fleet:
	@$(MAKE) --no-print-directory -C $(top)/test/fleet run

fleet-real:
	@TAP=test/fleet/real.pl nice $(top)/test/run.sh tap

seal-trips:
	@$(MAKE) --no-print-directory -C $(top)/test/trips run

test-citus:
	@test/citus.sh

# These need no PostgreSQL either, or bring their own.
dist:
	@$(top)/test/packages/dist.sh

deb:
	@$(top)/test/packages/deb.sh

test-packages:
	@$(top)/test/packages/run.sh $(PACKAGES)

help:
	@echo 'make                    build for the server of PG_CONFIG'
	@echo 'make install            install there, with the manual (make uninstall removes it)'
	@echo 'make installcheck       run pg_regress on the running server of PGHOST and PGPORT'
	@echo 'make demo               run a short demo on a temporary server'
	@echo 'make test               run every test but the mutants, on temporary servers'
	@echo 'make test-versions      run them on each PostgreSQL that Debian offers (as root)'
	@echo 'make test-upgrade       test pg_upgrade from 15 to 17 (as root)'
	@echo 'make test-mutants       break the code on purpose and check that a test notices'
	@echo 'make test-fuzz          feed ten million hostile inputs to each text entry of the core'
	@echo 'make test-citus         test a coordinator and two workers, where Citus is installed'
	@echo 'make test-packages      test the PGXN archive and the Debian packages (as root)'
	@echo 'make reference          write doc/reference.md from the catalog and the sources'
	@echo 'make fleet              simulate 1,024 servers with wrong clocks, and with claimed node IDs (FLEETS=, IDS=, SEED=)'
	@echo 'make fleet-real         run 20 servers that claim their node IDs, through kills and wrong clocks (MINUTES=, SEED=)'
	@echo 'make seal-trips         seal a billion IDs to public codes and open them again (IDS=, SEED=)'
	@echo 'make dist               make the archive for PGXN, timeshard-VERSION.zip'
	@echo 'make deb                make the Debian packages, in build/deb'
	@echo 'make bench              compare Timeshard with its rivals: a report with plots (OUT=folder, QUICK=1)'
	@echo 'make bench-generation   measure what an ID costs, as ratios'
	@echo 'make bench-seal         measure what a public code costs, beside gen_random_uuid()'

ifneq ($(PGXS),)
all:
include $(PGXS)
# From 16 on PGXS hides what is not marked: _PG_init, whose declaration in fmgr.h is of
# another name space, and the functions that the registry's library calls.
override CXXFLAGS += -fvisibility=default

# The parts for partitions and for the registry stand in files of their own.
$(DATA_built): sql/timeshard.sql sql/timeshard_partitions.sql sql/timeshard_registry.sql
	@mkdir -p $(@D)
	sed -e '/^-- Here: timeshard_partitions.sql/r $(word 2,$^)' -e '/^-- Here: timeshard_registry.sql/r $(word 3,$^)' $< >$@

install: install-manual
uninstall: uninstall-manual
.PHONY: install-manual uninstall-manual
install-manual:
	$(MKDIR_P) $(MANUAL_FOLDERS)
	for file in $(MANUAL); do $(INSTALL_DATA) "$(top)/$$file" '$(DESTDIR)$(manual)/'"$$file" || exit 1; done
uninstall-manual:
	rm -f $(addprefix '$(DESTDIR)$(manual)'/,$(MANUAL))
	[ ! -d '$(DESTDIR)$(manual)' ] || find '$(DESTDIR)$(manual)' -depth -type d -empty -delete

# PGXS leaves the flags out of the bitcode step, and headers out of the rules.
COMPILE.cxx.bc += $(PG_CXXFLAGS)
$(OBJS) $(OBJS:.o=.bc) $(REGISTRY_OBJS): $(OUR_HEADERS) Makefile timeshard.control | $(addprefix $(CURDIR)/,$(ROOMS) src/registry)
$(addprefix $(CURDIR)/,$(ROOMS) src/registry):
	@mkdir -p $@

# PGXS makes one library; the rules of the second are the like of its own.
.PHONY: install-registry uninstall-registry clean-registry
all: $(REGISTRY)
install: install-registry
uninstall: uninstall-registry
clean: clean-registry
$(REGISTRY_OBJS): override CPPFLAGS += -I$(libpq_srcdir)
# On macOS what the server loads is a bundle, whose symbols are found when it is loaded.
REGISTRY_LINK = $(if $(filter darwin,$(PORTNAME)),-bundle -undefined dynamic_lookup,-shared)
$(REGISTRY): $(REGISTRY_OBJS)
	$(CXX) $(CXXFLAGS) $^ $(LDFLAGS) $(LDFLAGS_SL) $(REGISTRY_LINK) $(SHLIB_LINK) $(libpq) -o $@
install-registry: $(REGISTRY) | installdirs
	$(INSTALL_SHLIB) $< '$(DESTDIR)$(pkglibdir)/'
uninstall-registry:
	rm -f '$(DESTDIR)$(pkglibdir)/$(REGISTRY)'
clean-registry:
	rm -f $(REGISTRY) $(REGISTRY_OBJS)
else ifeq ($(filter demo test test-versions test-upgrade reference test-mutants test-fuzz dist deb test-packages \
  bench bench-generation bench-seal fleet fleet-real seal-trips test-citus help,$(MAKECMDGOALS)),)
$(error $(PG_CONFIG) is not there: install the server's development files (Debian: \
postgresql-server-dev-15), or name another with PG_CONFIG=)
endif
