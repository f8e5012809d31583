#!/bin/sh
# pg_upgrade from PostgreSQL 15 to 17, in a bare Debian 13 that is thrown away, with
# Debian 12's packages beside its own: builds Timeshard for both, and runs
# test/t/migrate_upgrade.pl there, which skips everywhere else. Takes root and a
# network; leaves nothing behind but, after a failure, its folder.
#
#   MIRROR=http://deb.debian.org/debian     where Debian comes from
#
# Exit: 0 passed, 1 failed, 2 skipped.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
mirror=${MIRROR:-http://deb.debian.org/debian}

skip() {
  echo "Skipped, nothing was tested: $*" >&2
  exit 2
}
[ "$(id -u)" -eq 0 ] || skip 'roots and mounts take root (sudo make test-upgrade)'
unshare --mount --pid --fork --kill-child true 2>/dev/null ||
  skip 'no name spaces of its own here, as in an ordinary container'
if ! command -v debootstrap >/dev/null 2>&1; then
  apt-get update >/dev/null 2>&1 && apt-get install -y --no-install-recommends debootstrap >/dev/null 2>&1 ||
    skip 'debootstrap is not installed, and apt-get does not install it'
fi

# make_bare_root, in_root, say, $work; what fails there shows its log.
. "$here/test/packages/root.sh"
say "A bare Debian 13 from $mirror, in $work"
make_bare_root trixie "$mirror"
root=$work/bare

# Of Debian 12 only what 13 has not.
echo "deb $mirror bookworm main" >"$root/etc/apt/sources.list.d/bookworm.list"
printf 'Package: *\nPin: release n=bookworm\nPin-Priority: 100\n' >"$root/etc/apt/preferences.d/bookworm"
mkdir "$root/timeshard"
(cd "$here" && find . \( -name .git -o -name build -o -name tmp_check -o -name results \) -prune \
  -o -type f ! -name '*.o' ! -name '*.bc' ! -name '*.so' -print | tar -cf - -T -) |
  tar -xf - --no-same-owner -C "$root/timeshard"

# The files for building, without the compilers that their packages depend on.
say 'Installing both servers, and building the extension for each'
in_root install bare sh -euc '
  apt-get update
  apt-get install -y make g++ perl libfaketime libpq-dev libipc-run-perl postgresql-15 postgresql-17
  cd /tmp
  apt-get download postgresql-server-dev-15 postgresql-server-dev-17
  for package in postgresql-server-dev-*.deb; do dpkg -x "$package" /; done
  for version in 15 17; do
    cp -R /timeshard "/tmp/build-$version"
    make -C "/tmp/build-$version" with_llvm=no PG_CONFIG="/usr/lib/postgresql/$version/bin/pg_config" install
  done'
say "   $took s"

say 'pg_upgrade'
in_root upgrade bare sh -euc '
  chown -R postgres /timeshard
  cd /timeshard
  pgxs=/usr/lib/postgresql/17/lib/pgxs
  exec setpriv --reuid postgres --regid postgres --init-groups env HOME=/tmp USER=postgres LOGNAME=postgres \
    PATH="/usr/lib/postgresql/17/bin:$PATH" PG_REGRESS="$pgxs/src/test/regress/pg_regress" TESTDIR="$PWD" \
    TESTDATADIR="$PWD/tmp_check" TESTLOGDIR="$PWD/tmp_check/log" PG_TEST_TIMEOUT_DEFAULT=180 \
    TIMESHARD_OLD_SERVER=/usr/lib/postgresql/15 \
    prove -v -I test/lib -I "$pgxs/src/test/perl" test/t/migrate_upgrade.pl'
grep -E '^(# pg_upgrade|not ok|ok |Files=|Result:)' "$work/logs/upgrade.log"
grep -q '^ok ' "$work/logs/upgrade.log" || skip 'the test itself has skipped'
say "   $took s"
