#!/bin/sh
# Installs what building and testing Timeshard needs and this machine lacks.
# Uses apt-get as root or by sudo; without either, or on another system, says
# what to install and fails.
#
#   usage: install_packages.sh [build|demo|bench|test]
set -eu
purpose=${1:-test}

missing=
need() { # need PACKAGE COMMAND-THAT-SUCCEEDS-IF-IT-IS-THERE...
  package=$1
  shift
  "$@" >/dev/null 2>&1 || missing="$missing $package"
}
has() { command -v "$1"; }
has_header() { [ -e "/usr/include/$1" ]; }
has_partman() { [ -e "$("$pg_config" --sharedir)/extension/pg_partman.control" ]; }
# In linux/, or from clang 19 in a folder of the platform's name.
has_libfuzzer() { ls /usr/lib/llvm-*/lib/clang/*/lib/*/libclang_rt.fuzzer[.-]*a; }
# Debian's, or npm's, where it puts what is for everybody.
has_node_pg() {
  NODE_PATH=${NODE_PATH:-}:/usr/share/nodejs:/usr/lib/node_modules:/usr/local/lib/node_modules node -e 'require("pg")'
}
# Debian's modules are for Debian's own python3, which the tests take.
has_module() { /usr/bin/python3 -c "import $1"; }
has_faketime() { ls /usr/lib/*/faketime/libfaketime.so.1; }

# The server is looked for by its development files, or by PG_CONFIG.
pg_config=${PG_CONFIG:-pg_config}
has_server() {
  bindir=$("$pg_config" --bindir) && [ -x "$bindir/postgres" ]
}
has_server_headers() {
  [ -e "$("$pg_config" --includedir-server)/postgres.h" ] && [ -e "$("$pg_config" --pgxs)" ]
}
has_libpq() { [ -e "$("$pg_config" --includedir)/libpq-fe.h" ]; }
# The clang with which the server's own bitcode was made, if it has any.
bitcode_compiler() {
  makefile=$(dirname "$("$pg_config" --pgxs)")/../Makefile.global
  ! grep -q '^with_llvm *= *yes' "$makefile" || sed -n 's/^CLANG *= *//p' "$makefile"
}
has_bitcode_compiler() {
  clang=$(bitcode_compiler)
  [ -z "$clang" ] || command -v "$clang"
}
# The major version that this release of Debian offers: 15 on 12, 17 on 13.
offered() { apt-cache show --no-all-versions postgresql 2>/dev/null | sed -n 's/^Version: \([0-9]*\).*/\1/p'; }

major=$("$pg_config" --version 2>/dev/null | sed -n 's/^PostgreSQL \([0-9]*\).*/\1/p')
[ -n "$major" ] || major=$(offered)
: "${major:=15}"

need make has make
need g++ has g++
need postgresql-$major has_server
need postgresql-server-dev-$major has_server_headers
! has_server_headers >/dev/null 2>&1 || need libpq-dev has_libpq
! has_server_headers >/dev/null 2>&1 || [ -n "${EMULATED:-}" ] || need "$(basename "$(bitcode_compiler)")" has_bitcode_compiler
if [ "$purpose" = demo ] || [ "$purpose" = test ]; then
  need libfaketime has_faketime
fi
# An emulated processor takes hours to install what the tests of clients need.
[ -z "${EMULATED:-}" ] || [ "$purpose" != test ] || purpose=servers
if [ "$purpose" = bench ] || [ "$purpose" = test ]; then
  need python3 has python3
  need libbenchmark-dev has_header benchmark/benchmark.h
fi
if [ "$purpose" = test ] || [ "$purpose" = servers ]; then
  need libgtest-dev has_header gtest/gtest.h
  need libipc-run-perl perl -MIPC::Run -e1
  need perl has prove
  need util-linux has unshare
  need binutils has nm
  need libssl-dev has_header openssl/evp.h
fi
if [ "$purpose" = test ]; then
  need patch has patch
  need strace has strace
  [ "$major" -ge 19 ] || need postgresql-$major-partman has_partman # 19 has none yet
  need iproute2 has ip
  need clang has clang++
  need libclang-rt-dev has_libfuzzer
  need spin has spin
  need gcc has gcc
  need python3-yaml python3 -c 'import yaml'
  need python3-psycopg2 has_module psycopg2
  # FF1 in other languages, and AES for the core's.
  need python3-cryptography has_module cryptography
  need libbcprov-java [ -e /usr/share/java/bcprov.jar ]
  # The clients and ORMs of doc/clients.md.
  for module in psycopg sqlalchemy alembic django; do
    need python3-$module has_module $module
  done
  need ruby-activerecord ruby -e 'require "active_record"'
  need ruby-pg ruby -e 'require "pg"'
  need pgbouncer [ -x /usr/sbin/pgbouncer ]
  need default-jdk-headless has javac
  need npm has npm
  need prometheus has promtool
  need prometheus-postgres-exporter has prometheus-postgres-exporter
  need libpostgresql-jdbc-java [ -e /usr/share/java/postgresql.jar ]
fi
# What a test that skips aloud can do without. Debian's node-pg does not go with
# another Node.js than Debian's; with that one comes npm, which has it too.
if [ "$purpose" = test ] && ! has_node_pg >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" -eq 0 ]; then
  [ -n "$(ls /var/lib/apt/lists 2>/dev/null)" ] || apt-get update >/dev/null 2>&1 || :
  if apt-get install -s --no-install-recommends nodejs node-pg >/dev/null 2>&1; then
    missing="$missing nodejs node-pg"
  elif ! npm install -g pg@8 >/dev/null 2>&1 || ! has_node_pg >/dev/null 2>&1; then
    echo "node-pg cannot be installed here; what it tests may be skipped." >&2
  fi
fi
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
  echo "Please install the equivalent of these Debian packages:$missing" >&2
  exit 1
fi
root=
if [ "$(id -u)" -ne 0 ]; then
  if ! sudo -n true 2>/dev/null && ! { [ -t 0 ] && command -v sudo >/dev/null 2>&1 && sudo true; }; then
    echo "Packages are missing, and installing them takes root. Please run as root:" >&2
    echo "  apt-get install -y$missing" >&2
    exit 1
  fi
  root=sudo
fi
echo "Installing:$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { $root apt-get update && $root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
