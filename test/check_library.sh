#!/bin/sh
# The shared libraries need libc alone, and libpq that of the registry's worker: no C++
# runtime, and no symbol of one that would only be found missing when the server loads it.
# (On some processors the dynamic linker is named as well.)
#
#   usage: check_library.sh FOLDER     where the libraries are installed
set -eu
check() { # check LIBRARY WHAT-IT-NEEDS
  needed=$(readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -v '^ld-linux' | sort | tr '\n' ' ')
  if [ "$needed" != "$2 " ]; then
    echo "$1 needs $needed, not $2" >&2
    exit 1
  fi
  if nm -D --undefined-only "$1" | grep -vE ' _ZN9timeshard' | grep -E ' (_Z|__cxa_[^f]|__gxx)'; then
    echo "$1 needs these symbols of the C++ runtime" >&2
    exit 1
  fi
}
check "$1/timeshard.so" libc.so.6
check "$1/timeshard_registry.so" 'libc.so.6 libpq.so.5'
# What the second calls of the first.
for symbol in $(nm -D --undefined-only "$1/timeshard_registry.so" | sed -n 's/.* \(_ZN9timeshard.*\)/\1/p'); do
  nm -D --defined-only "$1/timeshard.so" | grep -q " $symbol\$" ||
    { echo "timeshard.so has no $symbol for timeshard_registry.so" >&2; exit 1; }
done
echo 'The library needs only libc, and that of the registry libpq too.'
