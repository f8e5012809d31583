#!/bin/sh
# Makes a private copy of an installed PostgreSQL in DIR, so that tests install
# the extension without touching the system's, and need no root for it:
# PostgreSQL's programs find their files relative to themselves.
#
#   usage: private_server.sh DIR [PG_CONFIG]      prints the copy's pg_config
set -eu
dir=$1
pg_config=${2:-pg_config}

bindir=$("$pg_config" --bindir)
include=$("$pg_config" --includedir)
# Debian keeps a wrapper called pg_config that knows no relocation.
[ -x "$bindir/pg_config" ] && pg_config=$bindir/pg_config

# What bin, lib and share have in common: a prefix, or such a copy.
common=$(dirname "$bindir")
for directory in "$("$pg_config" --pkglibdir)" "$("$pg_config" --sharedir)"; do
  until case "$directory/" in "${common%/}"/*) true ;; *) false ;; esac; do
    common=$(dirname "$common")
  done
done

copy() {
  [ -d "$1" ] || return 0
  to=$dir${1#"$common"}
  [ -d "$to" ] && return 0
  mkdir -p "$(dirname "$to")"
  cp -R "$1" "$to"
}
copy "$bindir"
copy "$("$pg_config" --pkglibdir)"
copy "$("$pg_config" --sharedir)"
copy "$("$pg_config" --includedir-server)"
copy "$("$pg_config" --pkgincludedir)"
# The headers of libpq. The library itself and the headers that the server's include are
# read where they are.
include=$dir${include#"$common"}
mkdir -p "$dir/include" "$include"
cp "$("$pg_config" --includedir)"/*.h "$include/"
echo "$dir${bindir#"$common"}/pg_config"
