#!/usr/bin/env python3
"""Consumes the outbox of event-streams.sql, and loses nothing.

Reads the events below timeshard_horizon() in the order of their IDs, adds them
up in the table balances, and keeps its cursor in the table consumers: all in
one transaction, so each event counts exactly once. Sleeps until NOTIFY tells of
new events. Ends on SIGTERM or SIGINT, after the transaction that it is in.

Needs psycopg2 (Debian: python3-psycopg2). The connection is libpq's: PGHOST,
PGDATABASE and so on, or --dsn. event-streams.sql makes the tables.

    psql -v ON_ERROR_STOP=1 -f doc/event-streams.sql
    python3 doc/event_consumer.py
"""
import argparse
import select
import signal
import socket
import sys
import time

import psycopg2

# While events wait above the horizon, it is asked again after so many seconds,
# then twice as many, and so on.
FIRST_RETRY, LAST_RETRY = 0.005, 1.0

# Between two attempts to connect.
FIRST_PAUSE, LAST_PAUSE = 0.1, 5.0


def handle(cursor, event_id, account, amount):
    """What an event does: here, a projection. Put yours in its place."""
    cursor.execute(
        """INSERT INTO balances (account, total, last_id) VALUES (%s, %s, %s)
           ON CONFLICT (account) DO UPDATE
           SET total = balances.total + excluded.total, last_id = excluded.last_id""",
        (account, amount, event_id))


def take_batch(connection, name, limit):
    """Handles the next events, at most so many. True if there may be more below
    the horizon."""
    with connection, connection.cursor() as cursor:
        # The lock keeps a second process of this name waiting.
        cursor.execute('SELECT next_id FROM consumers WHERE name = %s FOR UPDATE', (name,))
        (next_id,) = cursor.fetchone()
        # Ask in one statement, and read in a later one.
        cursor.execute('SELECT timeshard_horizon()')
        (horizon,) = cursor.fetchone()
        cursor.execute(
            """SELECT id, account, amount FROM outbox
               WHERE id >= %s AND id < %s ORDER BY id LIMIT %s""",
            (next_id, horizon, limit))
        events = cursor.fetchall()
        for event in events:
            handle(cursor, *event)
        full = len(events) == limit
        cursor.execute(
            'UPDATE consumers SET next_id = greatest(next_id, %s) WHERE name = %s',
            (events[-1][0] + 1 if full else horizon, name))
    return full


def events_wait(connection, name):
    """True if events are committed that the horizon has not passed yet: no NOTIFY
    will tell when it does."""
    with connection, connection.cursor() as cursor:
        cursor.execute(
            """SELECT EXISTS (SELECT FROM outbox
               WHERE id >= (SELECT next_id FROM consumers WHERE name = %s))""", (name,))
        return cursor.fetchone()[0]


class Stop:
    """Becomes true at a signal, and wakes who waits for it."""

    def __init__(self):
        self.asked = False
        self.wakes, woken = socket.socketpair()
        woken.setblocking(False)
        signal.set_wakeup_fd(woken.fileno())
        self._woken = woken
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, _number, _frame):
        self.asked = True

    def wait(self, seconds, *others):
        """Waits for a signal, for input on one of the others, or so long."""
        select.select([self.wakes, *others], [], [], seconds)


def connect(arguments):
    connection = psycopg2.connect(arguments.dsn, application_name='event_consumer')
    connection.set_session(isolation_level='READ COMMITTED')
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT set_config('search_path', %s || ', ' || current_setting('search_path'), false)",
                       (arguments.schema,))
        cursor.execute('INSERT INTO consumers (name) VALUES (%s) ON CONFLICT DO NOTHING', (arguments.name,))
        # Before the first look, so that nothing comes between.
        cursor.execute('LISTEN outbox')
    return connection


def wait_for_notify(connection, stop, seconds):
    """Waits for NOTIFY, a signal, or so long."""
    end = time.monotonic() + seconds
    while not stop.asked:
        connection.poll()
        left = end - time.monotonic()
        if connection.notifies or left <= 0:
            break
        stop.wait(left, connection)
    connection.notifies.clear()


def consume(connection, arguments, stop):
    """Handles events until the end is asked for."""
    retry = FIRST_RETRY
    while not stop.asked:
        if take_batch(connection, arguments.name, arguments.batch):
            continue
        if arguments.once:
            return
        if events_wait(connection, arguments.name):
            wait_for_notify(connection, stop, retry)
            retry = min(retry * 2, LAST_RETRY)
        else:
            retry = FIRST_RETRY
            wait_for_notify(connection, stop, arguments.interval)


def main():
    parser = argparse.ArgumentParser(description='Consumes the outbox of event-streams.sql.')
    parser.add_argument('--dsn', default='', help="libpq's connection string; default: the environment")
    parser.add_argument('--schema', default='timeshard_streams', help='where the tables are')
    parser.add_argument('--name', default='balances', help='the name of the cursor')
    parser.add_argument('--batch', type=int, default=500, help='events in one transaction')
    parser.add_argument('--interval', type=float, default=60,
                        help='seconds after which to look although no NOTIFY came')
    parser.add_argument('--once', action='store_true', help='end when nothing is left below the horizon')
    arguments = parser.parse_args()

    stop = Stop()
    pause = FIRST_PAUSE
    while not stop.asked:
        connection = None
        started = time.monotonic()
        try:
            connection = connect(arguments)
            consume(connection, arguments, stop)
            if arguments.once:
                break
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            if arguments.once:
                raise
            if time.monotonic() - started > LAST_PAUSE:
                pause = FIRST_PAUSE
            print(f'again in {pause:g} s: {str(error).strip()}', file=sys.stderr, flush=True)
            stop.wait(pause)
            pause = min(pause * 2, LAST_PAUSE)
        finally:
            if connection is not None:
                connection.close()


if __name__ == '__main__':
    main()
