#!/usr/bin/env python3
"""Consumes the outbox of event-streams.sql without losing an event.

Reads the events below timeshard_horizon() in ID order, adds them up in the table
balances, and keeps its cursor in the table consumers, all in one transaction: so
each event counts exactly once. NOTIFY wakes it when there are new events.

If the connection is lost, the session is read-only or the horizon is refused, it
prints one line and retries. If a table, a right or the cursor's row is missing, it
prints one line and exits with 1. On SIGTERM or SIGINT it exits with 0 after the
current transaction, or rolls it back if that takes long.

Needs psycopg2 (Debian: python3-psycopg2). It connects like any libpq client: by
PGHOST, PGDATABASE and so on, or --dsn. event-streams.sql creates the tables.

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

# Seconds between two looks while events wait above the horizon: doubled each time.
FIRST_RETRY, LAST_RETRY = 0.005, 1.0

# Seconds between two attempts to connect: doubled each time.
FIRST_PAUSE, LAST_PAUSE = 0.1, 5.0

# Seconds after SIGTERM in which the current transaction may still finish.
GRACE = 0.5

# Errors after which a retry can help, as after a lost connection.
PASSING = (psycopg2.OperationalError, psycopg2.InterfaceError, errors.ReadOnlySqlTransaction)


class NoCursor(Exception):
    """The row with the cursor is gone."""


class Stopped(Exception):
    """A signal came while it was safe to stop."""


def handle(cursor, event_id, account, amount):
    """Applies one event: here, to a projection. Replace it with your own."""
    cursor.execute(
        """INSERT INTO balances (account, total, last_id) VALUES (%s, %s, %s)
           ON CONFLICT (account) DO UPDATE
           SET total = balances.total + excluded.total, last_id = excluded.last_id""",
        (account, amount, event_id))


def take_batch(connection, name, limit):
    """Handles up to `limit` events and returns how many there were."""
    with connection, connection.cursor() as cursor:
        # The lock makes a second process with this name wait.
        cursor.execute('SELECT next_id FROM consumers WHERE name = %s FOR UPDATE', (name,))
        row = cursor.fetchone()
        if row is None:
            # A new row would start at the first event: the operator decides about that.
            raise NoCursor(f'the row of {name!r} in consumers is gone; the next start creates one at 0')
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
    """True if committed events are still above the horizon. No NOTIFY comes when the
    horizon passes them."""
    with connection, connection.cursor() as cursor:
        cursor.execute(
            """SELECT EXISTS (SELECT FROM outbox
               WHERE id >= (SELECT next_id FROM consumers WHERE name = %s))""", (name,))
        return cursor.fetchone()[0]


class Stop:
    """Records a signal, and wakes whatever waits."""

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
        """Waits for a signal or for input on one of the others, up to `seconds`."""
        select.select([self.wakes, *others], [], [], seconds)

    def wait_for_answer(self, connection):
        """psycopg2's wait callback. Without it, a signal would have no effect while a
        statement waits for a lock. psycopg2 closes the connection on Stopped."""
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
    """Connects in a thread, which a signal abandons: libpq tries one host after the
    other, up to connect_timeout each, and no signal interrupts it."""
    options = {
        'application_name': 'event_consumer',
        'connect_timeout': os.environ.get('PGCONNECT_TIMEOUT', '10'),
        # With several hosts, choose the primary.
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
        # If this process is killed, its session must not go on waiting for a lock.
        cursor.execute("SET client_connection_check_interval = '1s'")
        cursor.execute('INSERT INTO consumers (name) VALUES (%s) ON CONFLICT DO NOTHING', (arguments.name,))
        # Before the first look, so that no event is missed in between.
        cursor.execute('LISTEN outbox')


def wait_for_notify(connection, stop, seconds):
    """Waits for NOTIFY or a signal, up to `seconds`. True if NOTIFY has come since the
    last look."""
    end = time.monotonic() + seconds
    while not stop.asked:
        connection.poll()
        left = end - time.monotonic()
        if connection.notifies or left <= 0:
            break
        stop.wait(min(left, 3600), connection)
    return bool(connection.notifies)


def consume(connection, arguments, stop):
    """Handles events until a signal comes."""
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
    """An argparse type: a number above zero."""
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
        text += '; event-streams.sql creates the tables, --schema names their schema, and the role needs USAGE on it'
    return ' '.join(text.split())


def main():
    parser = argparse.ArgumentParser(description='Consumes the outbox of event-streams.sql.')
    parser.add_argument('--dsn', default='', help="libpq's connection string; default: the environment")
    parser.add_argument('--schema', default='timeshard_streams', help='the schema of the tables')
    parser.add_argument('--name', default='balances', help='the name of the cursor')
    parser.add_argument('--batch', type=positive(int), default=500, help='events in one transaction')
    parser.add_argument('--interval', type=positive(float), default=60,
                        help='seconds after which to look without a NOTIFY')
    parser.add_argument('--once', action='store_true', help='exit when nothing is left below the horizon')
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
            print(f'retrying in {pause:g} s: {sentence_of(error)}', file=sys.stderr, flush=True)
            stop.wait(pause)
            pause = min(pause * 2, LAST_PAUSE)
        finally:
            if connection is not None:
                connection.close()


if __name__ == '__main__':
    main()
