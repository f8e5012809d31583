"""The plots, drawn by gnuplot as SVG."""
import os
import subprocess
import sys

from figures import summary

COLOURS = ['#0b6e4f', '#6bbf59', '#2b59c3', '#7ea3f0', '#c1121f', '#e58f29', '#7b2d8b', '#555555', '#a0785a', '#00a0b0']
HEAD = '''set encoding utf8
set terminal svg size {size} dynamic noenhanced font "sans-serif,13" background "white"
set output "{path}"
set title {title}
set grid ytics lc rgb "#dddddd"
set border 3
set rmargin 5
set tics nomirror
'''

# Beside the plot, which leaves it room only where the margin is not fixed.
KEY = 'unset rmargin\nset key outside right top Left reverse\n'


def quoted(text):
    return '"' + text.replace('\\', '\\\\').replace('"', '\\"') + '"'


def gnuplot(run, name, title, size, commands):
    path = os.path.join(run.folder, f'{name}.svg')
    # In a pipe, so that a report is its text, plots and figures and nothing else.
    script = HEAD.format(size=size, path=path.replace('"', '\\"'), title=quoted(title)) + commands
    try:
        done = subprocess.run(['gnuplot', '-'], input=script, encoding='utf-8', capture_output=True, check=False)
        why = (done.stderr or f'exit code {done.returncode}') if done.returncode else ''
    except FileNotFoundError:
        why = 'gnuplot is not installed'
    if why:
        print(f'no plot {name}: {why}', file=sys.stderr)
        if os.path.exists(path):
            os.remove(path)


def colour_of(run, kind):
    """The same in every plot."""
    kinds = list(run.titles())
    return COLOURS[kinds.index(kind) % len(COLOURS)] if kind in kinds else '#999999'


def block(name, rows):
    """Data within the script: each row a list of numbers and quoted texts."""
    return f'${name} << END\n' + ''.join(' '.join(map(str, row)) + '\n' for row in rows) + 'END\n'


def lines_plot(run, name, title, axes, series):
    """Lines with the least and the greatest; series of (kind, title, [(x, three)])."""
    series = [line for line in series if line[2]]
    if not series:
        return
    script = axes
    parts = []
    for i, (kind, label, points) in enumerate(series):
        script += block(f's{i}', [[x, *three] for x, three in points])
        colour = f'lw {3 if kind.startswith("timeshard") else 1.5} lc rgb {quoted(colour_of(run, kind))}'
        parts.append(f'$s{i} using 1:2 with lines {colour} title {quoted(label)}')
        parts.append(f'$s{i} using 1:2:3:4 with yerrorbars pt 7 ps 0.5 {colour} notitle')
    gnuplot(run, name, title, '1000,480', script + 'plot ' + ', \\\n  '.join(parts) + '\n')


def bars(run, name, title, unit, rows, size='860,480'):
    """One bar for each of (kind, title, three), the least and the greatest on it."""
    rows = [row for row in rows if row[2]]
    if not rows:
        return
    data = [[len(rows) - i, *three, quoted(label), int(colour_of(run, kind)[1:], 16)]
            for i, (kind, label, three) in enumerate(rows)]
    script = block('bars', data) + f'''unset key
set xlabel {quoted(unit)}
set grid xtics lc rgb "#dddddd"
unset grid
set xrange [0:*]
set yrange [0.3:{len(rows) + 0.7}]
unset ytics
set ytics scale 0
plot $bars using (0):1:(0):2:($1-0.35):($1+0.35):6:ytic(5) with boxxyerror fs solid 0.85 noborder lc rgb variable, \\
  $bars using 2:1:3:4 with xerrorbars pt 0 lc rgb "#222222"
'''
    gnuplot(run, name, title, size, script)


def draw(run):
    titles = run.titles()

    counts = run.xs('sessions', 'ids_per_s')
    axes = ('set logscale x 2\nset xlabel "sessions"\nset ylabel "million IDs a second"\nset yrange [0:*]\n'
            + (f'set xrange [{0.9 * counts[0]}:{1.12 * counts[-1]}]\n' if counts else '') + KEY)
    lines_plot(run, 'sessions', 'IDs a second, all sessions together', axes, [
        (kind, title, [(count, [number / 1e6 for number in three]) for count in counts
                 if (three := summary(run.rounds('sessions', 'ids_per_s', kind, count)))])
        for kind, title in titles.items()])

    bars(run, 'calls', 'What a call costs, less an empty call', 'ns', [
        (kind, title, summary(run.together(lambda a, b: max(a - b, 0), ('calls', 'ns', kind), ('calls', 'ns', 'empty'))))
        for kind, title in titles.items()])

    for name, measure, what, unit, scale in (
            ('bulk', 'ms', 'INSERT … SELECT into a new table', 'seconds', 1e-3),
            ('sizes', 'index_size', 'Key index after it', 'MB', 1 / 1048576)):
        bars(run, name, what, unit, [
            (kind, title, [number * scale for number in three] if (three := summary(run.rounds('bulk', measure, kind))) else None)
            for kind, title in titles.items()])

    shares = ['p50', 'p90', 'p95', 'p99', 'p99.9', 'max']
    ticks = ', '.join(f'"{share}" {i}' for i, share in enumerate(shares))
    axes = (f'set xtics ({ticks})\nset xrange [-0.3:{len(shares) - 0.7}]\nset logscale y\nset ylabel "µs"\n'
            + KEY)
    # A call of less than a microsecond is on the axis.
    lines_plot(run, 'latency', 'Latency of single calls as a client sees it, over a socket', axes, [
        (kind, title, [(i, [max(number, 1) for number in three]) for i, share in enumerate(shares)
                 if (three := summary(run.rounds('client', share, kind)))])
        for kind, title in [('empty', 'empty call'), *titles.items()]])
