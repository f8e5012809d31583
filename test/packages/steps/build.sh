# In the root, as an ordinary user: source and binary packages, and lintian.
cd /timeshard
checked() { echo "CHECKED $*"; }
useradd -m builder
mkdir packages
chown -R builder sources packages
as_builder() { runuser -u builder -- env HOME=/home/builder LC_ALL=C.UTF-8 "$@"; }

as_builder make -C sources/timeshard-* deb
as_builder sh -c 'cp sources/*/build/deb/* packages/'
cat packages/build.log
# One run of the tests for each server: " All 11 tests passed.", behind a # from 16 on.
tests=$(grep -c '^#* All .* tests passed' packages/build.log || :)
versions=$(ls packages/postgresql-*-timeshard_*.deb | wc -l)
if [ "$versions" -eq 0 ] || [ "$tests" -ne "$versions" ]; then
  echo "$versions packages, and tests that passed for $tests of them"
  exit 1
fi
checked "built, with its tests passed: $(cd packages && ls postgresql-*-timeshard_*.deb | tr '\n' ' ')"

as_builder lintian --fail-on error packages/*.changes >lintian.log 2>&1 || {
  cat lintian.log
  exit 1
}
cat lintian.log
checked "lintian $(dpkg-query -W -f '${Version}' lintian) has no error, $(grep -c '^W:' lintian.log || :) warnings"
sed 's/^W:/CHECKED &/' lintian.log
