# In the root: the real client installs, loads, tests and removes the archive.
archive=$1
cd /timeshard
checked() { echo "CHECKED $*"; }
as_postgres() { runuser -u postgres -- env -C /var/lib/postgresql HOME=/var/lib/postgresql "$@"; }
# Files, not folders: PGXS leaves an empty one for bitcode, if it was the first to need it.
installed() { find /usr /etc -xdev ! -type d ! -name '*.pyc' | LC_ALL=C sort; }

# No git in here: an archive made of the files has what the one from git has.
unzip -q "$archive" -d from_git
mkdir made
sh from_git/timeshard-*/test/packages/dist.sh made
unzip -q "made/$archive" -d from_files
diff -r from_git from_files
cp "$archive" /var/lib/postgresql/
checked 'the archive holds the same, made from git or from its own files'

version=$(ls /usr/lib/postgresql)
pg_ctlcluster "$version" main start
installed >before
pgxn install --yes --nosudo "./$archive"
checked "built and installed for PostgreSQL $version"
as_postgres createdb try
as_postgres pgxn load --yes -d try "./$archive"
as_postgres psql -XAt -v ON_ERROR_STOP=1 -d try -c 'SELECT timeshard_next_id() < timeshard_next_id()' | grep -qx t
told=$(as_postgres psql -XAt -d try -c "SELECT extversion FROM pg_extension WHERE extname = 'timeshard'")
[ "timeshard-$told.zip" = "$archive" ]
checked "loaded, version $told"
as_postgres pgxn check -d regression "./$archive"
checked 'its tests pass by pgxn check'
as_postgres pgxn unload --yes -d try "./$archive"
pg_ctlcluster "$version" main stop
pgxn uninstall --yes --nosudo "./$archive"
installed >after
diff before after
checked 'unloaded and uninstalled, and no file is left'
