"""psycopg, for clients_pgbouncer_prepared.pl: with "count", says at which run a
statement is prepared, with "batch" at which a batch is; else runs both on one
server connection of two, and then on the other, with "do-not" as a client that
prepares nothing."""
import sys

import psycopg

SQL = "INSERT INTO customers (name) VALUES (%s) RETURNING id, pg_backend_pid()"
plain = {"prepare_threshold": None, "autocommit": True}


def insert():
    return client.execute(SQL, ["Ada"]).fetchone()[1]


def insert_batch():
    client.cursor().executemany(SQL, [["Ada"], ["Grace"]])


if sys.argv[1] in ("count", "batch"):
    client = psycopg.connect(autocommit=True)
    for run in range(1, 20):
        insert() if sys.argv[1] == "count" else insert_batch()
        prepared = client.execute("SELECT count(*) FROM pg_prepared_statements", prepare=False).fetchone()[0]
        if prepared:
            print(f"first {run}")
            break
    sys.exit()

client = psycopg.connect(**(plain if sys.argv[1] == "do-not" else {"autocommit": True}))
first, second = psycopg.connect(**plain), psycopg.connect(**plain)

# One is taken: the client prepares on the other. Then that one is taken instead.
first.execute("BEGIN")
first.execute("SELECT 1")
before = {insert() for _ in range(10)}
insert_batch()
second.execute("BEGIN")
second.execute("SELECT 1")
first.execute("COMMIT")
after = {insert() for _ in range(10)}
insert_batch()
second.execute("COMMIT")
print("runs on both connections" if len(before) == len(after) == 1 and before != after else f"{before} {after}")
