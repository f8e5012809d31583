#!/bin/sh
# The packages as a user meets them, each in a bare Debian of its own that is
# thrown away: the archive for PGXN through the pgxn client, Debian's packages
# from the source to removal. Takes root and a network; leaves nothing behind
# but, after a failure, its folder.
#
#   usage: run.sh [pgxn|debian ...]         both if none is named
#   SUITE=bookworm|trixie|forky             the release (bookworm)
#   MIRROR=http://deb.debian.org/debian     where it comes from
set -eu
stages=${*:-pgxn debian}
suite=${SUITE:-bookworm}
mirror=${MIRROR:-http://deb.debian.org/debian}
tools=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)

for stage in $stages; do
  case $stage in
  pgxn | debian) ;;
  *)
    echo "no such stage: $stage" >&2
    exit 2
    ;;
  esac
done
skip() {
  echo "Skipped, nothing was tested: $*" >&2
  exit 1
}
[ "$(id -u)" -eq 0 ] || skip 'roots and mounts take root; sudo make test-packages'
unshare --mount --pid --fork --kill-child true 2>/dev/null ||
  skip 'this machine (a container?) lets nobody make mounts'
if ! command -v debootstrap >/dev/null 2>&1; then
  apt-get update >/dev/null 2>&1 && apt-get install -y --no-install-recommends debootstrap >/dev/null 2>&1 ||
    skip 'debootstrap is not installed, and apt-get does not install it'
fi

. "$tools/root.sh"
begun_at=$(date +%s)
say "A bare Debian $suite from $mirror, in $work"
make_bare_root "$suite" "$mirror"
say "   made in $(($(date +%s) - begun_at)) s"

"$tools/dist.sh" "$work" >/dev/null
archive=$(basename "$work"/timeshard-*.zip)

if [ -z "${stages##*pgxn*}" ]; then
  say "PGXN: $archive through the client"
  make_root pgxn
  cp "$work/$archive" "$work/pgxn/timeshard/"
  in_root pgxn-install pgxn sh -eu /timeshard/pgxn_install.sh
  say "   the client and a server installed in $took s"
  in_root pgxn pgxn sh -eu /timeshard/pgxn.sh "$archive"
  sed -n 's/^CHECKED /   /p' "$work/logs/pgxn.log"
  say "   $took s"
fi

if [ -z "${stages##*debian*}" ]; then
  say 'Debian: the source package, built'
  make_root build
  mkdir "$work/build/timeshard/sources"
  "$tools/export.sh" "$work/build/timeshard/sources" >/dev/null 2>&1
  in_root build-install build sh -eu /timeshard/build_install.sh
  say "   what it build-depends on installed in $took s"
  in_root build build sh -eu /timeshard/build.sh
  sed -n 's/^CHECKED /   /p' "$work/logs/build.log"
  say "   $took s"

  say 'Debian: installed in a bare root, used and removed'
  make_root install
  cp -R "$work/build/timeshard/packages" "$work/install/timeshard/"
  in_root install install sh -eu /timeshard/install.sh
  sed -n 's/^CHECKED /   /p' "$work/logs/install.log"
  say "   $took s"

  say "Debian: autopkgtest, in another"
  make_root autopkgtest
  cp -R "$work/build/timeshard/packages" "$work/autopkgtest/timeshard/"
  in_root autopkgtest autopkgtest sh -eu /timeshard/autopkgtest.sh
  sed -n 's/^CHECKED /   /p' "$work/logs/autopkgtest.log"
  say "   $took s"
fi
for stage in pgxn debian; do
  [ -n "${stages##*$stage*}" ] && say "Skipped: $stage, which was not asked for"
done
say "All passed on $suite, in $(($(date +%s) - begun_at)) s"
