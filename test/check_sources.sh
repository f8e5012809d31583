#!/bin/sh
# What can be told from the sources alone: clang is as silent as g++, the core
# includes nothing of PostgreSQL's, and the version is the same everywhere.
set -eu
cd "$1"
pg_config=$2

for file in src/core/*.cpp src/pg/*.cpp; do
  clang++ -fsyntax-only -std=c++20 -fno-exceptions -fno-rtti -D_GNU_SOURCE -Wall -Wextra -Werror \
    -Wno-register -DTIMESHARD_VERSION='""' -I"$("$pg_config" --includedir-server)" "$file"
done
echo 'clang has no warning.'

if grep -nE '#include *["<](postgres|fmgr|utils/|storage/|\.\./pg/)' src/core/*; then
  echo 'the core includes PostgreSQL or the glue' >&2
  exit 1
fi
if grep -nE '(<<|>>) *(k[A-Z]|[0-9])' src/pg/*.cpp src/pg/*.hpp; then
  echo 'the glue does bit arithmetic' >&2
  exit 1
fi
if echo '#include "postgres.h"
#include "src/core/layout.hpp"' | clang++ -fsyntax-only -std=c++20 -x c++ -w -I. -I"$("$pg_config" --includedir-server)" - 2>/dev/null; then
  echo 'the wall around the core lets PostgreSQL in' >&2
  exit 1
fi
echo 'The core and the glue keep apart.'

# A mutant that no longer applies breaks nothing, so nobody would learn what it is there for.
version=$(sed -n "s/^default_version *= *'\(.*\)'/\1/p" timeshard.control)
for mutant in test/mutants/*.patch; do
  sed "s/timeshard--VERSION/timeshard--$version/" "$mutant" | patch --dry-run -s -p1 -F0 >/dev/null || {
    echo "$mutant does not apply any more" >&2
    exit 1
  }
done
echo 'Every mutant applies.'

python3 - "$version" <<'PYTHON'
import json, os, re, sys

version = sys.argv[1]
meta = json.load(open('META.json'))
provided = meta['provides']['timeshard']
changelog = re.search(r'^## (\S+)', open('CHANGELOG.md').read(), re.M).group(1)
told = {'META.json': meta['version'], 'META.json, provides': provided['version'], 'CHANGELOG.md': changelog}
wrong = [f'{where} says {what}' for where, what in told.items() if what != version]
script = f'sql/timeshard--{version}.sql'
if provided['file'] != script or not os.path.exists(script):
    wrong.append(f'{script} is not there, or not what META.json provides')
# PGXN's meta specification 1.0.0: what it requires.
for key in ('name', 'version', 'abstract', 'maintainer', 'license', 'provides', 'meta-spec'):
    if not meta.get(key):
        wrong.append(f'META.json has no {key}')
if not re.fullmatch(r'\d+\.\d+\.\d+', version) or meta['meta-spec']['version'] != '1.0.0':
    wrong.append('a version is not a semantic one, or the specification not 1.0.0')
if meta['license'] != 'postgresql':
    wrong.append('the licence is not PostgreSQL\'s')
if wrong:
    sys.exit(f'timeshard.control says {version}, but ' + '; '.join(wrong))
print(f'Version {version} everywhere.')
PYTHON
