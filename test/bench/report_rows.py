"""The report on what stores rows."""
from figures import cell
from writing import against, commands, kinds_table, of, plot, plural, say, table

MEGABYTE = 1 / 1024 / 1024


def written(run, stage, what, name):
    if not run.has(stage):
        return
    say(what)
    kinds_table(run, ['time, s', '/ `bigserial`', '/ UUIDv4', 'WAL, MB', 'table, MB', 'key index, MB', 'leaf density, %'],
                [of(run, stage, 'ms', scale=0.001), against(run, stage, 'ms', 'bigserial'),
                 against(run, stage, 'ms', 'uuid4'), of(run, stage, 'wal', scale=MEGABYTE),
                 of(run, stage, 'table_size', scale=MEGABYTE), of(run, stage, 'index_size', scale=MEGABYTE),
                 of(run, stage, 'density')])
    commands(run, *(['table'] if stage in ('bulk', 'copy_key') else []), name)


def rows(run):
    told = run.about('run')
    count = f'{int(told.get("bulk_rows", 0)):,}'
    if any(run.has(stage) for stage in ('bulk', 'copy_key', 'copy_default')):
        say('## Bulk inserts', 'Every time includes the commit and its sync; a checkpoint goes before.')
        plot(run, 'bulk', 'time of a bulk insert, and size of the key index after it')
    written(run, 'bulk', f'### `INSERT … SELECT` of {count} rows into a new table', 'bulk')
    written(run, 'copy_key', f'### `COPY` of {count} rows with the key in the file', 'copy_key')
    written(run, 'copy_default', f'### `COPY` of {count} rows with the key left to its default', 'copy_default')
    if run.has('fill'):
        say(f'## Tables of {int(told.get("grown_rows", 0)):,} rows',
            'Keys as if they had been made over ten days. Timeshard\'s keys are the same in every layout.')
        grown = ('fill', 'table_size'), ('fill', 'index_size'), ('fill', 'second_index_size')
        grown_table(run, ['table, MB', 'key index, MB', 'leaf density, %', 'index on `created_at`, MB'],
                    [of(run, *grown[0], scale=MEGABYTE), of(run, *grown[1], scale=MEGABYTE), of(run, 'fill', 'density'),
                     of(run, *grown[2], scale=MEGABYTE)])
        commands(run, 'fill')
    if run.has('ranges'):
        say('### Rows of the last hour and the last day', 'In ms, by the key where it carries the time (in that case the '
            'table can do without the index on `created_at`), and by that index. A dash: the key has no time that is asked '
            'for in order.')
        grown_table(run, ['hour, by key', 'hour, by `created_at`', 'day, by key', 'day, by `created_at`', 'rows of a day'],
                    [by_key(run, 'hour'), of(run, 'ranges', 'ms_by_created_at', 'hour'), by_key(run, 'day'),
                     of(run, 'ranges', 'ms_by_created_at', 'day'), of(run, 'ranges', 'rows_by_created_at', 'day')])
        commands(run, 'ranges')
    if run.has('lookups'):
        say('### Lookups by key', 'Nanoseconds a row, with the rows of the sample that are joined to it.')
        grown_table(run, ['of the whole table', 'of the last tenth'],
                    [of(run, 'lookups', 'ns', 'all'), of(run, 'lookups', 'ns', 'recent')])
        commands(run, 'lookups')
    if run.has('commits'):
        say('### Single-row commits', 'Commits a second, synced.')
        counts = run.xs('commits', 'tps')
        grown_table(run, [cell_ for count in counts for cell_ in (plural(count, 'session'), '/ `bigserial`')],
                    [column for count in counts for column in (of(run, 'commits', 'tps', count),
                                                               against(run, 'commits', 'tps', 'bigserial', count))])
        commands(run, 'commits')
    if run.has('more'):
        say(f'### {int(told.get("more_rows", 0)):,} more rows, in every round')
        grown_table(run, ['time, s', '/ `bigserial`', '/ UUIDv4', 'WAL, MB', 'key index then, MB', 'leaf density, %'],
                    [of(run, 'more', 'ms', scale=0.001), against(run, 'more', 'ms', 'bigserial'),
                     against(run, 'more', 'ms', 'uuid4'), of(run, 'more', 'wal', scale=MEGABYTE),
                     of(run, 'more', 'index_size', scale=MEGABYTE), of(run, 'more', 'density')])
        commands(run, 'more')


def by_key(run, span):
    def column(kind):
        figures = run.rounds('ranges', 'ms_by_key', kind, span)
        return cell(figures) if figures or kind in run.about('range') else '–'
    return column


def grown_table(run, names, columns):
    table(['', *names], [[title, *(column(kind) for column in columns)]
                         for kind, title in run.titles().items() if kind != 'timeshard_1'])
