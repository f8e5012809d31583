#!/bin/sh
# The shared library needs libc alone: no C++ runtime, and no symbol of one that
# would only be found missing when the server loads it.
set -eu
library=$1
needed=$(readelf -d "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort | tr '\n' ' ')
if [ "$needed" != 'libc.so.6 ' ]; then
  echo "the library needs more than libc: $needed" >&2
  exit 1
fi
if nm -D --undefined-only "$library" | grep -E ' (_Z|__cxa_[^f]|__gxx)'; then
  echo 'the library needs these symbols of the C++ runtime' >&2
  exit 1
fi
echo 'The library needs only libc.'
