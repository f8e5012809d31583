"""The plots: what a table does not show at a glance."""
import math
import os

from figures import summary
from picture import WIDTH, Picture, apart
from targets import CEILING

# What most people weigh up against each other; the tables have every rival.
DRAWN = ('timeshard_1', 'timeshard', 'bigserial', 'cached', 'uuid4', 'uuid7', 'pg_uuidv7', 'snowflake', 'pgedge')
LEFT, RIGHT, TOP = 44, WIDTH - 196, 48
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


def ours(kind):
    return 'ours' if kind.startswith('timeshard') else ''


def drawn(run):
    return [(kind, run.titles()[kind]) for kind in DRAWN if kind in run.titles()]


def lines_plot(path, title, x_title, ticks, ceiling, series):
    """Lines of million IDs a second on a logarithmic axis, each labelled at its end.

    ticks: the label of each x, [(x, label)], x from 0 to 1; ceiling: points (x, y) and
    a label; series: (kind, label, [(x, three)]).
    """
    series = [line for line in series if line[2]]
    if not series:
        return
    values = [ceiling[0][-1][1], *(number for _, _, points in series for _, three in points for number in three if number)]
    bottom = max((tick for tick in TICKS if tick <= min(values)), default=TICKS[0])
    top = min((tick for tick in TICKS if tick >= max(values)), default=TICKS[-1])
    rows = max(label.count('\n') for _, label in ticks)
    low = TOP + 320

    def at_x(x):
        return LEFT + 14 + x * (RIGHT - LEFT - 20)

    def at_y(value):
        share = math.log(max(value, bottom) / bottom) / math.log(top / bottom)
        return low - min(share, 1) * (low - TOP)

    picture = Picture(low + 34 + 15 * rows, title)
    for tick in TICKS:
        if bottom <= tick <= top:
            picture.line(LEFT, at_y(tick), RIGHT, at_y(tick), 'grid')
            picture.text(LEFT - 8, at_y(tick) + 4, f'{tick:g}', 'small', 'end')
    for x, label in ticks:
        for i, words in enumerate(label.split('\n')):
            picture.text(at_x(x), low + 18 + 15 * i, words, 'small', 'middle')
    for i, words in enumerate(x_title.split('\n')):
        picture.text(RIGHT + 20, low + 18 + 15 * i, words, 'small')

    ends = [('ceiling', ceiling[1], at_y(ceiling[0][-1][1]))]
    for kind, label, points in sorted(series, key=lambda line: ours(line[0])):
        places = [(at_x(x), at_y(three[0])) for x, three in points]
        for (x, three), place in zip(points, places):
            picture.line(place[0], at_y(three[1]), place[0], at_y(three[2]), f'spread {ours(kind)}')
            if ours(kind):
                picture.dot(*place)
        picture.lines(places, ours(kind))
        ends.append((ours(kind), label, places[-1][1]))
    picture.lines([(at_x(x), at_y(y)) for x, y in ceiling[0] if y <= top * 1.001], 'ceiling')
    for (kind, label, end), y in zip(ends, apart([end[2] for end in ends], 16)):
        picture.line(at_x(1) + 2, end, RIGHT + 11, y, f'spread {kind}')
        picture.text(RIGHT + 14, y + 4, label, kind)
    picture.write(path)


def sessions(run):
    counts = run.xs('sessions', 'ids_per_s')
    if not counts:
        return

    def x_of(count):
        return math.log(count / counts[0]) / math.log(counts[-1] / counts[0]) if len(counts) > 1 else 0.5

    def points(kind):
        return [(x_of(count), [number / 1e6 for number in three]) for count in counts
                if (three := summary(run.rounds('sessions', 'ids_per_s', kind, count)))]

    lines_plot(os.path.join(run.folder, 'sessions.svg'), 'Million IDs a second, all sessions together (log scale)',
               'sessions', [(x_of(count), str(count)) for count in counts],
               ([(0, CEILING / 1e6), (1, CEILING / 1e6)], 'default layout\'s ceiling'),
               [(kind, title, points(kind)) for kind, title in drawn(run)])


def layouts(run):
    """One session with each layout, beside the rivals, which know no layouts."""
    bits = sorted({int(key[2]) for key in run.figures if key[:2] == ('layouts', 'ids_per_s') and key[3] == '1'})
    if len(bits) < 2:
        return

    def x_of(number):
        return (number - bits[0]) / (bits[-1] - bits[0])

    def three_of(*key):
        three = summary(run.rounds(*key))
        return three and [number / 1e6 for number in three]

    series = [('timeshard', 'Timeshard', [(x_of(number), three) for number in bits
                                          if (three := three_of('layouts', 'ids_per_s', number, 1))])]
    for kind, title in drawn(run):
        three = three_of('sessions', 'ids_per_s', kind, 1)
        if three and not ours(kind):
            series.append((kind, title, [(0, three), (1, three)]))
    steps = [bits[0] + (bits[-1] - bits[0]) * i / 100 for i in range(101)]
    lines_plot(os.path.join(run.folder, 'layouts.svg'), 'Million IDs a second, one session, by layout (log scale)',
               'node bits\nservers at most',
               [(x_of(number), f'{number}\n{1 << number:,}' + '\ndefault' * (number == 10)) for number in bits],
               ([(x_of(step), 1e-3 * 2 ** (22 - step)) for step in steps], 'layout\'s ceiling'), series)


def bulk(run):
    """Time and index size of a bulk insert, side by side, the fastest first."""
    rows = []
    for kind, title in drawn(run):
        if kind == 'timeshard_1':
            continue  # its keys and inserts are the default layout's
        time, size = (summary(run.rounds('bulk', measure, kind)) for measure in ('ms', 'index_size'))
        if time and size:
            rows.append((kind, title, [number / 1e3 for number in time], [number / 1048576 for number in size]))
    if not rows:
        return
    rows.sort(key=lambda row: row[2][0])
    count = int(run.about('run').get('bulk_rows', 0))
    picture = Picture(TOP + 26 + 27 * len(rows) + 14, f'INSERT … SELECT of {count:,} rows into a new table')
    for column, (left, head) in enumerate(((184, 'seconds'), (456, 'key index, MB'))):
        picture.text(left, TOP + 12, head, 'small')
        most = max(row[2 + column][2] for row in rows)
        for i, (kind, title, *threes) in enumerate(rows):
            median, least, greatest = (number / most * 180 for number in threes[column])
            y = TOP + 26 + 27 * i
            picture.bar(left, y, median, 17, ours(kind))
            if greatest - least > 2:
                picture.line(left + least, y + 8.5, left + greatest, y + 8.5, 'whisker')
            shown = threes[column][0]
            picture.text(left + greatest + 7, y + 13, f'{shown:.3g}' if shown < 100 else f'{shown:,.0f}', ours(kind))
            if not column:
                picture.text(left - 10, y + 13, title, ours(kind), 'end')
    picture.write(os.path.join(run.folder, 'bulk.svg'))


def draw(run):
    sessions(run)
    layouts(run)
    bulk(run)
