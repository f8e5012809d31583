"""Makes report.md and its plots of the figures in a folder.

usage: report.py FOLDER     exit code 3 if a target is missed
"""
import os
import sys

import plots
from figures import Run
from writing import say, table, text
from report_calls import cost, latency, sessions
from report_rows import rows
from targets import targets


def head(run):
    told = run.about('run')
    say('# Timeshard beside what one would use instead')
    say('```text\n' + told.get('command', 'make bench') + '\n```')
    say(f'Run on {told.get("date", "?")} with `{told.get("options", "")}`, in {told.get("took", "?")}. Figures are '
        'medians over the rounds, in brackets the least and the greatest; a ratio or difference is taken within a round. '
        'All ran on throw-away servers of one machine; rounds go through the kinds in turning order. Behind each table '
        'stands what made it, with TYPE and CALL from the table of rivals. The raw figures are in `figures.tsv`.')
    if 'QUICK' in told.get('command', ''):
        say('**QUICK=1** shows that everything runs, and what the full report looks like. Its runs are far too short to '
            'judge by: its verdicts and differences are mostly noise.')
    for name, what in run.about('unfinished').items():
        say(f'**Unfinished**: {what}. The report is made of what there is.')
    missing = [stage for stage in run.about('stage') if not measured(run, stage)]
    if missing:
        say('**Missing**: nothing was measured in ' + ', '.join(missing) + '.')
    if run.about('failed'):
        say('**Failed**:', '\n'.join(f'- {what}: `{why}`' for what, why in run.about('failed').items()))
    if run.about('skipped'):
        say('Skipped: ' + '; '.join(f'{what} ({why})' for what, why in run.about('skipped').items()) + '.')
    settings = ', '.join(f'{name} = {value}' for name, value in run.about('setting').items())
    rows = [[name, value] for name, value in run.about('machine').items()]
    table(['machine', ''], rows + [['settings', settings]], numbers=False)


def measured(run, stage):
    if stage == 'core':
        return os.path.exists(os.path.join(run.folder, 'core.json'))
    names = {'latency': ('server', 'client'), 'copy': ('copy_key', 'copy_default')}.get(stage, (stage,))
    return any(run.has(name) for name in names)


def rivals(run):
    call = run.about('call')
    say('## Rivals')
    table(['kind', 'CALL'], [[title, f'`{call[kind]}`'] for kind, title in run.titles().items()], numbers=False)
    say('`uuidv7_by_overlay()` and `plpgsql_snowflake()` are the well-known constructions, and stand in '
        '`test/bench/rivals.sh`. Timeshard with one node bit is on a server of its own, all others share one.')
    if 'pgedge' in call:
        say('pgEdge snowflake has a ceiling of 4,096 IDs a millisecond too, but does not wait there: it continues with the next '
            'millisecond, ahead of the clock. Timeshard waits.')


def verdicts(run):
    say('## Targets')
    table(['target', 'median', 'least', 'greatest', 'to reach', ''], [list(line) for line in targets(run)])
    say('An entry of an index takes 20 bytes with a `bigint` and 28 with a UUID: 0.71 where both indexes are equally dense, '
        'and less where the UUIDs come out of order. A UUIDv7 made by a slow function comes nearly in order.')


def main():
    run = Run(sys.argv[1])
    plots.draw(run)
    for part in (head, verdicts, rivals, cost, sessions, latency, rows):
        part(run)
    with open(os.path.join(run.folder, 'report.md'), 'w', encoding='utf-8') as file:
        file.write('\n'.join(text))
    missed = [line for line in targets(run) if line[-1] == 'MISSED']
    for line in missed:
        print(f'missed: {line[0]}: {line[1]}, {line[4]}', file=sys.stderr)
    sys.exit(3 if missed else 0)


main()
