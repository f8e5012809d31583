# In the root: what a user of PGXN needs, by its packages' names, and unzip.
apt-get install -y pgxnclient make g++ postgresql postgresql-server-dev-all unzip
