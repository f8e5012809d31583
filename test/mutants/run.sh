#!/bin/bash
# Breaks the code on purpose, one mutant at a time, and sees whether the test that
# each names notices. README.md tells what a mutant is.
#
#   usage: run.sh [PART...]      all, or those with a part in their name or first test:
#                                P1-unique, lost-exchange, test/unit, clock_steps
#
#   JOBS=N          mutants at a time (default: the number of processors)
#   RESULTS=FILE    also write the results there, and skip what it has decided
#   KEEP=DIR        keep each mutant's logs there
#   VERBOSE=1       also print the failure that caught each mutant
#   PG_CONFIG=...   the PostgreSQL to copy the private servers from
#
# Exit: 0 all caught, 1 some survived, 2 an error. Root becomes the user postgres.
set -euo pipefail

to_top=../..
. "$(dirname "$0")/../sandbox.sh"
here_results=${RESULTS:+$(realpath -m "$RESULTS")}
here_keep=${KEEP:+$(realpath -m "$KEEP")}
make_sandbox

# Nothing of the caller's may reach the tests.
for name in $(compgen -e); do
  case $name in PG* | TIMESHARD_*) unset "$name" ;; esac
done
export LC_ALL=C

JOBS=${JOBS:-$(nproc)} RESULTS=$here_results KEEP=$here_keep VERBOSE=${VERBOSE:-} ORIGINAL=$here \
  python3 -B "$work/src/test/mutants/run.py" "$work" "$user" "$pg_config" "$@" &
runner=$!
trap 'kill -TERM "$runner" 2>/dev/null; wait "$runner" || true; exit 143' INT TERM HUP
wait "$runner"
