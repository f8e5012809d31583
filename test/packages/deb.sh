#!/bin/sh
# Builds the Debian source package and, from it, one binary package for each
# PostgreSQL that this release of Debian has: postgresql-15-timeshard and so on.
# The tests of `make installcheck` are run on the way; DEB_BUILD_OPTIONS=nocheck
# leaves them out. Nothing is installed here.
#
#   usage: deb.sh [FOLDER]        where to put them; build/deb if not named
set -eu
tools=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
folder=${1:-$tools/../../build/deb}

missing=
need() { command -v "$2" >/dev/null 2>&1 || missing="$missing $1"; }
need build-essential dpkg-buildpackage
need build-essential g++
need debhelper dh
need postgresql-server-dev-all dh_pgxs_test
if [ -n "$missing" ]; then
  echo "Please run: apt-get install -y$missing postgresql-all" >&2
  exit 1
fi

mkdir -p "$folder"
folder=$(CDPATH= cd -- "$folder" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/timeshard.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
chmod 755 "$work" # the tests' server may run as another user

name=$("$tools/export.sh" "$work")
version=${name#timeshard-}
cd "$work"
# The date of the release, so that the same sources give the same package.
date=$(sed -n "s/^## $version (\([0-9-]*\)).*/\1/p" "$name/CHANGELOG.md")
SOURCE_DATE_EPOCH=$(date -u -d "${date:-now}" +%s)
export SOURCE_DATE_EPOCH
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -cf - "$name" |
  gzip -n9 >"timeshard_$version.orig.tar.gz"

cp -R "$name/test/packages/debian" "$name/debian"
cd "$name"
maintainer=$(sed -n 's/^Maintainer: //p' debian/control.in)
cat >debian/changelog <<CHANGELOG
timeshard ($version-1) unstable; urgency=medium

  * Release $version; what is new stands in the upstream changelog.

 -- $maintainer  $(date -uR -d "@$SOURCE_DATE_EPOCH")
CHANGELOG
pg_buildext updatecontrol

if ! dpkg-buildpackage -us -uc >"$work/build.log" 2>&1; then
  tail -n 60 "$work/build.log" >&2
  exit 1
fi
cd "$work"
cp timeshard_* ./*.deb build.log "$folder/"
ls "$folder"/*.deb
