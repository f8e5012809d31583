"""Runs mutants for run.sh: run.py WORK USER PG_CONFIG [MUTANT...]

The sources in WORK/src are built once. Each worker has a copy of them with what
was built, and of the private server. For each mutant it replaces the files that
the mutant breaks, builds only what includes them, runs the tests that the mutant
names until one fails, and puts everything back.
"""
import glob
import os
import pwd
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

from mutant import all_mutants

WORK, USER, PG_CONFIG, *WANTED = sys.argv[1:]
SOURCE = f'{WORK}/src'  # and what was built there
ORIGINAL = os.environ['ORIGINAL']  # the checkout
LOGS = os.environ.get('KEEP') or f'{WORK}/logs'
RESULTS = os.environ.get('RESULTS')
JOBS = int(os.environ['JOBS'])
VERBOSE = os.environ.get('VERBOSE')
FLAGS = '-O1 -fno-strict-aliasing -fwrapv'
BUILD_SECONDS = 600

signals = []  # received; no Event, which deadlocks if a second signal interrupts the handler
processes = set()
lock = threading.Lock()


class Trouble(Exception):
    """What makes the result of a mutant, or of the whole run, worth nothing."""


def pg_config(server_config, option):
    return subprocess.run([server_config, option], check=True, capture_output=True, text=True).stdout.strip()


def signal_group(process, number):
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


def run(log, seconds, command, cwd, stop_at=None, **environment):
    """'passed', 'failed' or 'timeout'. A line that matches stop_at is failure enough."""
    if signals:
        raise Trouble('interrupted')
    identity = pwd.getpwnam(USER)
    other = {'user': USER, 'group': identity.pw_gid, 'extra_groups': []} if os.getuid() == 0 else {}
    with open(log, 'a') as out:
        process = subprocess.Popen(
            command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, 'HOME': WORK, 'USER': USER, 'LOGNAME': USER, **environment}, **other)
    with lock:
        processes.add(process)
    outcome, deadline = None, time.monotonic() + seconds
    with open(log, errors='replace') as output:
        while process.poll() is None and outcome is None:
            time.sleep(0.1)
            if stop_at and any(re.match(stop_at, line) for line in output):
                outcome = 'failed'
            elif signals or time.monotonic() > deadline:
                outcome = 'timeout'
    if outcome is not None:
        signal_group(process, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            pass
    signal_group(process, signal.SIGKILL)  # what the command left behind
    status = process.wait()
    with lock:
        processes.discard(process)
    if signals:
        raise Trouble('interrupted')
    return outcome or ('passed' if status == 0 else 'failed')


def same_time(path, copy):
    return os.path.exists(copy) and os.stat(path).st_mtime_ns == os.stat(copy).st_mtime_ns


class Worker:
    def __init__(self, number):
        self.top = f'{WORK}/w{number}'
        self.tree = f'{self.top}/tree'
        self.tmp = f'{self.top}/tmp'
        os.mkdir(self.top)
        os.mkdir(self.tmp)
        for folder, copy in ((SOURCE, self.tree), (f'{WORK}/server', f'{self.top}/server')):
            subprocess.run(['cp', '-a', folder, copy], check=True)
        self.config = PG_CONFIG.replace(f'{WORK}/server', f'{self.top}/server', 1)
        self.bindir = pg_config(self.config, '--bindir')
        self.pgxs = os.path.dirname(os.path.dirname(pg_config(self.config, '--pgxs')))
        if os.getuid() == 0:
            for path in (self.top, self.tmp):
                shutil.chown(path, USER, pwd.getpwnam(USER).pw_gid)

    def built_from(self, files):
        """What make has to build anew when these files change, what that is linked into included:
        where make has all files for secondary, a missing object alone is not missed."""
        found = set()
        for rules in glob.glob(f'{self.tree}/**/*.d', recursive=True):
            words = {os.path.normpath(word) for word in open(rules).read().split()}
            if any(word == file or word.endswith('/' + file) for word in words for file in files):
                found |= {rules[:-2] + '.o', f'{os.path.dirname(rules)}/unit_tests',
                          f'{self.tree}/timeshard.so', f'{self.tree}/timeshard_registry.so'}
        if any(file.endswith('.sql') for file in files):
            found |= {script for script in glob.glob(f'{self.tree}/sql/timeshard--*.sql')
                      if not os.path.exists(f'{ORIGINAL}{script[len(self.tree):]}')}
        return [path for path in found if os.path.exists(path)]

    def break_by(self, mutant):
        try:
            texts = mutant.mutated(SOURCE)
        except ValueError as error:
            raise Trouble(str(error))
        for path in self.built_from(texts):
            os.remove(path)
        for file, text in texts.items():
            # The old time of change: make would rebuild everything for a newer header.
            path = f'{self.tree}/{file}'
            times = os.stat(path)
            open(path, 'w').write(text)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    def mend(self, mutant):
        for path in self.built_from(mutant.files()):
            os.remove(path)
        for folder, _, names in os.walk(SOURCE):
            for name in names:
                path = f'{folder}/{name}'
                copy = self.tree + path[len(SOURCE):]
                built = path.endswith(('.o', '.so', '.sql')) and not same_time(path, copy)
                if built or path[len(SOURCE) + 1:] in mutant.files():
                    subprocess.run(['cp', '-a', path, copy], check=True)

    def stop_servers(self):
        for pid_file in glob.glob(f'{self.top}/**/postmaster.pid', recursive=True):
            subprocess.run(['runuser', '-u', USER, '--'] * (os.getuid() == 0) +
                           [f'{self.bindir}/pg_ctl', '-D', os.path.dirname(pid_file), '-m', 'immediate', '-w', 'stop'],
                           cwd=WORK, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def test_unit(self, test, logs, seconds):
        name = os.path.basename(test)[:-len('.cpp')]
        make = ['make', '-s', '-C', f'{self.tree}/test/unit', f'BUILD=build/{name}',
                f'SOURCES=$(HERE){name}.cpp $(wildcard $(CORE)/*.cpp)', 'FLAGS_plain=-O1 -DSCALE=1 -Wno-error']
        if run(f'{logs}/build.log', BUILD_SECONDS, make + [f'build/{name}/plain/unit_tests'], self.tree) != 'passed':
            raise Trouble('does not compile')
        return run(f'{logs}/{name}.log', seconds, make + ['check'], self.tree, GTEST_FAIL_FAST='1')

    def install(self, logs):
        make = ['make', '-s', '-C', self.tree, 'with_llvm=no', f'PG_CONFIG={self.config}', f'CXXFLAGS={FLAGS}',
                'TIMESHARD_CXXFLAGS=-MMD', 'install']
        if run(f'{logs}/build.log', BUILD_SECONDS, make, self.tree) != 'passed':
            raise Trouble('does not compile')

    def test_regress(self, test, logs, seconds):
        name = os.path.basename(test)[:-len('.sql')]
        data = f'{self.top}/data'
        shutil.rmtree(data, ignore_errors=True)
        subprocess.run(['cp', '-a', f'{WORK}/data', data], check=True)
        # The extension's own test expects the warning of a derived node ID, no other does.
        node_id = '' if name == 'extension' else '-c timeshard.node_id=1'
        start = [f'{self.bindir}/pg_ctl', '-D', data, '-w', '-l', f'{self.tmp}/server.log',
                 '-o', f'-c unix_socket_directories={self.tmp} {node_id}', 'start']
        if run(f'{logs}/start.log', 60, start, self.top) != 'passed':
            raise Trouble('the server does not start')
        outcome = run(f'{logs}/{name}.log', seconds,
                      [f'{self.pgxs}/test/regress/pg_regress', f'--inputdir={os.path.dirname(os.path.dirname(test)) or "."}',
                       f'--outputdir={self.tmp}', f'--bindir={self.bindir}', '--dbname=regression', '--encoding=UTF8', '--no-locale',
                       *(['--load-extension=timeshard'] if name != 'extension' else []), name],
                      self.tree, PGHOST=self.tmp, PGPORT='5432', PGUSER='postgres')
        if os.path.exists(f'{self.tmp}/regression.diffs'):
            shutil.move(f'{self.tmp}/regression.diffs', f'{logs}/{name}.diffs')
        return outcome

    def test_tap(self, test, logs, seconds):
        check = f'{self.tree}/tmp_check'
        outcome = run(f'{logs}/{os.path.basename(test)}.log', seconds,
                      ['perl', '-I', 'test/lib', '-I', f'{self.pgxs}/test/perl', test], self.tree,
                      stop_at=r'\s*not ok\b|1\.\.0 # SKIP', TESTDIR=self.tree, TESTDATADIR=check, TESTLOGDIR=f'{check}/log',
                      TMPDIR=self.tmp, PATH=f'{self.bindir}:{os.environ["PATH"]}', PG_CONFIG=self.config,
                      PG_REGRESS=f'{self.pgxs}/test/regress/pg_regress', PG_TEST_TIMEOUT_DEFAULT='60')
        self.stop_servers()
        if outcome != 'passed' and os.path.isdir(f'{check}/log'):  # the servers' own logs
            shutil.copytree(f'{check}/log', f'{logs}/{os.path.basename(test)}.servers', dirs_exist_ok=True)
        for folder in glob.glob(f'{check}/*/'):  # the files are what tests have compiled for themselves
            shutil.rmtree(folder, ignore_errors=True)
        return outcome

    def test(self, test, logs, seconds):
        if test.startswith('test/unit/'):
            return self.test_unit(test, logs, seconds)
        self.install(logs)
        try:
            return (self.test_regress if test.endswith('.sql') else self.test_tap)(test, logs, seconds)
        finally:
            self.stop_servers()

    def original(self, test):
        """How long the test takes where nothing is broken, in seconds."""
        logs = f'{LOGS}/unmutated/{os.path.basename(test)}'
        shutil.rmtree(logs, ignore_errors=True)
        os.makedirs(logs)
        began = time.monotonic()
        outcome = self.test(test, logs, 900)
        if outcome != 'passed':
            raise Trouble(f'{outcome} though nothing is broken, see {logs}')
        return time.monotonic() - began

    def verdict(self, mutant, usual):
        """'caught by TEST', 'SURVIVED' or 'ERROR, why', and the first failure."""
        logs = f'{LOGS}/{mutant.name}'
        shutil.rmtree(logs, ignore_errors=True)
        os.makedirs(logs)
        try:
            self.break_by(mutant)
            for test in mutant.tests:
                if test not in usual:
                    raise Trouble(f'{test} fails though nothing is broken')
                seconds = 30 + 3 * usual[test] if mutant.may_time_out else 60 + 6 * usual[test]
                outcome = self.test(test, logs, seconds)
                if outcome == 'timeout' and not mutant.may_time_out:
                    raise Trouble(f'out of time in {test}')
                if outcome != 'passed':
                    return f'caught by {test}', first_failure(logs)
            return 'SURVIVED', ''
        except Trouble as trouble:
            return f'ERROR, {trouble}', ''
        finally:
            if not signals:
                self.mend(mutant)


def first_failure(logs):
    for log in filter(os.path.isfile, glob.glob(f'{logs}/*')):
        for line in open(log, errors='replace'):
            if re.match(r'\s*not ok|\S+: Failure|\[ +FAILED|[-+] ?\w|# .*exited|\S.*Assertion', line) and 'build.log' not in log:
                return line.strip()
    return 'see its log'


def record(line):
    with lock:
        print(line, flush=True)
        if RESULTS:
            with open(RESULTS, 'a') as results:
                print(line, file=results)


def decided():
    """What RESULTS says of an earlier run: verdicts by mutant, seconds by test."""
    verdicts, usual = {}, {}
    if RESULTS and os.path.exists(RESULTS):
        for line in open(RESULTS):
            match = re.match(r'(caught by \S+|SURVIVED|passes unmutated in [\d.]+ s): (\S+)$', line)
            if match and match[1].startswith('passes'):
                usual[match[2]] = float(match[1].split()[3])
            elif match:
                verdicts[match[2]] = match[1]
    return verdicts, usual


def in_parallel(workers, tasks, work):
    waiting = queue.Queue()
    for task in tasks:
        waiting.put(task)

    def loop(worker):
        while not signals:
            try:
                work(worker, waiting.get_nowait())
            except queue.Empty:
                return
            except Trouble:
                if signals:
                    return
                raise

    threads = [threading.Thread(target=loop, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def interrupted(number, _frame):
    signals.append(number)
    for process in list(processes):
        signal_group(process, signal.SIGTERM)


def prepare(tests):
    """Builds what the workers copy."""
    os.makedirs(LOGS, exist_ok=True)
    if os.getuid() == 0:  # the ordinary user does not write there, but whoever reads it may be one
        os.chmod(LOGS, 0o755)
    if all(test.startswith('test/unit/') for test in tests):
        return
    log = f'{LOGS}/build.log'
    if run(log, BUILD_SECONDS, ['make', '-s', f'-j{JOBS}', '-C', SOURCE, 'with_llvm=no', f'PG_CONFIG={PG_CONFIG}', f'CXXFLAGS={FLAGS}',
                                'TIMESHARD_CXXFLAGS=-MMD', 'install'], WORK) != 'passed':
        raise Trouble(f'the unmutated tree does not build, see {log}')
    bindir = pg_config(PG_CONFIG, '--bindir')
    if run(log, 120, [f'{bindir}/initdb', '-D', f'{WORK}/data', '-A', 'trust', '-U', 'postgres', '-E', 'UTF8', '--locale=C.UTF-8', '-N'],
           WORK) != 'passed':
        raise Trouble(f'initdb fails, see {log}')
    with open(f'{WORK}/data/postgresql.conf', 'a') as conf:
        conf.write("listen_addresses = ''\nport = 5432\n")  # with fsync, which a registry demands


def is_wanted(mutant, wanted):
    return any(part in name for part in wanted for name in (mutant.name, mutant.tests[0]))


def main():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    chosen = all_mutants()
    for wanted in WANTED:
        if not any(is_wanted(mutant, [wanted]) for mutant in chosen):
            raise Trouble(f'there is no mutant {wanted}')
    chosen = [mutant for mutant in chosen if not WANTED or is_wanted(mutant, WANTED)]
    verdicts, usual = decided()
    due = [mutant for mutant in chosen if mutant.name not in verdicts]
    kind = {'.cpp': 0, '.sql': 1, '.pl': 2}
    due.sort(key=lambda mutant: kind[os.path.splitext(mutant.tests[0])[1]])
    tests = list(dict.fromkeys(test for mutant in due for test in mutant.tests))

    if due:
        prepare(tests)
        workers = [Worker(number) for number in range(1, min(JOBS, len(due)) + 1)]

        unsound = []

        def try_original(worker, test):
            try:
                usual[test] = worker.original(test)
                record(f'passes unmutated in {usual[test]:.1f} s: {test}')
            except Trouble as trouble:
                unsound.append(f'{test}: {trouble}')

        def try_mutant(worker, mutant):
            verdict, failure = worker.verdict(mutant, usual)
            if signals:
                return
            verdicts[mutant.name] = verdict
            record(f'{verdict}: {mutant.name}')
            if VERBOSE and failure:
                print(f'    {failure}', flush=True)

        in_parallel(workers, [test for test in tests if test not in usual], try_original)
        if unsound and not signals:
            print('\n'.join(unsound), file=sys.stderr)
        in_parallel(workers, due, try_mutant)
        for worker in workers:
            worker.stop_servers()
    if signals:
        return 143

    mine = [verdicts.get(mutant.name, 'ERROR') for mutant in chosen]
    caught = sum(verdict.startswith('caught') for verdict in mine)
    print(f'caught {caught} of {len(mine)}')
    return 2 if any(verdict.startswith('ERROR') for verdict in mine) else 1 if caught < len(mine) else 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except Trouble as trouble:
        print(f'run.sh: {trouble}', file=sys.stderr)
        sys.exit(143 if signals else 2)
