#!/bin/sh
# Makes the archive that PGXN takes, timeshard-VERSION.zip, and prints its name.
#
#   usage: dist.sh [FOLDER]        where to put it; the checkout if not named
set -eu
tools=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
folder=$(CDPATH= cd -- "${1:-$tools/../..}" && pwd)

if command -v zip >/dev/null 2>&1; then
  pack() { zip -qrX "$1" "$2"; }
elif command -v python3 >/dev/null 2>&1; then
  pack() { python3 -m zipfile -c "$1" "$2"; }
elif command -v git >/dev/null 2>&1; then
  pack() { (cd "$2" && git init -q . && git add -Af . && git archive --format=zip --prefix="$2/" -o "$1" "$(git write-tree)"); }
else
  echo 'Please install zip, python3 or git: one of them makes the archive.' >&2
  exit 1
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/timeshard.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
name=$("$tools/export.sh" "$work")
cd "$work"
pack "$work/$name.zip" "$name"
mv "$name.zip" "$folder/"
echo "$folder/$name.zip"
