# In the root: the packages' own tests, by Debian's program for them, which
# installs the packages and what the tests depend on. The root is the testbed.
cd /timeshard
apt-get install -y autopkgtest
status=0
autopkgtest --output-dir "$PWD/results" packages/*.changes -- null || status=$?
# 2: some test was skipped, and the summary says which.
[ "$status" -eq 0 ] || [ "$status" -eq 2 ]
sed 's/^/CHECKED autopkgtest: /' results/summary
