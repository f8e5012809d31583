#!/bin/sh
# Ten million hostile inputs (or RUNS) to each text entry of the core.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
"$here/install_packages.sh" test
exec make -j"$(nproc)" -C "$here/fuzz" RUNS="${RUNS:-10000000}" long
