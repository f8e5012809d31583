#!/bin/sh
# Puts the sources into FOLDER/timeshard-VERSION, without what a build or a test
# has left beside them, and prints that name: from the last commit where this is
# a git checkout, else from the files that lie here.
#
#   usage: export.sh FOLDER
set -eu
folder=$(CDPATH= cd -- "$1" && pwd)
cd "$(dirname -- "$0")/../.."

# The distribution's own version stands three blanks in; what it provides has a
# version too, further in.
version_of() { sed -n 's/^   "version": *"\([^"]*\)".*/\1/p'; }

# Where git refuses (a checkout of another owner), these would be the files as they lie here.
if [ -e .git ] && ! git rev-parse --verify --quiet HEAD >/dev/null; then
  echo 'This is a git checkout, but git cannot read its last commit:' >&2
  git log -1 >&2 || :
  exit 1
fi

# A folder that came out of an archive may lie in the checkout of something else.
if top=$(git rev-parse --show-toplevel 2>/dev/null) && [ "$top" -ef . ]; then
  [ -z "$(git status --porcelain)" ] || echo 'The archive has the sources of the last commit, without later changes.' >&2
  version=$(git show HEAD:META.json | version_of)
  take() { git archive HEAD; }
else
  version=$(version_of <META.json)
  take() {
    find . \( -name .git -o -name build -o -name tmp_check -o -name results -o -name log -o -name 'bench-report*' \) -prune \
      -o -type f ! -name '*.o' ! -name '*.bc' ! -name '*.so' ! -name '*.zip' ! -name 'regression.*' \
      ! -path "./sql/timeshard--$version.sql" -print |
      LC_ALL=C sort | tar -cf - -T -
  }
fi
[ -n "$version" ] || { echo 'META.json has no version' >&2; exit 1; }

name=timeshard-$version
mkdir "$folder/$name"
take >"$folder/export.tar"
tar -xf "$folder/export.tar" -C "$folder/$name"
rm "$folder/export.tar"
echo "$name"
