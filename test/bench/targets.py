"""What Timeshard is to reach, as ratios taken within the rounds of one run."""
from figures import short, summary

CEILING = 4096000  # IDs a second of the default layout


def targets(run):
    """Lines of (what, figure, least, greatest, target, verdict)."""
    result = []

    def judge(what, values, comparison, target):
        three = summary(values)
        if three is None:
            result.append((what, 'not measured', '', '', f'{comparison} {target:g}', 'not measured'))
            return
        met = three[0] <= target if comparison == '≤' else three[0] >= target
        result.append((what, *map(short, three), f'{comparison} {target:g}', 'met' if met else 'MISSED'))

    def share(count):
        return run.together(lambda a: 100 * a / CEILING, ('sessions', 'ids_per_s', 'timeshard', count))

    def sessions(kind, count):
        return ('sessions', 'ids_per_s', kind, count)

    def call(name):
        return ('calls', 'ns', name)

    def bulk(stage, measure, kind):
        return (stage, measure, kind)

    def ratio(a, b):
        return run.together(lambda x, y: x / y, a, b)

    for count in (1, 2, 4, 8, 16, 32):
        if str(count) in run.about('run').get('sessions', '').split():
            judge(f'default layout, {count} session{"s" * (count > 1)}: % of {CEILING:,} IDs a second', share(count), '≥', 99.5)
    judge('default layout: processor time per ID, 32 sessions / one',
          ratio(('sessions', 'cpu_ns', 'timeshard', 32), ('sessions', 'cpu_ns', 'timeshard', 1)), '≤', 1.5)
    judge('one node bit: a call / an empty function that reads the clock, `clock_timestamp()`, both less the scan',
          run.together(lambda a, b, none: (a - none) / (b - none), call('timeshard_1'), call('clock'), call('none')),
          '≤', 1.1)
    judge('one node bit: 32 sessions / `nextval` with 32',
          ratio(sessions('timeshard_1', 32), sessions('bigserial', 32)), '≥', 4)
    judge('one node bit: two sessions together / one',
          ratio(sessions('timeshard_1', 2), sessions('timeshard_1', 1)), '≥', 1.6)
    for name, what in (('prefix', 'prefix'), ('prefix_at', 'inserted prefix')):
        judge(f'one node bit: ns that a call with {what} takes longer',
              run.together(lambda a, b: a - b, call(name), call('timeshard_1')), '≤', 40)
    for other, target in (('bigserial', 1), ('uuid4', 0.40), ('uuid7', 0.62)):
        judge(f'`INSERT … SELECT` into a new table: time / that of {run.titles().get(other, other)}',
              ratio(bulk('bulk', 'ms', 'timeshard'), bulk('bulk', 'ms', other)), '≤', target)
    judge('key index after it: size / that of UUIDv4',
          ratio(bulk('bulk', 'index_size', 'timeshard'), bulk('bulk', 'index_size', 'uuid4')), '≤', 0.55)
    judge('key index after it: size / that of UUIDv7',
          ratio(bulk('bulk', 'index_size', 'timeshard'), bulk('bulk', 'index_size', 'uuid7')), '≤', 0.55)
    for count in (1, 8):
        judge(f'single-row commits, {count} session{"s" * (count > 1)}: a second / `bigserial`',
              ratio(('commits', 'tps', 'timeshard', count), ('commits', 'tps', 'bigserial', count)), '≥', 0.98)
    fastest = run.together(lambda a, *others: a / min(others), bulk('copy_key', 'ms', 'timeshard'),
                           *(bulk('copy_key', 'ms', kind) for kind in run.titles()
                             if not kind.startswith('timeshard') and run.rounds('copy_key', 'ms', kind)))
    judge('`COPY` with the key in the file: time / the fastest other of its round; within what rounds differ by',
          fastest if run.rounds('copy_key', 'ms', 'bigserial') else {}, '≤', 1.05)
    for measure, what, target in (('ms', 'time', 0.90), ('wal', 'WAL', 1)):
        judge(f'`COPY` with the key left to its default: {what} / that of `bigserial`',
              ratio(bulk('copy_default', measure, 'timeshard'), bulk('copy_default', measure, 'bigserial')), '≤', target)
    broken = run.about('broken')
    if run.has('calls') or run.has('sessions'):
        result.append(('P3: no ID of the speed runs was ahead of the clock', 'broken' if broken else 'held', '', '',
                       'held', 'MISSED' if broken else 'met'))
    return result
