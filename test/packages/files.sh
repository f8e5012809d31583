#!/bin/sh
# Lists the files that belong to the sources, one a line, without what a build
# or a test has left beside them.
set -eu
cd "$(dirname -- "$0")/../.."
find . \( -name .git -o -name build -o -name tmp_check -o -name results -o -name log -o -name bench-report \) -prune \
  -o -type f ! -name '*.o' ! -name '*.bc' ! -name '*.so' ! -name '*.zip' ! -name 'regression.*' -print
