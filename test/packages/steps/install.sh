# In the root: the binary packages install, work and go without a trace. The data
# directory is the user's: the mark stays there, as it must.
cd /timeshard
checked() { echo "CHECKED $*"; }
as_postgres() { runuser -u postgres -- env -C /var/lib/postgresql "$@"; }
present() {
  find / -xdev \( -path /proc -o -path /timeshard -o -path /tmp -o -path /var/cache -o -path /var/log \
    -o -path /var/lib/apt -o -path /var/lib/dpkg -o -path /var/lib/postgresql -o -path /run -o -path /dev \) -prune \
    -o -print | LC_ALL=C sort
}

for package in packages/postgresql-*-timeshard_*.deb; do
  name=$(dpkg-deb -f "$package" Package)
  version=$(echo "$name" | sed 's/[^0-9]//g')
  apt-get install -y "postgresql-$version"
  # In 15 and 17 the server's package is the one that has the provider of JIT.
  apt-get install -y "postgresql-$version-jit-llvm" || echo 'there is no JIT for this server'
  [ -d "/etc/postgresql/$version/main" ] || pg_createcluster "$version" main
  present >before

  apt-get install -y "./$package"
  present >with
  dpkg -L "$name" | LC_ALL=C sort >owned
  LC_ALL=C comm -13 before with | LC_ALL=C comm -23 - owned >unowned
  [ ! -s unowned ] || { echo 'installed, but unknown to dpkg:'; cat unowned; exit 1; }
  changed=$(dpkg -V "$name")
  [ -z "$changed" ] || { echo "not as packaged:"; echo "$changed"; exit 1; }
  library=$(grep '/timeshard\.so$' owned)
  folder=$(dirname "$library")
  grep -qx "$folder/timeshard_registry.so" owned || { echo 'the library of the registry is not there'; exit 1; }
  pages=$(grep -aoE '/[a-z0-9/._-]+/README\.md' "$library" | sort -u)
  pages=$(dirname "$pages")
  for page in $(grep -aoE '/[a-z0-9/._-]+/doc/[a-z-]+\.md' "$library" | sort -u) \
    $(grep -ohE 'doc/[a-z_-]+\.(md|sql|py)' "$pages/README.md" | sort -u | sed "s,^,$pages/,"); do
    [ -f "$page" ] || { echo "the manual is not there: $page"; exit 1; }
  done
  bitcode='without bitcode: the server has no JIT'
  if [ -e "$folder/llvmjit.so" ]; then
    grep -qx "$folder/bitcode/timeshard.index.bc" owned || { echo 'the server has JIT, and the package no bitcode'; exit 1; }
    bitcode='with bitcode'
  fi
  checked "$name is installed, $(LC_ALL=C comm -13 before with | wc -l) new files and folders, all dpkg's; $bitcode"

  pg_ctlcluster "$version" main start
  as_postgres psql -X -v ON_ERROR_STOP=1 -c 'CREATE EXTENSION timeshard' \
    -c 'SELECT timeshard_parse(timeshard_next_id())' -c 'SELECT * FROM timeshard_config()'
  checked 'CREATE EXTENSION and the first ID'

  # A server that claims from itself: the second library and libpq are found.
  as_postgres psql -X -v ON_ERROR_STOP=1 -c "SELECT timeshard_create_registry('[100,199]')" \
    -c "ALTER SYSTEM SET shared_preload_libraries = 'timeshard'" -c "ALTER SYSTEM SET timeshard.node_id = 'registry'" \
    -c "ALTER SYSTEM SET timeshard.registry = 'dbname=postgres'"
  pg_ctlcluster "$version" main restart
  for try in 1 2 3 4 5; do # the call itself waits for two seconds
    as_postgres psql -XAt -c 'SELECT node_id FROM timeshard_parse(timeshard_next_id())' | grep -qx 100 && break
    [ "$try" -lt 5 ]
  done
  checked 'a claimed number'
  pg_ctlcluster "$version" main stop

  apt-get purge -y "$name"
  present >after
  diff before after
  ! dpkg -s "$name" 2>/dev/null | grep -q '^Status: .* installed'
  checked 'removed: every file there is was there before'
done
