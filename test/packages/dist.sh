#!/bin/sh
# Makes the archive that PGXN takes, timeshard-VERSION.zip: from the last commit
# where this is a git checkout, else from the files that lie here.
#
#   usage: dist.sh [FOLDER]        where to put it; the checkout if not named
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")/../.." && pwd)
folder=$(CDPATH= cd -- "${1:-$here}" && pwd)
cd "$here"

# The distribution's own version is the first in the file, its META.json's says;
# what it provides has one of its own, further in.
version_of() { sed -n 's/^   "version": *"\([^"]*\)".*/\1/p'; }

# An extracted archive may lie inside the checkout of something else.
if top=$(git rev-parse --show-toplevel 2>/dev/null) && [ "$top" -ef . ]; then
  version=$(git show HEAD:META.json | version_of)
else
  top=
  version=$(version_of <META.json)
fi
[ -n "$version" ] || { echo 'META.json has no version' >&2; exit 1; }
name=timeshard-$version
archive=$folder/$name.zip
rm -f "$archive"

if [ -n "$top" ]; then
  [ -z "$(git status --porcelain)" ] || echo 'The archive is of the last commit: changes since then are not in it.' >&2
  git archive --format=zip --prefix="$name/" -o "$archive" HEAD
else
  work=$(mktemp -d "${TMPDIR:-/tmp}/timeshard.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  mkdir "$work/$name"
  test/packages/files.sh | tar -cf - -T - | tar -xf - -C "$work/$name"
  cd "$work"
  if command -v zip >/dev/null 2>&1; then
    zip -qrX "$archive" "$name"
  elif command -v python3 >/dev/null 2>&1; then
    python3 -m zipfile -c "$archive" "$name"
  else
    echo 'zip or python3 is needed to make the archive' >&2
    exit 1
  fi
fi
echo "$archive"
