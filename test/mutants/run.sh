#!/bin/bash
# Breaks the code on purpose, one patch at a time, and sees whether the tests
# notice.
#
#   usage: run.sh [MUTANT...]       all of them, or those named (001 will do)
#
#   PG_CONFIG=...   the PostgreSQL to copy the private server from
#   VERBOSE=1       also print the first failure that caught each mutant
#   KEEP=DIR        keep the logs of all stages there
#
# A mutant is a patch in this directory. Its heading says what it breaks, and
# may carry
#   Tests: test/t/…   TAP files that must catch what the cheaper stages cannot
#   Timeout: caught   a stage that runs out of time has caught it; for every
#                     other mutant that is an error, as is a patch that does
#                     not apply or compile
# timeshard--VERSION.sql stands for the newest release's script.
# Stages, from cheap to dear, until one fails: unit tests (where src/core is
# patched), pg_regress, then the TAP files that the mutant names. The unmutated
# tree goes first and must pass them all.
#
# Exit: 0 all caught, 1 some survived, 2 an error. Root becomes the user postgres.
set -euo pipefail

unit_seconds=180
regress_seconds=180
tap_seconds=600

fail() {
  echo "run.sh: $*" >&2
  exit 2
}

# The sources in $work/src, a private PostgreSQL in $work/server, as_user.
to_top=../..
. "$(dirname "$0")/../sandbox.sh"
make_sandbox
mutants=$work/original/test/mutants
tree=$work/src # every mutant in its turn, so that what was built for the original stays good
logs=$(realpath -m "${KEEP:-$work/logs}")
cluster=$work/cluster
pgxs_src=$(cd "$(dirname "$("$pg_config" --pgxs)")/.." && pwd)
as_user cp -R "$tree" "$work/original"
mkdir -p "$logs"
cd "$work"

# Nothing of the caller's may reach the tests.
for name in $(compgen -e); do
  case $name in PG* | TIMESHARD_*) [ "$name" = PG_TEST_TIMEOUT_DEFAULT ] || unset "$name" ;; esac
done
export LC_ALL=C PG_TEST_TIMEOUT_DEFAULT=${PG_TEST_TIMEOUT_DEFAULT:-60}

export user work
export -f as_user

stage=
interrupted() {
  if [ -n "$stage" ]; then
    kill "$stage" 2>/dev/null || true # timeout, which passes it on to its group
    wait "$stage" 2>/dev/null || true
  fi
  exit "$1" # on to the sandbox's clean_up
}
trap 'interrupted 130' INT
trap 'interrupted 143' TERM HUP

# A stage that fails may leave its servers running.
stop_servers() {
  local pid_file
  find "$work" -name postmaster.pid 2>/dev/null | while read -r pid_file; do
    as_user "$bindir/pg_ctl" -D "$(dirname "$pid_file")" -m immediate -w stop >/dev/null 2>&1 || true
  done
}

# attempt LOG SECONDS COMMAND...: sets outcome to passed, failed or timeout.
# In the background, so that an interruption is answered at once.
attempt() {
  local log=$1 seconds=$2 status=0
  shift 2
  timeout -k 30 "$seconds" bash -c 'as_user "$@"' as_user "$@" >"$log" 2>&1 </dev/null &
  stage=$!
  wait "$stage" || status=$?
  stage=
  case $status in
    0) outcome=passed ;;
    124 | 137) outcome=timeout ;;
    *) outcome=failed ;;
  esac
}

# must NAME LOG SECONDS COMMAND...: what has to succeed for the rest to mean anything.
must() {
  local name=$1 log=$2
  shift
  attempt "$@"
  [ "$outcome" = passed ] && return 0
  tail -n 30 "$log" >&2
  complaint="$name: $outcome"
  return 1
}

build() {
  must "does not build" "$1/build.log" 600 make -C "$tree" -j2 with_llvm=no PG_CONFIG="$pg_config" \
    TIMESHARD_CXXFLAGS=-Werror install || return 1
  [ "$2" = no ] || must "unit tests do not build" "$1/unit-build.log" 600 \
    make -C "$tree/test/unit" -j2 BUILD=build build/plain/unit_tests
}

regress() {
  rm -rf "$cluster"
  as_user cp -R "$cluster.new" "$cluster"
  must "server does not start" "$1/start.log" 60 "$bindir/pg_ctl" -D "$cluster" -w -l "$cluster.log" start ||
    return 1
  attempt "$1/regress.log" "$regress_seconds" env PGHOST="$cluster" PGPORT=5432 \
    make -C "$tree" with_llvm=no PG_CONFIG="$pg_config" installcheck
  stop_servers
}

tap() {
  attempt "$1/$(basename "$2").log" "$tap_seconds" env -C "$tree" PATH="$bindir:$PATH" TESTDIR="$tree" \
    TESTDATADIR="$tree/tmp_check" TESTLOGDIR="$tree/tmp_check/log" PG_CONFIG="$pg_config" PG_REGRESS="$pgxs_src/test/regress/pg_regress" \
    prove -v -I test/t -I "$pgxs_src/test/perl" "$2"
  stop_servers
  rm -rf "$tree/tmp_check"
}

# Runs stages until one does not pass; sets caught_by (empty if none) and outcome.
# run_stages LOGS WITH_UNIT TAP_FILE...
run_stages() {
  local dir=$1 unit=$2 file
  shift 2
  caught_by=
  mkdir -p "$dir"
  build "$dir" "$unit" || return 1
  if [ "$unit" = yes ]; then
    # At the first failure: a later test may hang on what is broken.
    attempt "$dir/unit.log" "$unit_seconds" env GTEST_FAIL_FAST=1 make -C "$tree/test/unit" BUILD=build check
    [ "$outcome" = passed ] || { caught_by=unit; return 0; }
  fi
  regress "$dir" || return 1
  [ "$outcome" = passed ] || { caught_by=regress; return 0; }
  for file in "$@"; do
    tap "$dir" "$file"
    [ "$outcome" = passed ] || { caught_by=$file; return 0; }
  done
}

heading() { sed -n "/^--- /q; s/^$2: *//p" "$1"; }

show_failure() {
  local log
  case $2 in test/t/*) log=$1/$(basename "$2").log ;; *) log=$1/$2.log ;; esac
  grep -m1 -E '^not ok|\[ +FAILED +\]|\.\.\. FAILED|^# .*exited|Bail out' "$log" || tail -n 1 "$log"
}

# The mutants asked for, and the TAP files that they name.
version=$(sed -n "s/^default_version *= *'\(.*\)'/\1/p" "$work/original/timeshard.control")
chosen=()
for wanted in "${@:-}"; do
  found=("$mutants/${wanted%.patch}"*.patch)
  [ -e "${found[0]}" ] || fail "there is no mutant $wanted"
  chosen+=("${found[@]}")
done
tap_files=$(for patch in "${chosen[@]}"; do heading "$patch" Tests; done | tr ' ' '\n' | sort -u)
for file in $tap_files; do
  [ -e "$work/original/$file" ] || fail "a mutant names $file, which does not exist"
done

as_user "$bindir/initdb" -D "$cluster.new" -A trust -E UTF8 --locale=C.UTF-8 -N >"$logs/initdb.log"
cat >>"$cluster.new/postgresql.conf" <<CONF
listen_addresses = ''
unix_socket_directories = '$cluster'
port = 5432
fsync = off
CONF

echo "the unmutated tree first, with" $tap_files >&2
# shellcheck disable=SC2086 # a list of names without blanks
run_stages "$logs/unmutated" yes $tap_files || fail "the unmutated tree: $complaint"
if [ -n "$caught_by" ]; then
  tail -n 30 "$logs/unmutated/$(basename "$caught_by").log" >&2
  fail "the unmutated tree: $caught_by: $outcome; nothing can be said about the mutants"
fi
mv "$tree" "$work/built"

caught=0 survived=0 errors=0
for patch in "${chosen[@]}"; do
  name=$(basename "$patch" .patch)
  rm -rf "$tree"
  as_user cp -a "$work/built" "$tree"
  mkdir -p "$logs/$name"
  unit=no
  grep -q '^+++ b/src/core/' "$patch" && unit=yes
  complaint="does not apply"
  if ! sed "s/timeshard--VERSION/timeshard--$version/" "$patch" |
    as_user patch -d "$tree" -p1 -F0 --no-backup-if-mismatch >"$logs/$name/patch.log" 2>&1 ||
    ! run_stages "$logs/$name" "$unit" $(heading "$patch" Tests); then
    errors=$((errors + 1))
    echo "ERROR, $complaint: $name"
  elif [ -z "$caught_by" ]; then
    survived=$((survived + 1))
    echo "SURVIVED: $name"
  elif [ "$outcome" = timeout ] && [ "$(heading "$patch" Timeout)" != caught ]; then
    errors=$((errors + 1))
    echo "ERROR, out of time in $caught_by: $name"
  else
    caught=$((caught + 1))
    echo "caught by $caught_by: $name"
    [ -z "${VERBOSE:-}" ] || echo "    $(show_failure "$logs/$name" "$caught_by")"
  fi
done

echo "caught $caught of ${#chosen[@]}"
[ "$errors" -eq 0 ] || exit 2
[ "$survived" -eq 0 ] || exit 1
