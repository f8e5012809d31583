# Sourced by run.sh: bare Debian roots in a throw-away folder, and commands in
# them. Every mount is made in a name space of the command's own, so none can be
# left behind; what runs there ends with it.
#
# Gives: $work (the folder), make_root NAME (a fresh one), in_root NAME
# COMMAND..., say TEXT.

work=$(mktemp -d "${TMPDIR:-/tmp}/timeshard.XXXXXX")
running=

clean_up() {
  status=$?
  trap - EXIT INT TERM HUP
  if [ -n "$running" ]; then
    kill -KILL "$running" 2>/dev/null || :
    wait "$running" 2>/dev/null || :
  fi
  # From 128 on it is a signal: an interruption is no failure to look into.
  if [ "$status" -gt 0 ] && [ "$status" -lt 128 ] && [ -d "$work/bare" ]; then
    echo "What the failed run left is in $work" >&2
  else
    # The last of what was killed may still write for a moment.
    for try in 1 2 3 4 5; do
      rm -rf "$work" 2>/dev/null && break
      sleep 1
    done
  fi
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say() { printf '== %s\n' "$*"; }

# Runs a command in name spaces of its own, with its output in a log that is
# shown if it fails; in the background, so that an interruption is not held up.
logged() { # logged NAME COMMAND...
  log=$work/logs/$1.log
  shift
  begun=$(date +%s)
  unshare --mount --pid --fork --kill-child "$@" >"$log" 2>&1 </dev/null &
  running=$!
  if wait "$running"; then
    running=
    took=$(($(date +%s) - begun))
    return
  fi
  running=
  tail -n 60 "$log" >&2
  echo "The whole log: $log" >&2
  exit 1
}

# The folder of downloaded packages is shared, so that each is fetched once.
enter='
  root=$1 shared=$2
  shift 2
  mount -t proc proc "$root/proc"
  mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
  mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts"
  mount --bind "$shared" "$root/var/cache/apt/archives"
  exec chroot "$root" env -i HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    http_proxy="${http_proxy:-}" https_proxy="${https_proxy:-}" "$@"'
in_root() { # in_root LOG ROOT COMMAND...
  log_name=$1 root_name=$2
  shift 2
  logged "$log_name" sh -euc "$enter" sh "$work/$root_name" "$work/archives" "$@"
}

# debootstrap knows a new suite by its script's name alone: they are all alike.
make_bare_root() { # make_bare_root SUITE MIRROR
  script=/usr/share/debootstrap/scripts/$1
  [ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid
  mkdir -p "$work/logs" "$work/archives/partial" "$work/debootstrap"
  logged debootstrap debootstrap --variant=minbase --cache-dir="$work/debootstrap" "$1" "$work/bare" "$2" "$script"
  rm -rf "$work/debootstrap"
  mkdir -p "$work/bare/dev/pts" "$work/bare/dev/shm"
  cp /etc/resolv.conf "$work/bare/etc/resolv.conf"
  echo "deb $2 $1 main" >"$work/bare/etc/apt/sources.list"
  cat >"$work/bare/etc/apt/apt.conf.d/90timeshard" <<'APT'
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
APT::Install-Recommends "false";
APT::Keep-Downloaded-Packages "true";
Binary::apt::APT::Keep-Downloaded-Packages "true";
APT
  # No package starts a server by itself: there is no init in here.
  printf '#!/bin/sh\nexit 101\n' >"$work/bare/usr/sbin/policy-rc.d"
  chmod 755 "$work/bare/usr/sbin/policy-rc.d"
  in_root update bare apt-get update
}

make_root() { # make_root NAME
  cp -a "$work/bare" "$work/$1"
  mkdir "$work/$1/timeshard"
  cp "$tools"/steps/*.sh "$work/$1/timeshard/"
}
