# In the root: what the packaging says that it needs, and nothing else but the
# compiler that every build has, and lintian.
mkdir -p /timeshard/needs/debian
sed 's/PGVERSION/0/' /timeshard/sources/*/test/packages/debian/control.in >/timeshard/needs/debian/control
apt-get install -y build-essential fakeroot lintian
cd /timeshard
apt-get build-dep -y ./needs
