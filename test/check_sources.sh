#!/bin/sh
# What can be told from the sources alone: clang is as silent as g++, the core
# includes nothing of PostgreSQL's, and the version is the same everywhere.
set -eu
cd "$1"
pg_config=$2

for file in src/*/*.cpp; do
  clang++ -fsyntax-only -std=c++20 -fno-exceptions -fno-rtti -D_GNU_SOURCE -Wall -Wextra -Werror \
    -Wno-register -DTIMESHARD_VERSION='""' -DTIMESHARD_MANUAL='""' -I"$("$pg_config" --includedir-server)" -I"$("$pg_config" --includedir)" "$file"
done
echo 'clang has no warning.'

# refuse PATTERN COMPLAINT FILE...: no line of the files may match.
refuse() {
  pattern=$1 complaint=$2
  shift 2
  ! grep -nE "$pattern" "$@" || { echo "$complaint" >&2; exit 1; }
}
refuse '#include *["<](postgres|fmgr|utils/|storage/|\.\./(server|sql|registry)/)' 'the core includes PostgreSQL or another room' src/core/*.?pp
refuse '#include *"\.\./(sql|registry)/' 'the server room includes an SQL function or the registry worker' src/server/*.?pp
refuse '#include *"\.\./(sql|registry)/' 'the SQL functions and the registry worker are apart' src/sql/*.?pp src/registry/*.?pp
refuse '(<<|>>) *(k[A-Z]|[0-9])' 'bit arithmetic outside the core' src/server/*.?pp src/sql/*.?pp src/registry/*.?pp
refuse 'PG_VERSION_NUM' 'a version difference outside compat.hpp' $(ls src/*/*.?pp | grep -vE 'compat.hpp|server/postgres.hpp')
refuse '#include "(access|catalog|utils|storage|nodes|executor)/' "PostgreSQL's headers are opened by postgres.hpp" \
  $(ls src/*/*.?pp | grep -vE 'server/(compat|postgres).hpp')
if [ -n "$(ls src/*/*.?pp | sed 's,.*/,,' | sort | uniq -d)" ]; then
  echo 'two files in src share a name' >&2
  exit 1
fi
if echo '#include "postgres.h"
#include "src/core/layout.hpp"' | clang++ -fsyntax-only -std=c++20 -x c++ -w -I. -I"$("$pg_config" --includedir-server)" - 2>/dev/null; then
  echo 'a core header compiles after a PostgreSQL header' >&2
  exit 1
fi
echo 'The core includes nothing of the server.'

# A mutant that no longer matches breaks nothing, so its promise would go untested.
python3 -B test/mutants/mutant.py check .

# A released script describes what users have: a change in it would never reach them.
if ! echo '5c811acd82be229648f543cf028ffca66df873324fcfe85bda2eb5742a136864  sql/timeshard--1.0.0.sql' | sha256sum --check --status; then
  echo 'sql/timeshard--1.0.0.sql is no longer what was released' >&2
  exit 1
fi

version=$(sed -n "s/^default_version *= *'\(.*\)'/\1/p" timeshard.control)
python3 - "$version" <<'PYTHON'
import json, re, sys

version = sys.argv[1]
meta = json.load(open('META.json'))
provided = meta['provides']['timeshard']
changelog = re.search(r'^## (\S+)', open('CHANGELOG.md').read(), re.M).group(1)
told = {'META.json': meta['version'], 'META.json, provides': provided['version'], 'CHANGELOG.md': changelog}
wrong = [f'{where} says {what}' for where, what in told.items() if what != version]
if provided['file'] != 'sql/timeshard.sql':
    wrong.append(f"META.json provides {provided['file']}")
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
