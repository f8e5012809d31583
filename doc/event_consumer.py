#!/usr/bin/env python3
"""Consumes the outbox of event-streams.sql, and loses nothing.

Reads the events below timeshard_horizon() in the order of their IDs, adds them
up in the table balances, and keeps its cursor in the table consumers: all in
one transaction, so each event counts exactly once. Sleeps until NOTIFY tells of
new events.

Says so and tries again where that can help: the connection is lost, the session
is read-only, the horizon is refused. Says so and ends, with 1, where it cannot: a
table, a right or the cursor's row is missing. Ends with 0 on SIGTERM or SIGINT,
after the transaction that it is in, or without it if it takes long.

Needs psycopg2 (Debian: python3-psycopg2). The connection is libpq's: PGHOST,
PGDATABASE and so on, or --dsn. event-streams.sql makes the tables.

    psql -v ON_ERROR_STOP=1 -f doc/event-streams.sql
    python3 doc/event_consumer.py
"""
import argparse
import math
import os
import select
import signal
import socket
import sys
import threading
import time

import psycopg2
from psycopg2 import errors, extensions

# While events wait above the horizon, it is asked again after so many seconds,
# then twice as many, and so on.
FIRST_RETRY, LAST_RETRY = 0.005, 1.0

# Between two attempts to connect.
FIRST_PAUSE, LAST_PAUSE = 0.1, 5.0

# A transaction that has not ended so long after SIGTERM is given up.
GRACE = 0.5

# Another attempt can help: these, and whatever ends the connection.
PASSING = (psycopg2.OperationalError, psycopg2.InterfaceError, errors.ReadOnlySqlTransaction)


class NoCursor(Exception):
    """The row with the cursor is gone."""


class Stopped(Exception):
    """The end is asked for, in the middle of something that is harmless to leave."""


def handle(cursor, event_id, account, amount):
    """What an event does: here, a projection. Put yours in its place."""
    cursor.execute(
        """INSERT INTO balances (account, total, last_id) VALUES (%s, %s, %s)
           ON CONFLICT (account) DO UPDATE
           SET total = balances.total + excluded.total, last_id = excluded.last_id""",
        (account, amount, event_id))


def take_batch(connection, name, limit):
    """Handles the next events, at most so many; returns how many there were."""
    with connection, connection.cursor() as cursor:
        # The lock keeps a second process of this name waiting.
        cursor.execute('SELECT next_id FROM consumers WHERE name = %s FOR UPDATE', (name,))
        row = cursor.fetchone()
        if row is None:
            # Made anew, it would begin at the first event: that is not for a program to decide.
            raise NoCursor(f'the row of {name!r} in consumers is gone; a new start makes one that begins at 0')
        (next_id,) = row
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
    return len(events)


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
        self.deadline = None
        self.wakes, woken = socket.socketpair()
        woken.setblocking(False)
        signal.set_wakeup_fd(woken.fileno())
        self._woken = woken
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, _number, _frame):
        self.deadline = self.deadline or time.monotonic() + GRACE
        self.asked = True

    def wait(self, seconds, *others):
        """Waits for a signal, for input on one of the others, or so long."""
        select.select([self.wakes, *others], [], [], seconds)

    def wait_for_answer(self, connection):
        """What psycopg2 calls to wait for the server: it would not hear a signal
        while a statement waits for a lock. It closes the connection on Stopped."""
        while (state := connection.poll()) != extensions.POLL_OK:
            reads = [connection] if state == extensions.POLL_READ else []
            writes = [connection] if state == extensions.POLL_WRITE else []
            if not self.asked:
                select.select([self.wakes, *reads], writes, [])
            elif (left := self.deadline - time.monotonic()) > 0:
                select.select(reads, writes, [], left)
            else:
                raise Stopped


def connect(dsn, stop):
    """Connects in a thread, which is left behind at a signal: libpq tries one host
    after the other, connect_timeout for each, and hears no signal meanwhile."""
    options = {
        'application_name': 'event_consumer',
        'connect_timeout': os.environ.get('PGCONNECT_TIMEOUT', '10'),
        # Of several hosts, the one that is the primary now.
        'target_session_attrs': os.environ.get('PGTARGETSESSIONATTRS', 'read-write'),
        **extensions.parse_dsn(dsn),
    }
    results = []
    done, finished = socket.socketpair()

    def attempt():
        try:
            results.append(psycopg2.connect(**options))
        except psycopg2.Error as error:
            results.append(error)
        finally:
            finished.close()

    extensions.set_wait_callback(None)
    threading.Thread(target=attempt, daemon=True).start()
    stop.wait(None, done)
    if stop.asked:
        raise Stopped
    done.close()
    (result,) = results
    if isinstance(result, psycopg2.Error):
        raise result
    extensions.set_wait_callback(stop.wait_for_answer)
    return result


def prepare(connection, arguments):
    connection.set_session(isolation_level='READ COMMITTED')
    with connection, connection.cursor() as cursor:
        cursor.execute(
            """SELECT set_config('search_path',
                   concat_ws(', ', quote_ident(%s), nullif(current_setting('search_path'), '')), false)""",
            (arguments.schema,))
        # What is given up, or killed, is to wait for no lock any longer, nor hold one.
        cursor.execute("SET client_connection_check_interval = '1s'")
        cursor.execute('INSERT INTO consumers (name) VALUES (%s) ON CONFLICT DO NOTHING', (arguments.name,))
        # Before the first look, so that nothing comes between.
        cursor.execute('LISTEN outbox')


def wait_for_notify(connection, stop, seconds):
    """Waits for NOTIFY, a signal, or so long. True if NOTIFY came, since the last
    look at the latest."""
    end = time.monotonic() + seconds
    while not stop.asked:
        connection.poll()
        left = end - time.monotonic()
        if connection.notifies or left <= 0:
            break
        stop.wait(min(left, 3600), connection)
    return bool(connection.notifies)


def consume(connection, arguments, stop):
    """Handles events until the end is asked for."""
    retry = FIRST_RETRY
    while not stop.asked:
        connection.notifies.clear()
        taken = take_batch(connection, arguments.name, arguments.batch)
        if taken:
            retry = FIRST_RETRY
        if taken == arguments.batch:
            continue
        if arguments.once:
            return
        if not events_wait(connection, arguments.name):
            wait_for_notify(connection, stop, arguments.interval)
            retry = FIRST_RETRY
        elif wait_for_notify(connection, stop, retry):
            retry = FIRST_RETRY
        else:
            retry = min(retry * 2, LAST_RETRY)


def positive(kind):
    """What argparse takes for a number above zero."""
    def parse(text):
        number = kind(text)
        if not 0 < number < math.inf:
            raise argparse.ArgumentTypeError(f'{text} is not above zero')
        return number
    parse.__name__ = kind.__name__
    return parse


def sentence_of(error):
    """An error in one line."""
    text = error.diag.message_primary or str(error)
    if error.diag.message_detail:
        text += f' ({error.diag.message_detail})'
    if isinstance(error, errors.UndefinedTable):
        text += '; event-streams.sql makes the tables, --schema says where, and the role needs USAGE of it'
    return ' '.join(text.split())


def main():
    parser = argparse.ArgumentParser(description='Consumes the outbox of event-streams.sql.')
    parser.add_argument('--dsn', default='', help="libpq's connection string; default: the environment")
    parser.add_argument('--schema', default='timeshard_streams', help='where the tables are')
    parser.add_argument('--name', default='balances', help='the name of the cursor')
    parser.add_argument('--batch', type=positive(int), default=500, help='events in one transaction')
    parser.add_argument('--interval', type=positive(float), default=60,
                        help='seconds after which to look although no NOTIFY came')
    parser.add_argument('--once', action='store_true', help='end when nothing is left below the horizon')
    arguments = parser.parse_args()

    stop = Stop()
    pause = FIRST_PAUSE
    while not stop.asked:
        connection = None
        started = time.monotonic()
        try:
            connection = connect(arguments.dsn, stop)
            prepare(connection, arguments)
            consume(connection, arguments, stop)
            if arguments.once:
                break
        except Stopped:
            break
        except NoCursor as error:
            sys.exit(f'{parser.prog}: {error}')
        except psycopg2.Error as error:
            passing = isinstance(error, PASSING) or connection is not None and connection.closed
            if stop.asked and passing:
                break
            if arguments.once or not passing:
                sys.exit(f'{parser.prog}: {sentence_of(error)}')
            if time.monotonic() - started > LAST_PAUSE:
                pause = FIRST_PAUSE
            print(f'again in {pause:g} s: {sentence_of(error)}', file=sys.stderr, flush=True)
            stop.wait(pause)
            pause = min(pause * 2, LAST_PAUSE)
        finally:
            if connection is not None:
                connection.close()


if __name__ == '__main__':
    main()
