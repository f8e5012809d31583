# Sourced by the scripts that run servers: makes a folder with a copy of the
# sources and a private PostgreSQL, owned by an ordinary user, and removes it at
# the end, however that comes.
#
# Gives: $here (the checkout), $work (the folder), $pg_config, $bindir of the
# private server, as_user COMMAND... (runs it there as the ordinary user).

here=$(CDPATH= cd -- "$(dirname -- "$0")/$to_top" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/timeshard.XXXXXX")

# initdb refuses root, so servers belong to the user that Debian's package made.
user=$(id -un)
[ "$(id -u)" -ne 0 ] || user=postgres

as_user() {
  if [ "$(id -un)" = "$user" ]; then
    "$@"
  else
    setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups \
      env HOME="$work" USER="$user" LOGNAME="$user" "$@"
  fi
}

clean_up() {
  status=$?
  trap - EXIT INT TERM HUP
  for pid_file in $(find "$work" -name postmaster.pid 2>/dev/null); do
    as_user "$bindir/pg_ctl" -D "$(dirname "$pid_file")" -m immediate -w stop >/dev/null 2>&1 || :
  done
  # From 128 on it is a signal: an interruption is no failure to look into.
  if [ "$status" -gt 0 ] && [ "$status" -lt 128 ] && [ -n "${keep_on_failure:-}" ]; then
    echo "What the failed run left is in $work" >&2
  else
    rm -rf "$work"
  fi
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

make_sandbox() {
  chmod 755 "$work"
  mkdir "$work/src"
  # Not what an earlier build in the checkout has left: it may be another server's.
  (cd "$here" && find . \( -name .git -o -name build -o -name tmp_check -o -name results \) -prune \
    -o -type f ! -name '*.o' ! -name '*.bc' ! -name '*.so' -print | tar -cf - -T -) | tar -xf - -C "$work/src"
  pg_config=$("$here/test/private_server.sh" "$work/server" "${PG_CONFIG:-pg_config}")
  bindir=$("$pg_config" --bindir)
  [ "$(id -u)" -ne 0 ] || chown -R "$user" "$work"
  cd "$work" # the checkout may be out of the ordinary user's sight, as in /root
}
