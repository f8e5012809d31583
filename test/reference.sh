#!/bin/sh
# Writes doc/reference.md anew, from a server that is built and started for it.
set -eu
to_top=..

"$(dirname "$0")/install_packages.sh" test
. "$(dirname "$0")/sandbox.sh"
make_sandbox
as_user make -s -j"${JOBS:-$(nproc 2>/dev/null || echo 2)}" -C "$work/src" PG_CONFIG="$pg_config" install >"$work/build.log" 2>&1 ||
  { cat "$work/build.log"; exit 1; }
pgxs_dir=$(dirname "$("$pg_config" --pgxs)")/../..
as_user sh -c 'cd "$1/src" && PATH="$2:$PATH" PG_REGRESS="$3/src/test/regress/pg_regress" TESTDIR="$PWD" \
  REFERENCE_UPDATE=1 prove -I test/lib -I "$3/src/test/perl" test/t/manual_reference.pl' sh "$work" "$bindir" "$pgxs_dir"
cat "$work/src/doc/reference.md" >"$here/doc/reference.md"
echo "doc/reference.md is written."
