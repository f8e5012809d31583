#!/bin/sh
# The whole suite on every major version of PostgreSQL that Debian's releases
# offer, each in a throw-away root of its release: there, README's `make test`
# installs what is missing, builds and runs. Shows the progress of each, and ends
# with a table that says what has passed, what has not, and what was skipped why.
#
#   VERSIONS="17 18"       only these. On request also 16 (Ubuntu's), 19 (from Debian's
#                          experimental), and a version on another processor, which is
#                          emulated: "15/arm64", "15/s390x"
#   STAGES="regress tap"   only these of `make test`
#   TAP="test/t/clock_steps.pl"   only these TAP tests
#   PARALLEL=N             so many versions at once; by processors and memory if not given
#   ROOTS=folder           keep the roots there, and take those that are there
#   MIRROR=address         Debian's packages
#
# Exit: 0 all have passed, 1 one has failed, 2 none has failed but one was skipped.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
versions=$(printf '%s\n' ${VERSIONS:-15 17 18} | tr / - | sort -u) # the names of files, too
mirror=${MIRROR:-http://deb.debian.org/debian}

release_of() { # the release that offers this version
  case ${1%-*} in
  15) echo bookworm ;;
  16) echo noble ;; # Ubuntu's
  17) echo trixie ;;
  18) echo forky ;;
  19) echo sid ;; # and experimental
  *) return 1 ;;
  esac
}

# Debian's name of the processor to emulate, or nothing.
emulated() {
  case $1 in *-*) echo "${1#*-}" ;; esac
}

root_of() { # the name of its root
  arch=$(emulated "$1")
  echo "$(release_of "$1" || echo none)${arch:+-$arch}"
}

# Emulation is ten times slower or more, so time limits mean little there. None of these tests
# holds a time to be short. They depend on bytes, of the mark, of keys, codes and addresses, on
# sessions side by side, or on a real kill.
tap_if_emulated='test/t/mark_damaged.pl test/t/mark_versions.pl test/t/mark_crashes.pl
  test/t/seal_key_file.pl test/t/seal_rotation.pl
  test/t/settings_bad_values.pl test/t/settings_identity_changes.pl test/t/library_load_modes.pl
  test/t/keys_carried.pl test/t/keys_resolution.pl test/t/keys_rights.pl
  test/t/generate_rights.pl test/t/generate_sessions.pl test/t/generate_contexts.pl test/t/generate_copy.pl
  test/t/floor_edges.pl test/t/horizon_prepared.pl test/t/registry_claims.pl
  test/t/restore_copies.pl test/t/standby_promotion.pl test/t/query_maintain.pl'

work=$(mktemp -d "${TMPDIR:-/tmp}/timeshard-versions.XXXXXX")
roots=${ROOTS:-$work/roots}
mkdir -p "$roots" "$work/logs"
roots=$(CDPATH= cd -- "$roots" && pwd)
started=$(date +%s)

# What runs in a root ends with the first process of its name spaces, and so do its
# mounts, which nobody else sees: there is nothing to unmount.
clean_up() {
  status=$?
  trap - EXIT INT TERM HUP
  for file in "$work"/*.worker; do [ ! -e "$file" ] || kill "$(cat "$file")" 2>/dev/null || :; done
  for file in "$work"/*.first; do [ ! -e "$file" ] || kill -KILL "$(cat "$file")" 2>/dev/null || :; done
  wait
  for version in $versions; do rm -rf "$roots/$(root_of "$version").unfinished"; done
  if [ "$status" -eq 1 ]; then # from 128 on it is a signal
    for version in $versions; do
      [ "$(result "$version")" = FAILED ] || rm -rf "$work/roots/$(root_of "$version")"
    done
    echo "What the failed runs left is in $roots, their logs are in $work/logs" >&2
  else
    rm -rf "$work"
  fi
  exit "$status"
}
result() { cat "$work/$1.result" 2>/dev/null || :; }
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say() { # say VERSION TEXT
  seconds=$(($(date +%s) - started))
  printf '%3d:%02d  %s  %s\n' $((seconds / 60)) $((seconds % 60)) "$1" "$2"
}

# in_own_spaces VERSION COMMAND...: unshare takes no notice of a gentle signal, and
# takes all with it when it is killed.
in_own_spaces() {
  first=$work/$1.first
  shift
  sh -c 'echo $$ >"$1" && shift && exec unshare --mount --pid --ipc --fork --kill-child=KILL --mount-proc "$@"' \
    sh "$first" "$@"
  status=$?
  rm -f "$first"
  return "$status"
}

# in_root VERSION ROOT COMMAND...: with the root as root of the file system, not by
# chroot, in which Linux grants no user name space, and so no test that needs one.
in_root() {
  version=$1
  root=$2
  shift 2
  in_own_spaces "$version" sh -euc 'root=$1 && shift
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount --rbind /sys "$root/sys"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/dev/shm"
    mkdir -p "$root/.outside"
    cd "$root"
    pivot_root . .outside
    cd /
    umount -l /.outside
    rmdir /.outside
    exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
      http_proxy="${http_proxy:-}" https_proxy="${https_proxy:-}" \
      NODE_EXTRA_CA_CERTS="${NODE_EXTRA_CA_CERTS:+/etc/ssl/outside.pem}" "$@"' \
    sh "$root" "$@"
}

# Whatever keeps all from running, or nothing.
obstacle() {
  if [ "$(id -u)" -ne 0 ]; then
    echo 'not root (sudo make test-versions)'
  elif ! unshare --mount --pid --ipc --fork --mount-proc true 2>/dev/null; then
    echo 'no name spaces of its own here, as in an ordinary container'
  elif ! command -v debootstrap >/dev/null && ! command -v apt-get >/dev/null; then
    echo 'no debootstrap, and no apt-get to install it'
  elif ! command -v debootstrap >/dev/null &&
    ! { apt-get update && apt-get install -y --no-install-recommends debootstrap; } >"$work/logs/debootstrap.log" 2>&1; then
    echo "debootstrap cannot be installed: $(tail -n 1 "$work/logs/debootstrap.log")"
  fi
}

# emulate ARCHITECTURE: has Linux run its programs by qemu, in roots too (flag F). That lasts
# until the machine restarts. An emulated root takes about ten minutes.
emulate() {
  processor=$1
  [ "$1" != arm64 ] || processor=aarch64
  command -v "qemu-$processor-static" >/dev/null ||
    { apt-get update && apt-get install -y --no-install-recommends qemu-user-static; } || return 1
  binfmt=/proc/sys/fs/binfmt_misc
  [ -e "$binfmt/register" ] || mount -t binfmt_misc binfmt_misc "$binfmt" || return 1
  [ -e "$binfmt/qemu-$processor" ] || cat "/usr/lib/binfmt.d/qemu-$processor.conf" >"$binfmt/register"
}

# make_root VERSION RELEASE: a minimal Debian. One that is older than its release
# file says is good enough here, and no server is started by its package.
make_root() {
  unfinished=$roots/$(root_of "$1").unfinished
  rm -rf "$unfinished"
  script=/usr/share/debootstrap/scripts/$2
  [ -e "$script" ] || script=${script%/*}/sid
  from=$mirror
  components=main
  if [ "$2" = noble ]; then # without Ubuntu's keys here, TLS vouches for the packages
    script=/usr/share/debootstrap/scripts/gutsy
    from=https://archive.ubuntu.com/ubuntu
    components=main,universe
  fi
  arch=$(emulated "$1")
  [ -z "$arch" ] || emulate "$arch" || return 1
  in_own_spaces "$1" debootstrap --variant=minbase --components="$components" ${arch:+--arch="$arch"} \
    "$2" "$unfinished" "$from" "$script" </dev/null || return 1
  case $2 in
  noble) # the root has Ubuntu's keys
    printf 'deb http://archive.ubuntu.com/ubuntu %s main universe\n' noble noble-updates >"$unfinished/etc/apt/sources.list"
    ;;
  sid)
    echo "deb $mirror experimental main" >"$unfinished/etc/apt/sources.list.d/experimental.list"
    printf 'Package: src:postgresql-19\nPin: release a=experimental\nPin-Priority: 990\n' \
      >"$unfinished/etc/apt/preferences.d/timeshard"
    ;;
  esac
  echo 'Acquire::Check-Valid-Until "false";' >"$unfinished/etc/apt/apt.conf.d/99timeshard"
  echo force-unsafe-io >"$unfinished/etc/dpkg/dpkg.cfg.d/timeshard"
  printf '#!/bin/sh\nexit 101\n' >"$unfinished/usr/sbin/policy-rc.d"
  chmod 755 "$unfinished/usr/sbin/policy-rc.d"
  mv "$unfinished" "${unfinished%.unfinished}"
}

# A line on the way that is worth showing.
follow() { # follow VERSION LOG
  while IFS= read -r line; do
    printf '%s\n' "$line" >>"$2"
    case $line in
    '== '* | 'Installing:'* | *'Failed test '* | '# '*' is skipped'* | '['??:??:??']'*' '* | 'not ok'* | 'model: '* | Files=* | Result:*)
      say "$1" "$line"
      ;;
    esac
  done
}

copy_sources() { # copy_sources ROOT, without what an earlier build has left
  rm -rf "$1/timeshard"
  mkdir "$1/timeshard"
  (cd "$here" && find . \( -name .git -o -name build -o -name tmp_check -o -name results \) -prune \
    -o -type f ! -name '*.o' ! -name '*.bc' ! -name '*.so' -print | tar -cf - -T -) |
    tar -xf - --no-same-owner -C "$1/timeshard"
}

# Writes VERSION.result: passed, FAILED, or "skipped: why".
run_version() {
  version=$1
  release=$2
  log=$work/logs/$version.log
  : >"$log"
  root=$roots/$(root_of "$version")
  stages=${STAGES:-unit fuzz model regress tap}
  if [ -n "$(emulated "$version")" ]; then
    stages=${STAGES:-unit regress tap}
    TAP=${TAP:-$tap_if_emulated}
    export EMULATED=1
  fi
  if [ ! -d "$root" ]; then
    say "$version" "Making a root of $(root_of "$version")"
    if ! make_root "$version" "$release" >"$log" 2>&1; then
      echo "skipped: no root could be made: $(grep -a '^E: ' "$log" | tail -n 1)" >"$work/$version.result"
      return 0
    fi
  fi
  copy_sources "$root"
  [ ! -e /etc/resolv.conf ] || cp -L /etc/resolv.conf "$root/etc/resolv.conf"
  mkdir -p "$root/etc/ssl"
  [ -z "${NODE_EXTRA_CA_CERTS:-}" ] || cp -L "$NODE_EXTRA_CA_CERTS" "$root/etc/ssl/outside.pem" # npm's way out, too
  if ! in_root "$version" "$root" sh -c 'apt-get update && apt-get install -y --no-install-recommends make "$@"' \
    sh "postgresql-${version%-*}" "postgresql-server-dev-${version%-*}" >>"$log" 2>&1; then
    echo "skipped: Debian's packages are out of reach: $(grep -a '^E: ' "$log" | tail -n 1)" >"$work/$version.result"
    return 0
  fi
  say "$version" "make test, in $root"
  began=$(date +%s)
  {
    in_root "$version" "$root" env JOBS="$suite_jobs" TAP="${TAP:-}" EMULATED="${EMULATED:-}" make -C /timeshard test STAGES="$stages" 2>&1 </dev/null &&
      echo passed >"$work/$version.status" || :
  } | follow "$version" "$log"
  echo $(($(date +%s) - began)) >"$work/$version.seconds"
  in_root "$version" "$root" pg_config --version >"$work/$version.server" 2>/dev/null || :
  major=$(sed -n 's/^PostgreSQL \([0-9]*\).*/\1/p' "$work/$version.server")
  if [ ! -e "$work/$version.status" ]; then
    echo FAILED >"$work/$version.result"
  elif [ "$major" != "${version%-*}" ]; then
    echo "FAILED: $release offers PostgreSQL $major" >"$work/$version.result"
  else
    echo passed >"$work/$version.result"
  fi
  [ -n "${ROOTS:-}" ] || [ ! -e "$work/$version.status" ] || rm -rf "$root"
}

# Two processors and four gigabytes for each.
processors=$(nproc 2>/dev/null || echo 2)
memory=$(awk '/^MemAvailable:/ { print int($2 / 4000000) }' /proc/meminfo)
case ${PARALLEL:-} in
*[!0-9]*)
  echo "PARALLEL is not a number: $PARALLEL" >&2
  exit 1
  ;;
esac
parallel=${PARALLEL:-$((processors / 2 < memory ? processors / 2 : memory))}
[ "$parallel" -gt 0 ] || parallel=1
suite_jobs=$((processors / parallel))
[ "$suite_jobs" -gt 1 ] || suite_jobs=2

why=$(obstacle)
running() { ls "$work" | grep -c '\.worker$' || :; }
for version in $versions; do
  if ! release=$(release_of "$version"); then
    echo "skipped: no release of Debian offers it" >"$work/$version.result"
  elif [ -n "$why" ]; then
    echo "skipped: $why" >"$work/$version.result"
  else
    while [ "$(running)" -ge "$parallel" ]; do sleep 1; done
    # The file first: it counts.
    : >"$work/$version.worker"
    (
      trap 'exit 143' TERM
      trap 'rm -f "$work/$version.worker"' EXIT
      run_version "$version" "$release"
    ) &
    [ ! -e "$work/$version.worker" ] || echo $! >"$work/$version.worker"
  fi
done
wait

# What the runners themselves said at their ends.
closing_lines() {
  grep -aE '^(\[  PASSED  \]|\[  FAILED  \]|model: |[# ]*All [0-9]+ tests passed|[# ]*[0-9]+ of [0-9]+ tests failed|Files=|Result:|Failed [0-9]+/)|: clean$|is skipped|needs libc alone|has no warning' "$1" |
    sed 's/^/          /'
}
echo
printf '%-8s  %-14s  %-8s  %s\n' version Debian minutes result
failed=0
skipped=0
for version in $versions; do
  outcome=$(result "$version")
  case ${outcome:=FAILED: ended early} in
  FAILED*) failed=1 ;;
  skipped*) skipped=1 ;;
  esac
  seconds=$(cat "$work/$version.seconds" 2>/dev/null || echo 0)
  printf '%-8s  %-14s  %-8s  %s\n' "$version" "$(root_of "$version")" "$(((seconds + 30) / 60))" "$outcome"
  [ ! -s "$work/$version.server" ] || printf '          %s\n' "$(cat "$work/$version.server")"
  [ ! -e "$work/logs/$version.log" ] || closing_lines "$work/logs/$version.log"
done
[ "$failed" -eq 0 ] || exit 1
[ "$skipped" -eq 0 ] || exit 2
echo 'All have passed.'
