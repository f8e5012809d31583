#!/bin/sh
# Every test but the mutants, on throw-away servers: installs what is missing,
# builds in a folder of its own, runs the core's tests, pg_regress and the TAP
# tests, and leaves nothing behind but, after a failure, that folder.
#
#   usage: run.sh [unit|fuzz|model|regress|tap ...]   all of them if none is named
#   TAP="test/t/clock_steps.pl test/t/mark_*.pl"      only these TAP tests
#   JOBS=N                                            processors to use
#   EMULATED=1                                        without what is slow or cannot run on an
#                                                     emulated processor: see versions.sh
set -eu
to_top=..
stages=${*:-unit fuzz model regress tap}
jobs=${JOBS:-$(nproc 2>/dev/null || echo 2)}
tap_jobs=${JOBS:-$((jobs + jobs / 2))} # those tests wait more than they work
for stage in $stages; do
  case $stage in
  unit | fuzz | model | regress | tap) ;;
  *)
    echo "no such stage: $stage" >&2
    exit 2
    ;;
  esac
done

"$(dirname "$0")/install_packages.sh" test
keep_on_failure=1
. "$(dirname "$0")/sandbox.sh"

say() { printf '\n== %s\n' "$*"; }

say "Building in $work"
make_sandbox
as_user make -s -j"$jobs" -C "$work/src" PG_CONFIG="$pg_config" TIMESHARD_CXXFLAGS=-Werror \
  ${EMULATED:+with_llvm=no} install >"$work/build.log" 2>&1 ||
  { cat "$work/build.log"; exit 1; }
"$work/src/test/check_library.sh" "$("$pg_config" --pkglibdir)"
[ -n "${EMULATED:-}" ] || "$work/src/test/check_sources.sh" "$work/src" "$pg_config"

for stage in $stages; do
  case $stage in
  unit)
    say "The core, without PostgreSQL (plain, with sanitizers, with clang)"
    target=all
    [ -z "${EMULATED:-}" ] || target=check-brief
    as_user make -s -j"$jobs" -C "$work/src/test/unit" BUILD="$work/unit" "$target"
    ;;
  fuzz)
    say 'Hostile input to the core, briefly'
    as_user make -s -j"$jobs" -C "$work/src/test/fuzz" BUILD="$work/fuzz" all
    ;;
  model)
    say 'The protocol, model-checked'
    as_user "$work/src/test/model/run.sh" "$work/model"
    ;;
  regress)
    say 'SQL, by pg_regress'
    as_user "$bindir/initdb" -D "$work/data" -N -A trust -U postgres >"$work/initdb.log"
    as_user "$bindir/pg_ctl" -D "$work/data" -l "$work/regress.log" -w \
      -o "-c listen_addresses='' -c unix_socket_directories='$work'" start >/dev/null
    as_user env PGHOST="$work" PGUSER=postgres make -s -C "$work/src" PG_CONFIG="$pg_config" installcheck ||
      { cat "$work/src/regression.diffs"; exit 1; }
    as_user "$bindir/pg_ctl" -D "$work/data" -m fast -w stop >/dev/null
    ;;
  tap)
    say 'Real servers, by TAP'
    pgxs_dir=$(dirname "$("$pg_config" --pgxs)")/../..
    # A checkout has 1.0.0's sources, for test/t/upgrade_library.pl; an archive has not.
    released=$work/1.0.0
    mkdir "$released"
    if git -C "$here" archive 49b67ae Makefile timeshard.control src sql 2>/dev/null >"$work/1.0.0.tar"; then
      tar -xf "$work/1.0.0.tar" --no-same-owner -C "$released"
      export TIMESHARD_SOURCES_1_0_0="$released"
    fi
    as_user sh -c 'cd "$1/src" && shift && PATH="$1:$PATH" PG_REGRESS="$2/src/test/regress/pg_regress" \
      TESTDIR="$PWD" TESTDATADIR="$PWD/tmp_check" TESTLOGDIR="$PWD/tmp_check/log" PG_TEST_TIMEOUT_DEFAULT=180 prove -j "$3" --timer -I test/lib -I "$2/src/test/perl" $4' \
      sh "$work" "$bindir" "$pgxs_dir" "$tap_jobs" "${TAP:-test/t/*.pl}" ||
      exit 1 # not by 255, which prove has for a bail-out: clean_up takes that for a signal
    ;;
  esac
done
